import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import type { Step } from '#gen/hive/v1/step.ts'
import type { Site } from '../../../coordinator/inventory/site.ts'
import type { Limit } from '../../../coordinator/phases/phase.ts'
import { readFacts } from '../../../coordinator/phases/setup-hosts/facts.ts'
import { setupHosts } from '../../../coordinator/phases/setup-hosts.ts'
import { managersOf } from '../../../coordinator/phases/swarm-role.ts'
import { service, volume } from './sample-site.ts'
import { hostFixture, siteFixture, splitNetworks } from './site-fixture.ts'

const facts = { caPem: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', publicKeys: ['ssh-ed25519 AAAA admin'], revoked: [] }
const everything: Limit = { hosts: undefined, services: undefined, volumes: undefined }

async function stepsOf(site: Site, limit: Limit = everything): Promise<readonly Step[]> {
  const state = { get: () => undefined, set: () => undefined } as never
  const { steps } = await setupHosts.steps({ site, limit, facts, state })
  return steps
}

const on = (steps: readonly Step[], host: string) => steps.filter((step) => step.host === host)
const find = (steps: readonly Step[], what: string): Step => {
  const step = steps.find((one) => one.id === `setup-hosts/${what}`)
  assert.ok(step !== undefined, `there is a step ${what}`)
  return step
}

function specOf(step: Step): Record<string, unknown> {
  assert.ok(step.spec?.kind !== undefined)
  return step.spec.kind.value as unknown as Record<string, unknown>
}

/** The ids that come before a step, however far. */
function before(steps: readonly Step[], step: Step): Set<string> {
  const found = new Set<string>()
  const visit = (id: string) => {
    for (const need of steps.find((one) => one.id === id)?.needs ?? [])
      if (!found.has(need)) {
        found.add(need)
        visit(need)
      }
  }
  visit(step.id)
  return found
}

const full = siteFixture({
  hosts: [0, 1, 2, 3].map((index) => hostFixture(index, 4, { timezone: 'Asia/Tokyo', locale: 'ja_JP.utf8', ntpServers: ['ntp.example.com'] })),
  rest: { dockerNetworks: splitNetworks },
})

test('the first hive of a site with all settings', async () => {
  assert.deepEqual(
    on(await stepsOf(full), 'p-hive0.pdns').map((step) => `${step.id.slice('setup-hosts/'.length)}: ${step.title}`),
    [
      'agent-trust@p-hive0.pdns: whom the agent trusts',
      'hostname@p-hive0.pdns: host name p-hive0',
      'hosts-file@p-hive0.pdns: names of all servers in /etc/hosts',
      'kernel-settings@p-hive0.pdns: kernel settings for overlay networks',
      'selinux@p-hive0.pdns: SELinux permissive',
      'firewalld@p-hive0.pdns: no firewalld beside docker',
      'automatic-updates@p-hive0.pdns: no updates by themselves',
      "old-follower@p-hive0.pdns: no follower of swarm services beside the agent's",
      'cgroup-mount@p-hive0.pdns: cgroup2 without nsdelegate (EL, at the next boot)',
      'package-sources@p-hive0.pdns: package sources of docker and Ansible (EL)',
      "docker-config@p-hive0.pdns: docker's configuration",
      'packages@p-hive0.pdns: packages',
      "trust@p-hive0.pdns: trust in the site's certificates",
      'timezone@p-hive0.pdns: time zone Asia/Tokyo',
      'locale@p-hive0.pdns: locale ja_JP.utf8',
      'time-servers-apt@p-hive0.pdns: time servers ntp.example.com',
      'time-servers-dnf@p-hive0.pdns: time servers ntp.example.com',
      'time-sync@p-hive0.pdns: time synchronisation runs',
      'users@p-hive0.pdns: users admin',
      'sshd-config@p-hive0.pdns: sshd takes keys only',
      'sshd@p-hive0.pdns: sshd runs with its configuration',
      'log-confinement@p-hive0.pdns: what AppArmor lets rsyslog do',
      'log-confinement-loaded@p-hive0.pdns: AppArmor has read it',
      'log-unit@p-hive0.pdns: unit for logs of services',
      'log-config@p-hive0.pdns: logs of services go to p-hive3',
      'logs@p-hive0.pdns: logs of services are passed on',
      'docker@p-hive0.pdns: docker runs with its configuration',
      'gateway-bridge@p-hive0.pdns: network docker_gwbridge',
      'swarm@p-hive0.pdns: the swarm',
      'ingress@p-hive0.pdns: network apiarist-ingress',
      "firewall@p-hive0.pdns: ports of the cluster are the site's own",
      'backups@p-hive0.pdns: backups of services',
      "labels@p-hive0.pdns: labels of the swarm's nodes",
      'monitoring@p-hive0.pdns: nothing is reported to Zabbix',
    ],
  )
})

test('the repository server of a site without settings is in no swarm and has the registry', async () => {
  assert.deepEqual(
    on(await stepsOf(siteFixture()), 'p-hive3.pdns').map((step) => step.id.slice('setup-hosts/'.length)),
    [
      'agent-trust@p-hive3.pdns',
      'hostname@p-hive3.pdns',
      'hosts-file@p-hive3.pdns',
      'kernel-settings@p-hive3.pdns',
      'selinux@p-hive3.pdns',
      'firewalld@p-hive3.pdns',
      'automatic-updates@p-hive3.pdns',
      'package-sources@p-hive3.pdns',
      'docker-config@p-hive3.pdns',
      'packages@p-hive3.pdns',
      'trust@p-hive3.pdns',
      'users@p-hive3.pdns',
      'sshd-config@p-hive3.pdns',
      'sshd@p-hive3.pdns',
      'log-confinement@p-hive3.pdns',
      'log-confinement-loaded@p-hive3.pdns',
      'log-unit@p-hive3.pdns',
      'log-group@p-hive3.pdns',
      'log-rotation@p-hive3.pdns',
      'log-old-collector@p-hive3.pdns',
      'log-old-daemon@p-hive3.pdns',
      'log-rotation-rsyslog@p-hive3.pdns',
      'log-rotation-syslog@p-hive3.pdns',
      'log-config@p-hive3.pdns',
      'logs@p-hive3.pdns',
      'docker@p-hive3.pdns',
      'firewall@p-hive3.pdns',
      'registry@p-hive3.pdns',
      'registry-cache@p-hive3.pdns',
      'registry-upkeep@p-hive3.pdns',
      'backups@p-hive3.pdns',
      'monitoring@p-hive3.pdns',
    ],
  )
})

test('ids are unique, needs name steps of the list, and no step needs itself however far', async () => {
  const limited = { ...everything, hosts: new Set(['p-hive1.pdns']) }
  for (const steps of [await stepsOf(full), await stepsOf(siteFixture()), await stepsOf(full, limited)]) {
    const ids = new Set(steps.map((step) => step.id))
    assert.equal(ids.size, steps.length)
    for (const step of steps) {
      for (const need of step.needs) assert.ok(ids.has(need), `${step.id} needs ${need}`)
      assert.ok(!before(steps, step).has(step.id), step.id)
    }
  }
})

test('docker of a hive waits until the hives before it are back in the swarm', async () => {
  const steps = await stepsOf(full)
  assert.ok(before(steps, find(steps, 'docker@p-hive2.pdns')).has('setup-hosts/swarm@p-hive1.pdns'))
  assert.ok(!before(steps, find(steps, 'docker@p-hive3.pdns')).has('setup-hosts/swarm@p-hive0.pdns'))
})

test('a host joins where the firewalls of the hosts before it know it already', async () => {
  const steps = await stepsOf(full)
  for (const [host, others] of [
    ['p-hive1.pdns', ['p-hive0.pdns']],
    ['p-hive2.pdns', ['p-hive0.pdns', 'p-hive1.pdns']],
  ] as const) {
    const earlier = before(steps, find(steps, `swarm@${host}`))
    for (const other of others) assert.ok(earlier.has(`setup-hosts/firewall@${other}`))
  }
})

test('the firewall knows all hosts, comes after docker and a way in, and is taken away where it is not wanted', async () => {
  const steps = await stepsOf(full)
  const firewall = find(steps, 'firewall@p-hive0.pdns')
  for (const what of ['docker', 'users', 'sshd', 'packages']) assert.ok(firewall.needs.includes(`setup-hosts/${what}@p-hive0.pdns`))
  const spec = specOf(firewall)
  assert.deepEqual(spec['hosts'], ['192.168.0.10', '192.168.0.11', '192.168.0.12', '192.168.0.13'])
  assert.deepEqual([spec['sshSources'], spec['sshPort'], spec['agentPort'], spec['internalFrom']], [[], 22, 17443, 10_000])
  const names = (what: string) => (specOf(find(steps, what))['cluster'] as readonly { readonly name: string }[]).map(({ name }) => name)
  assert.deepEqual(
    [names('firewall@p-hive0.pdns'), names('firewall@p-hive3.pdns')],
    [
      ['swarm', 'swarm', 'drbd'],
      ['logs', 'logs'],
    ],
  )
  const without = siteFixture({ hosts: [0, 1, 2, 3].map((index) => hostFixture(index, 4, { firewall: false })) })
  assert.equal(specOf(find(await stepsOf(without), 'firewall@p-hive0.pdns'))['absent'], true)
})

test('internal published ports of the stage’s services are named once each', async () => {
  const port = (published: number, protocol: 'tcp' | 'udp' = 'tcp') => ({ published, target: 80, protocol, mode: 'ingress' as const })
  const services = [
    service({ name: 'a', stages: ['private'], ports: [port(80), port(10_080), port(61_001, 'udp')] }),
    service({ name: 'b', stages: ['private'], ports: [port(10_080)] }),
    service({ name: 'c', stages: ['production'], ports: [port(10_081)] }),
  ]
  const steps = await stepsOf(siteFixture({ rest: { services } }))
  assert.deepEqual(specOf(find(steps, 'firewall@p-hive0.pdns'))['published'], ['tcp 10080', 'udp 61001'])
  assert.deepEqual(specOf(find(steps, 'firewall@p-hive3.pdns'))['published'], [])
})

test('the network of the ingress is there before others join', async () => {
  const steps = await stepsOf(full)
  assert.ok(find(steps, 'swarm@p-hive1.pdns').needs.includes('setup-hosts/ingress@p-hive0.pdns'))
  assert.deepEqual(specOf(find(steps, 'ingress@p-hive0.pdns'))['ipam'], [{ subnet: '172.31.253.0/24', gateway: '172.31.253.1', ipRange: '' }])
})

test('the first hive makes the swarm, the others join at those before them', async () => {
  const steps = await stepsOf(siteFixture())
  const first = specOf(find(steps, 'swarm@p-hive0.pdns'))
  assert.deepEqual([first['init'], first['remoteAddresses']], [true, ['192.168.0.11:2377', '192.168.0.12:2377']])
  const third = specOf(find(steps, 'swarm@p-hive2.pdns'))
  assert.deepEqual([third['init'], third['role'], third['remoteAddresses']], [false, 'manager', ['192.168.0.10:2377', '192.168.0.11:2377']])
})

test('a host alone still joins at the first hive, and sets its own labels', async () => {
  const steps = await stepsOf(full, { ...everything, hosts: new Set(['p-hive2.pdns']) })
  assert.deepEqual(specOf(find(steps, 'swarm@p-hive2.pdns'))['remoteAddresses'], ['192.168.0.10:2377'])
  assert.deepEqual(specOf(find(steps, 'labels@p-hive2.pdns'))['nodes'], [{ node: 'p-hive2', labels: { hives: 'true', private: 'true', servers: 'true' } }])
})

test('workers are joined as workers and nobody joins at them', async () => {
  const hosts = [0, 1, 2, 3].map((index) => hostFixture(index, 4, { swarmMode: 'worker' }))
  const steps = await stepsOf(siteFixture({ hosts }))
  assert.equal(specOf(find(steps, 'swarm@p-hive0.pdns'))['role'], 'manager')
  const third = specOf(find(steps, 'swarm@p-hive2.pdns'))
  assert.deepEqual([third['role'], third['remoteAddresses']], ['worker', ['192.168.0.10:2377']])
})

test('where the first hive is not the first in the inventory, all others join after it', async () => {
  const hosts = [0, 1, 2, 3].map((index) => ({ ...hostFixture(index, 4, { swarmMode: index === 0 ? 'worker' : 'manager' }), isFirstHive: index === 1 }))
  const steps = await stepsOf(siteFixture({ hosts }))
  const swarm = (host: string) => find(steps, `swarm@${host}.pdns`)
  assert.equal(before(steps, swarm('p-hive1')).has('setup-hosts/swarm@p-hive0.pdns'), false)
  assert.ok(before(steps, swarm('p-hive0')).has('setup-hosts/swarm@p-hive1.pdns'))
  assert.ok(before(steps, swarm('p-hive2')).has('setup-hosts/swarm@p-hive0.pdns'))
  assert.deepEqual(specOf(swarm('p-hive0'))['remoteAddresses'], ['192.168.0.11:2377'])
  assert.deepEqual(specOf(swarm('p-hive2'))['remoteAddresses'], ['192.168.0.11:2377'])
  assert.deepEqual(managersOf(hosts), ['p-hive1.pdns', 'p-hive2.pdns'])
})

test('every server is known by its full name first', async () => {
  const block = specOf(find(await stepsOf(siteFixture()), 'hosts-file@p-hive1.pdns'))
  assert.equal(
    block['content'],
    '192.168.0.10 p-hive0.pdns p-hive0\n192.168.0.11 p-hive1.pdns p-hive1\n192.168.0.12 p-hive2.pdns p-hive2\n192.168.0.13 p-hive3.pdns p-hive3\n',
  )
})

test('docker listens on its local socket only and trusts the registry', async () => {
  const { files } = specOf(find(await stepsOf(full), 'docker-config@p-hive1.pdns')) as { files: { path: string; content: Buffer }[] }
  const config = files.find(({ path }) => path === '/etc/docker/daemon.json')
  const ca = files.find(({ path }) => path.endsWith('/ca.crt'))
  assert.deepEqual(JSON.parse(config?.content.toString() ?? ''), {
    bip: '172.31.254.129/25',
    'log-driver': 'json-file',
    'log-opts': { 'max-file': '3', 'max-size': '10m' },
  })
  assert.equal(ca?.path, '/etc/docker/certs.d/p-hive3.pdns:5000/ca.crt')
  assert.equal(ca?.content.toString(), facts.caPem)
})

test('dockerd starts tasks from images it has without asking a registry, and restarts when that changes', async () => {
  const steps = await stepsOf(full)
  const { files } = specOf(find(steps, 'docker-config@p-hive1.pdns')) as { files: { path: string; content: Buffer }[] }
  const unit = files.find(({ path }) => path === '/etc/systemd/system/docker.service.d/hive.conf')
  assert.match(unit?.content.toString() ?? '', /^\[Service\]\nEnvironment=DOCKER_SERVICE_PREFER_OFFLINE_IMAGE=1$/m)
  assert.ok((specOf(find(steps, 'docker@p-hive1.pdns'))['watchFiles'] as string[]).includes(unit?.path ?? ''))
})

test('sshd is configured after somebody can log in with a key, and checked before it counts', async () => {
  const steps = await stepsOf(siteFixture({ hosts: [hostFixture(0, 2, { sshdPort: 2222 }), hostFixture(1, 2)] }))
  const config = find(steps, 'sshd-config@p-hive0.pdns')
  assert.deepEqual(config.needs, ['setup-hosts/users@p-hive0.pdns'])
  const { content, validate } = specOf(config) as { content: string; validate: string[] }
  assert.match(content, /^Port 2222\nPasswordAuthentication no\n/)
  assert.doesNotMatch(content, /PermitRootLogin/)
  assert.deepEqual(validate, ['/usr/sbin/sshd', '-t', '-f', '%s'])
})

test('users of the site come with their groups, whose members may use sudo', async () => {
  const ops = { name: 'ops', uid: 2001, group: 'operators', publicKey: 'ssh-ed25519 BBBB ops\n' }
  const hosts = [hostFixture(0, 2, { users: [ops], userGroups: [{ name: 'operators', gid: 2000 }] }), hostFixture(1, 2)]
  const steps = await stepsOf(siteFixture({ hosts }))
  const value = specOf(find(steps, 'users@p-hive0.pdns')) as { users: { name: string; authorizedKeys: string[]; sudo: boolean }[]; groups: unknown[] }
  assert.deepEqual(value.groups, [{ name: 'operators', gid: 2000, sudo: true, system: false }])
  assert.deepEqual(
    value.users.map(({ name, authorizedKeys, sudo }) => ({ name, authorizedKeys, sudo })),
    [
      { name: 'admin', authorizedKeys: ['ssh-ed25519 AAAA admin'], sudo: true },
      { name: 'ops', authorizedKeys: ['ssh-ed25519 BBBB ops'], sudo: false },
    ],
  )
  assert.match((specOf(find(steps, 'sshd-config@p-hive0.pdns')) as { content: string }).content, /PermitRootLogin no/)
})

test("the site's hooks come before docker and at the end, where it has them", async (context) => {
  const root = mkdtempSync(join(tmpdir(), 'setup-hosts-'))
  context.after(() => rmSync(root, { recursive: true }))
  for (const hook of ['addon', 'addon2']) {
    mkdirSync(join(root, 'roles', hook, 'tasks'), { recursive: true })
    writeFileSync(join(root, 'roles', hook, 'tasks', 'main.yml'), '- debug: {msg: hello}\n')
  }
  const ansibleInventory = () => ({ groups: {}, hostVariables: {}, extraVariables: {} })
  const site = siteFixture({ rest: { root, contextDir: join(root, '.hive/private'), ansibleInventory } })
  const state = { get: () => undefined, set: () => undefined } as never
  const { steps, blobs } = await setupHosts.steps({ site, limit: everything, facts, state })
  for (const host of ['p-hive0.pdns', 'p-hive3.pdns']) {
    const addon = find(steps, `addon@${host}`)
    assert.equal(addon.spec?.kind?.$case, 'runRoles')
    assert.ok(before(steps, addon).has(`setup-hosts/sshd@${host}`))
    assert.ok(find(steps, `docker@${host}`).needs.includes(addon.id))
    assert.ok(before(steps, find(steps, `addon2@${host}`)).has(`setup-hosts/${host === 'p-hive0.pdns' ? 'swarm' : 'registry'}@${host}`))
    assert.ok((blobs.get(host)?.length ?? 0) > 0)
  }
  const ids = steps.map((step) => step.id)
  assert.equal(new Set(ids).size, ids.length)
})

test('the stage’s own key opens the admin account beside the one the site names', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'hive-keys-'))
  t.after(() => rmSync(root, { recursive: true, force: true }))
  writeFileSync(join(root, 'id_rsa.pub'), 'ssh-rsa AAAA stage\n')
  writeFileSync(join(root, 'mine.pub'), '# me\nssh-ed25519 BBBB me\n')
  const site = siteFixture({ rest: { root, contextDir: root, variable: (_host, name) => (name === 'hive_public_key_path' ? 'mine.pub' : undefined) } })
  assert.deepEqual(readFacts(site), { caPem: '', publicKeys: ['ssh-rsa AAAA stage', 'ssh-ed25519 BBBB me'], revoked: [] })
})

