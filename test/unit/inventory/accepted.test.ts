import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { loadSite } from '../../../coordinator/inventory/load.ts'
import { inventoryJson, mask } from '../../../coordinator/inventory/render-inventory.ts'
import { hive, services, siteFolder } from './site-folder.ts'

describe('what sites for hive-builder write', () => {
  test('labels: null is left out, other values become JSON, HIVE_STANDALONE is added', async (context) => {
    const root = siteFolder(context, {
      'inventory/s.yml': services(`web:
  image: nginx
  labels:
    HIVE_VIP: "{{ '10.0.0.9' if hive_stage == 'production' else null }}"
    HIVE_MARK: "{{ omit }}"
    nothing:
    webgate:
      proxies: [{target_port: 80, on: yes}]
    number: 5
`),
    })
    const site = await loadSite({ root, env: {} })
    assert.deepEqual(site.services[0]?.labels, { webgate: '{"proxies":[{"target_port":80,"True":true}]}', number: '5', HIVE_STANDALONE: 'False' })
  })

  test('environment as a list of mappings with one key each', async (context) => {
    const root = siteFolder(context, {
      'inventory/s.yml': services(`web:
  image: nginx
  environment:
  - HOST: "{{ groups['repository'] | intersect(groups[hive_stage]) | first }}:5000/image_x"
  - NUMBER: 5
`),
    })
    assert.deepEqual((await loadSite({ root, env: {} })).services[0]?.environment, { HOST: 'p-hive3.test.example.com:5000/image_x', NUMBER: '5' })
  })

  test('both port syntaxes, omitted published ports, long form without protocol, unquoted pairs that stay text', async (context) => {
    const root = siteFolder(context, {
      'inventory/s.yml': services(`a:
  image: a
  ports: [8080:80, "8081", "53:53/udp", {target_port: 9000}, {target_port: "443", published_port: "443", mode: host}]
b:
  image: b
  ports: ["8081/tcp", "8081/udp", 4200:4200]
`),
    })
    const site = await loadSite({ root, env: {} })
    assert.deepEqual(
      site.services.map((service) => service.ports.map((port) => `${port.published}:${port.target}/${port.protocol}${port.mode === 'host' ? ' host' : ''}`)),
      [
        ['8080:80/tcp', '61001:8081/tcp', '53:53/udp', '61002:9000/tcp', '443:443/tcp host'],
        ['61003:8081/tcp', '61003:8081/udp', '4200:4200/tcp'],
      ],
    )
  })

  test('a standalone service gets its mounts, capabilities and command', async (context) => {
    const root = siteFolder(context, {
      'inventory/s.yml': services(`webgate:
  image: {from: base, roles: []}
  standalone: True
  volumes:
  - {source: /var/consul, target: /var/consul, type: bind}
`),
    })
    const site = await loadSite({ root, env: {} })
    const service = site.services[0]
    assert.deepEqual(service?.command, ['sh', '-c', 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec /sbin/init'])
    assert.deepEqual(
      service?.mounts.map((mount) => `${mount.type} ${mount.source}${mount.target}`),
      ['tmpfs /run', 'tmpfs /tmp', 'tmpfs /sys/fs/cgroup', 'bind /var/consul/var/consul'],
    )
    assert.deepEqual(service?.capAdd, ['NET_ADMIN', 'SYS_ADMIN', 'SYSLOG', 'SYS_PTRACE', 'AUDIT_CONTROL'])
    assert.equal(service?.labels['HIVE_STANDALONE'], 'True')
    assert.equal(site.images[0]?.standalone, true)
    assert.equal(site.images[0]?.privileged, true)
  })

  test('durations, sizes, placement, restart and health checks', async (context) => {
    const root = siteFolder(context, {
      'inventory/s.yml': services(`web:
  image: nginx
  replicas: "2"
  stop_grace_period: 1m30s
  mem_limit: 512M
  cpu_limit: 0.5
  command: nginx -g "daemon off;"
  dns: 10.0.0.1
  placement: {constraints: [node.labels.repository != true], preferences: [{spread: node.labels.zone}]}
  restart_config: {condition: on-failure, delay: 5s, max_attempts: 3}
  update_config: {parallelism: 2, delay: 10s, failure_action: rollback, order: start-first}
  rollback_config: {max_failure_ratio: 0.5}
  cpu_reservation: 0.25
  secrets: [{name: token, content: "{{ 'open ' + 'sesame' }}", mode: '0400'}]
  configs: [{name: app.conf, content: "a = 1", target: /etc/app.conf, uid: 5}]
  mem_reservation: 64M
  healthcheck: {test: [CMD, "true"], interval: 10s, retries: 2}
  backup_scripts:
  - {name: db, container: web, backup_command: dump, cleanup_days_before: 3, ext: sql}
  monitor_error: ['timed out .* "/x', '[[:digit:]]+ failed']
`),
    })
    const site = await loadSite({ root, env: {} })
    const service = site.services[0]
    assert.equal(service?.replicas, 2)
    assert.equal(service?.stopGracePeriodNs, 90_000_000_000n)
    assert.equal(service?.memoryLimitBytes, 536_870_912n)
    assert.deepEqual(service?.command, ['nginx', '-g', 'daemon off;'])
    assert.deepEqual(service?.dns, ['10.0.0.1'])
    assert.deepEqual(service?.preferences, ['node.labels.zone'])
    assert.deepEqual(service?.restart, { condition: 'on-failure', delayNs: 5_000_000_000n, maxAttempts: 3, windowNs: undefined })
    const policy = { parallelism: 1, delayNs: 0n, failureAction: 'pause', monitorNs: 5_000_000_000n, maxFailureRatio: 0, order: 'stop-first' }
    assert.deepEqual(service?.update, { ...policy, parallelism: 2, delayNs: 10_000_000_000n, failureAction: 'rollback', order: 'start-first' })
    assert.deepEqual(service?.rollback, { ...policy, maxFailureRatio: 0.5 })
    assert.deepEqual(service?.secrets, [{ name: 'token', content: 'open sesame', target: 'token', uid: 0, gid: 0, mode: 0o400 }])
    assert.deepEqual(service?.configs, [{ name: 'app.conf', content: 'a = 1', target: '/etc/app.conf', uid: 5, gid: 0, mode: 0o444 }])
    assert.deepEqual([service?.cpuReservation, service?.memoryReservationBytes], [0.25, 67_108_864n])
    assert.equal(service?.healthcheck?.intervalNs, 10_000_000_000n)
    assert.equal(service?.backupScripts[0]?.ext, 'sql')
    assert.ok(site.notices.some((notice) => notice.includes("'container' means nothing")))
  })

  test("variables of pseudo-hosts override the definitions, the host's over its groups'", async (context) => {
    const root = siteFolder(context, {
      'inventory/s.yml': services(`web:
  image: {from: nginx, roles: [addon]}
  replicas: 2
  labels: {a: "{{ where }}"}
  volumes: [{source: dd, target: /d, type: volume, drbd: {size: 1G, fstype: xfs}}]
`),
      'inventory/group_vars/all.yml': 'where: all\n',
      'inventory/group_vars/services/10-a.yml': 'where: services\n',
      'inventory/group_vars/production.yml': 'where: production\n',
      'inventory/host_vars/web.json': '{"hive_replicas": 3}',
      'inventory/host_vars/image_web.yml': 'hive_from: "nginx:{{ version }}"\nversion: "1.27"\n',
      'inventory/host_vars/volume_dd.yaml': 'hive_volume: {name: dd, drbd: {size: 5G, fstype: ext4, device_id: 1}}\n',
      'inventory/host_vars/hive_default_network.yml': 'hive_network_attachable: no\n',
      'inventory/host_vars/p-hive1.test.example.com': 'hive_agent_port: 12345\n',
    })
    const site = await loadSite({ root, env: {} })
    assert.equal(site.services[0]?.replicas, 3)
    assert.equal(site.services[0]?.labels['a'], 'services')
    assert.equal(site.images[0]?.from, 'nginx:1.27')
    assert.deepEqual([site.volumes[0]?.size, site.volumes[0]?.fstype], ['5G', 'ext4'])
    assert.equal(site.networks[0]?.attachable, false)
    assert.deepEqual(
      site.hosts.map((host) => host.settings.agentPort),
      [17443, 12345, 17443, 17443],
    )
  })

  test('secret files, environment variables and files for lookups', async (context) => {
    const root = siteFolder(context, {
      'inventory/s.yml': services(`web:
  image: nginx
  environment:
    A: "{{ credentials.key }}"
    B: "prefix-{{ credentials.key }}"
    C: "{{ lookup('file', 'note.txt') }}"
    D: "{{ lookup('pipe', 'echo hello') }}"
    API_TOKEN: plain
    HOME: "{{ lookup('env', 'HOME') }}"
`),
      'inventory/group_vars/services.yml': "credentials: \"{{ lookup('file', inventory_dir | dirname + '/secrets.yml') | from_yaml | default({}) }}\"\n",
      'secrets.yml': 'key: very-secret\n',
      'files/note.txt': 'a note\n',
    })
    const site = await loadSite({ root, env: { HOME: '/home/me' }, runCommands: true })
    assert.deepEqual(site.services[0]?.environment, {
      A: 'very-secret',
      B: 'prefix-very-secret',
      C: 'a note',
      D: 'hello',
      API_TOKEN: 'plain',
      HOME: '/home/me',
    })
    const masked = '********'
    assert.deepEqual(inventoryJson(site).services[0]?.environment, { A: masked, B: masked, C: 'a note', D: 'hello', API_TOKEN: masked, HOME: '/home/me' })
  })

  test('passwords have the length and characters asked for, in the file that Ansible would read', async (context) => {
    const root = siteFolder(context, {
      'inventory/s.yml': services(`web:\n  image: nginx\n  environment: {P: "{{ lookup('password', hive_context_dir + '/db length=30 chars=digits') }}1A"}\n`),
    })
    const path = join(root, '.hive/private/db')
    const first = (await loadSite({ root, env: {} })).services[0]?.environment['P']
    assert.equal(existsSync(path), false)
    assert.match(first ?? '', /^\d{30}1A$/)
    await loadSite({ root, env: {}, createPasswords: true })
    assert.equal(`${readFileSync(path, 'utf8').trimEnd()}1A`, first)
    assert.equal(statSync(path).mode & 0o777, 0o600)
  })

  test('tags are mapped, images pulled where they are not built', async (context) => {
    const root = siteFolder(context, {
      'inventory/s.yml': services(`a:
  image: mariadb:10.4
b:
  image: {from: mariadb:10.4, roles: [], pull_on: [private], pull_from: "ghcr.io/x/b:1"}
c:
  image: {from: debian:12, roles: []}
d:
  image: "{{ hive_registry }}/image_c"
`),
      '.hive/private/tag-mapping.json': JSON.stringify({
        'mariadb:10.4': 'mariadb:10.4.34',
        'p-hive3.test.example.com:5000/image_c:latest': 'p-hive3.test.example.com:5000/image_c@sha256:abc',
      }),
    })
    const site = await loadSite({ root, env: {} })
    assert.deepEqual(
      site.services.map((service) => service.mappedReference ?? (service.image.kind === 'reference' ? service.image.reference : service.image.image)),
      ['mariadb:10.4.34', 'image_b', 'p-hive3.test.example.com:5000/image_c@sha256:abc', 'p-hive3.test.example.com:5000/image_c:latest'],
    )
    assert.deepEqual(
      site.images.map((image) => [image.from, image.pullFrom]),
      [
        ['mariadb:10.4.34', 'ghcr.io/x/b:1'],
        ['debian:12', undefined],
      ],
    )
  })

  test('values that must not be rendered', async (context) => {
    const root = siteFolder(context, {
      'inventory/s.yml': services('web:\n  image: nginx\n  environment:\n    A: !unsafe "{{ not a template }}"\n'),
    })
    assert.equal((await loadSite({ root, env: {} })).services[0]?.environment['A'], '{{ not a template }}')
  })

  test('internal_cidr plans the networks of docker', async (context) => {
    const root = siteFolder(context, {
      'inventory/hive.yml': `plugin: hive_inventory
name: test
stages:
  private: {provider: nspawn, cidr: 10.0.0.0/24, internal_cidr: 172.31.252.0/22, internal_cidr_v6: "fd00:1::/48"}
`,
      'inventory/s.yml': 'plugin: hive_services\nservices: {}\nnetworks:\n  front: {ipam: {config: [{subnet: 10.5.0.0/24, gateway: 10.5.0.1}]}}\n',
    })
    const site = await loadSite({ root, env: {} })
    assert.deepEqual(site.dockerNetworks, {
      bridgeAddress: '172.31.254.129/25',
      gwbridge: { subnet: '172.31.254.0/25', subnetV6: 'fd00:1:0:8000::/51' },
      ingress: { subnet: '172.31.253.0/24', gateway: '172.31.253.1' },
      zabbix: { subnet: '172.31.255.128/25', bridge: '172.31.255.129', server: '172.31.255.130', web: '172.31.255.131', database: '172.31.255.132' },
    })
    assert.deepEqual(
      site.networks.map((network) => [network.name, network.subnet, network.gateway]),
      [
        ['front', '10.5.0.0/24', '10.5.0.1'],
        ['hive_default_network', '172.31.252.0/24', undefined],
      ],
    )
  })

  test('a service without a body is left out, unless its variables give it an image', async (context) => {
    const root = siteFolder(context, { 'inventory/s.yml': services('web:\nother:\n'), 'inventory/host_vars/other.yml': 'hive_image: nginx\n' })
    const site = await loadSite({ root, env: {} })
    assert.deepEqual(
      site.services.map((service) => [service.name, service.image]),
      [['other', { kind: 'reference', reference: 'nginx' }]],
    )
    assert.ok(site.notices.some((notice) => notice.includes('services.web has no body')))
  })

  test('the first hive is chosen by HIVE_FIRST_HIVE', async (context) => {
    const root = siteFolder(context, {})
    const site = await loadSite({ root, env: { HIVE_FIRST_HIVE: '2' } })
    assert.deepEqual(
      site.hosts.map((host) => host.isFirstHive),
      [false, false, true, false],
    )
    assert.deepEqual(site.groups.get('first_hive'), ['p-hive2.test.example.com'])
  })

  test('environment as a list of texts, service names with underscores, endpoint modes in upper case', async (context) => {
    const root = siteFolder(context, {
      'inventory/s.yml': services(`web_db:
  image: nginx
  endpoint_mode: DNSRR
  environment:
  - OPTIONS=a=b
  - EMPTY=
`),
    })
    const site = await loadSite({ root, env: {} })
    assert.deepEqual(site.services[0]?.environment, { OPTIONS: 'a=b', EMPTY: '' })
    assert.equal(site.services[0]?.endpointMode, 'dnsrr')
    assert.match(site.notices.join(), /services\.web_db: the name is a host name too/)
  })

  test('a diskless list names hosts of every stage', async (context) => {
    const root = siteFolder(context, {
      'inventory/hive.yml': `${hive}${hive.slice(hive.indexOf('  private:')).replace('private', 'staging')}`,
      'inventory/s.yml': services(
        'a:\n  image: a\n  volumes:\n  - {source: vv, target: /v, type: volume, drbd: {size: 1G, fstype: xfs, diskless: [s-hive0.test.example.com]}}\n',
      ),
    })
    assert.deepEqual((await loadSite({ root, env: {} })).volumes[0]?.diskless, ['s-hive0.test.example.com'])
  })

  test('roles of requirements.yml, of collections and of hive are known', async (context) => {
    const root = siteFolder(context, {
      'roles/own/tasks/main.yml': '[]\n',
      'requirements.yml': 'roles:\n- powerdns.pdns\n- {name: named, src: git+somewhere}\n- src: plain\n',
      'inventory/s.yml': services('a:\n  image: a\n  initialize_roles: [own, powerdns.pdns, named, plain, space.collection.role, python-aptk]\n'),
    })
    assert.equal((await loadSite({ root, env: {} })).services[0]?.initializeRoles.length, 6)
  })

  test('zones that a provider counts are numbers', async (context) => {
    const root = siteFolder(context, {
      'inventory/hive.yml': 'plugin: hive_inventory\nname: test\nstages:\n  production:\n    provider: azure\n    cidr: 10.0.0.0/24\n    region: japaneast\n',
    })
    const site = await loadSite({ root, stage: 'production', env: {} })
    assert.deepEqual(
      inventoryJson(site).hosts.map((host) => host.zone),
      [1, 2, 3, 1],
    )
  })
})

describe('a secret file that is not in the repository', () => {
  const files = {
    'inventory/group_vars/all.yml': `credentials: "{{ lookup('file', inventory_dir | dirname + '/secrets.yml') | from_yaml | default({}) }}"\n`,
    'inventory/s.yml': services(`web:
  image: nginx
  environment:
    LOGIN: "{{ credentials.login }}"
    OTHER: plain
`),
  }

  test('leaves what is made from it open, masked and told, where a site is only looked at', async (context) => {
    const root = siteFolder(context, files)
    const site = await loadSite({ root, env: {} })
    assert.deepEqual(site.services[0]?.environment, { LOGIN: '<secrets.yml is missing>', OTHER: 'plain' })
    assert.equal(inventoryJson(site).services[0]?.environment['LOGIN'], mask)
    assert.match(site.notices.join(), /inventory\/group_vars\/all\.yml:1:14: there is no file .*secrets\.yml: what is made from it is left open/)
    assert.match(String(site.ansibleInventory().hostVariables['web']?.['credentials']), /lookup\('file'/)
  })

  test('is a mistake where the site is to be deployed', async (context) => {
    const root = siteFolder(context, files)
    await assert.rejects(loadSite({ root, env: {}, createPasswords: true }), /all\.yml:1:14: .*there is no file .*secrets\.yml/)
    assert.equal(existsSync(join(root, '.hive')), false)
  })

  test('counts once it is there', async (context) => {
    const root = siteFolder(context, { ...files, 'secrets.yml': 'login: open sesame\n' })
    assert.deepEqual((await loadSite({ root, env: {} })).services[0]?.environment, { LOGIN: 'open sesame', OTHER: 'plain' })
  })
})