test('hosts of a stage with NFS volumes have the NFS client, others have not', async () => {
  const site = siteFixture({})
  const packagesOf = async (volumes: Site['volumes']) => {
    const steps = await stepsOf({ ...site, volumes })
    const hive = site.hosts.find(({ isHive }) => isHive)
    const { apt, dnf } = specOf(find(steps, `packages@${hive?.name}`)) as { readonly apt: readonly string[]; readonly dnf: readonly string[] }
    return [apt.includes('nfs-common'), dnf.includes('nfs-utils')]
  }
  const files = volume({ name: 'files', kind: 'nfs', stages: [site.stage] })
  assert.deepEqual(await packagesOf([files]), [true, true])
  assert.deepEqual(await packagesOf([{ ...files, stages: [] }]), [false, false])
})

const packagesOf = (steps: readonly Step[], host: string) =>
  specOf(find(steps, `packages@${host}`)) as { readonly apt: readonly string[]; readonly dnf: readonly string[] }

test('packages go by the names of each family, and Ansible is among them', async () => {
  const steps = await stepsOf(siteFixture())
  const common = ['ansible', 'ca-certificates', 'chrony', 'curl', 'hostname', 'iptables', 'lvm2', 'python3', 'rsyslog', 'rsyslog-relp', 'sudo', 'tzdata']
  assert.deepEqual(packagesOf(steps, 'p-hive0.pdns'), {
    apt: [...common, 'docker.io'].sort(),
    dnf: [...common, 'containerd.io', 'docker-ce', 'docker-ce-cli', 'python3-libselinux'].sort(),
    absent: [],
    hold: [],
  })
  const repository = packagesOf(steps, 'p-hive3.pdns')
  assert.ok(repository.apt.includes('docker-registry'))
  assert.ok(!repository.dnf.includes('docker-registry'))
})

test('EL has sources for docker and Ansible before its packages, at the mirrors of the site where it has some', async () => {
  const sourcesOf = (steps: readonly Step[]) => {
    const { files } = specOf(find(steps, 'package-sources@p-hive0.pdns')) as { files: { path: string; content: Buffer; system: string }[] }
    assert.deepEqual(
      files.map(({ path, system }) => [path, system]),
      [
        ['/etc/yum.repos.d/docker-ce.repo', 'dnf'],
        ['/etc/yum.repos.d/hive-epel.repo', 'dnf'],
      ],
    )
    return files.map(({ content }) => content.toString().split('\n'))
  }
  const steps = await stepsOf(siteFixture())
  const [docker, epel] = sourcesOf(steps)
  assert.ok(docker?.includes('baseurl=https://download.docker.com/linux/centos/$releasever/$basearch/stable'))
  assert.ok(epel?.includes('metalink=https://mirrors.fedoraproject.org/metalink?repo=epel-$releasever&arch=$basearch'))
  assert.ok(epel?.includes('gpgkey=https://dl.fedoraproject.org/pub/epel/RPM-GPG-KEY-EPEL-$releasever'))
  for (const file of [docker, epel]) assert.ok(file?.includes('gpgcheck=1'))
  assert.ok(find(steps, 'packages@p-hive0.pdns').needs.includes('setup-hosts/package-sources@p-hive0.pdns'))

  const mirrors = { dockerSourceUrl: 'http://mirror.example/docker/', epelSourceUrl: 'http://mirror.example/epel' }
  const [mirroredDocker, mirroredEpel] = sourcesOf(await stepsOf(siteFixture({ hosts: [hostFixture(0, 2, mirrors), hostFixture(1, 2, mirrors)] })))
  assert.ok(mirroredDocker?.includes('baseurl=http://mirror.example/docker/$releasever/$basearch/stable'))
  assert.ok(mirroredDocker?.includes('gpgkey=http://mirror.example/docker/gpg'))
  assert.ok(mirroredEpel?.includes('baseurl=http://mirror.example/epel/$releasever/Everything/$basearch/'))
  assert.ok(mirroredEpel?.includes('gpgkey=http://mirror.example/epel/RPM-GPG-KEY-EPEL-$releasever'))
})

test('the registry comes after docker, and its image is pulled unless the site ships it', async (context) => {
  const root = mkdtempSync(join(tmpdir(), 'setup-hosts-'))
  context.after(() => rmSync(root, { recursive: true }))
  const site = siteFixture({ rest: { root, contextDir: join(root, '.hive/private') } })
  const pulled = find(await stepsOf(site), 'registry@p-hive3.pdns')
  assert.ok(pulled.needs.includes('setup-hosts/docker@p-hive3.pdns'))
  assert.deepEqual([specOf(pulled)['image'], specOf(pulled)['blobSha256'], specOf(pulled)['inContainer']], ['registry:2', '', false])

  mkdirSync(join(root, 'images'))
  writeFileSync(join(root, 'images/registry_2.rootfs.tar'), 'one')
  const state = { get: () => undefined, set: () => undefined } as never
  const { steps, blobs } = await setupHosts.steps({ site, limit: everything, facts, state })
  const shipped = specOf(find(steps, 'registry@p-hive3.pdns'))
  assert.match(String(shipped['image']), /^hive-registry:[0-9a-f]{12}$/)
  assert.equal(shipped['rootFilesystem'], true)
  assert.deepEqual(
    blobs.get('p-hive3.pdns')?.map(({ sha256 }) => sha256),
    [shipped['blobSha256']],
  )
  writeFileSync(join(root, 'images/registry_2.rootfs.tar'), 'another')
  assert.notEqual(specOf(find(await stepsOf(site), 'registry@p-hive3.pdns'))['image'], shipped['image'])
})

test('a registry that shall be a container needs no package', async () => {
  const site = siteFixture()
  const steps = await stepsOf({ ...site, registry: { ...site.registry, image: 'mirror.example/registry:2', inContainer: true } })
  assert.ok(!packagesOf(steps, 'p-hive3.pdns').apt.includes('docker-registry'))
  assert.equal(specOf(find(steps, 'registry@p-hive3.pdns'))['inContainer'], true)
  assert.equal(specOf(find(steps, 'registry@p-hive3.pdns'))['image'], 'mirror.example/registry:2')
})

test('a cache of other registries runs beside the registry, and dockers ask it first', async () => {
  const site = siteFixture()
  const steps = await stepsOf({ ...site, registry: { ...site.registry, cache: { url: 'https://registry-1.docker.io', port: 5001 } } })
  const files = (id: string): readonly { readonly path: string; readonly content: Buffer; readonly system: string }[] =>
    specOf(find(steps, id))['files'] as never
  const daemon = files('docker-config@p-hive0.pdns')
  assert.deepEqual(JSON.parse(daemon[0]?.content.toString() ?? '')['registry-mirrors'], ['https://p-hive3.pdns:5001'])
  assert.ok(daemon.some(({ path }) => path === '/etc/docker/certs.d/p-hive3.pdns:5001/ca.crt'))
  assert.deepEqual(
    files('registry-cache-config@p-hive3.pdns').map(({ path, system }) => `${path} ${system}`.trim()),
    ['/etc/docker/registry-cache/config.yml', '/etc/systemd/system/hive-registry-cache.service apt', '/etc/systemd/system/hive-registry-cache.service dnf'],
  )
  assert.match(files('registry-cache-config@p-hive3.pdns')[0]?.content.toString() ?? '', /remoteurl: https:\/\/registry-1\.docker\.io/)
  assert.equal(specOf(find(steps, 'registry-cache@p-hive3.pdns'))['optional'], false)
  assert.deepEqual(
    [specOf(find(await stepsOf(site), 'registry-cache@p-hive3.pdns'))].map(({ enabled, optional }) => [enabled, optional]),
    [[false, true]],
  )
})
