/** Virtual addresses, marks and the firewall on real hosts, with a swarm that moves services and hosts that die. The tests build on each other. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { FollowerStatus } from '#gen/hive/v1/follower.ts'
import { cable, managersReachable, nodesReady, power, processesOf } from './harness/breaking.ts'
import { eventually, patience } from './harness/eventually.ts'
import { capture, LabSite } from './harness/lab-site.ts'
import { nothingLeft, plan } from './harness/plans.ts'
import { tinyImageFolder } from './harness/tiny-image.ts'
import { labObstacle } from './obstacle.ts'

const services = 'inventory/services.yml'
const hives = ['p-hive0.small', 'p-hive1.small', 'p-hive2.small']
const vip = '10.88.0.200'

/** One that answers at the address by forwarding, one that follows its mark, one with labels that nobody can follow. */
const labelled = `  door:
    image: busybox:1
    command: [busybox, httpd, -f, -p, "8081", -h, /srv]
    endpoint_mode: dnsrr
    networks: [front, hive_default_network]
    stop_grace_period: 1s
    placement: { constraints: [node.labels.movable != no] }
    labels:
      HIVE_VIP: ${vip}
      HIVE_ROUTER: 10.88.0.7
      HIVE_DNAT_PORTS: "8081"
      HIVE_ENABLE_VIP_SNAT: "TRUE"
      HIVE_MARK: door_here
  beside:
    image: busybox:1
    command: [busybox, sh, -c, "trap exit TERM; while :; do sleep 1 & wait $!; done"]
    endpoint_mode: dnsrr
    stop_grace_period: 1s
    placement: { constraints: [node.labels.door_here == true] }
  wrong:
    image: busybox:1
    command: [busybox, sh, -c, "trap exit TERM; while :; do sleep 1 & wait $!; done"]
    endpoint_mode: dnsrr
    stop_grace_period: 1s
    labels:
      HIVE_VIP: not-an-address
`

suite('services with virtual addresses and marks', { skip: labObstacle() ?? false }, () => {
  let site: LabSite
  /** Where things are as far as the living say. */
  const off = new Set<string>()

  before(async () => {
    site = new LabSite(new URL('sites/small', import.meta.url).pathname, { images: tinyImageFolder() })
    site.edit(services, (text) => text.replace('networks:\n  front:', `${labelled}networks:\n  front:`))
  })
  after(() => site.destroy())

  const living = (): readonly string[] => hives.filter((name) => !off.has(name))
  const holders = async (): Promise<readonly string[]> => {
    const found: string[] = []
    for (const name of living()) if ((await site.onHost(name, 'ip -brief -4 address')).includes(`${vip}/`)) found.push(name)
    return found
  }
  /** Of the services' tasks as a manager sees them: the host that runs it. */
  const runsOn = async (name: string): Promise<string | undefined> => {
    const out = await site.onHost(living()[0] ?? '', `docker service ps ${name} --filter desired-state=running --format '{{.Node}} {{.CurrentState}}'`)
    return out.split('\n').flatMap((line) => (/ Running/.test(line) ? [`${line.split(' ')[0]}.small`] : []))[0]
  }
  const marked = async (): Promise<readonly string[]> => {
    const out = await site.onHost(
      living()[0] ?? '',
      `docker node ls --quiet | xargs docker node inspect --format '{{.Description.Hostname}} {{index .Spec.Labels "door_here"}}'`,
    )
    return out.split('\n').flatMap((line) => (line.endsWith(' true') ? [`${line.split(' ')[0]}.small`] : []))
  }
  const answers = async (): Promise<boolean> =>
    (
      await site.inNetwork([
        'python3',
        '-c',
        `import http.client; c = http.client.HTTPConnection('${vip}', 8081, timeout=5); c.request('GET', '/'); print(c.getresponse().status)`,
      ])
    ).code === 0
  const status = async (host: string): Promise<FollowerStatus> => JSON.parse((await site.text(['call', host, 'FollowerService/Status'])).out) as FollowerStatus

  /** Address and mark are where the service runs and nowhere else, the address answers, and what follows the mark runs there. */
  const together = (): Promise<string> =>
    eventually('address, mark and service are together', patience, async () => {
      const where = await runsOn('door')
      if (where === undefined || (await holders()).join() !== where || (await marked()).join() !== where) return undefined
      return (await runsOn('beside')) === where && (await answers()) ? where : undefined
    })

  test('a deploy brings them to one host; the bad label is told and hurts nobody else; a second plan is empty', async () => {
    const outcome = await site.succeed(['deploy'])
    const notice = "wrong: HIVE_VIP: 'not-an-address' is no IPv4 address"
    assert.ok(outcome.events.some((event) => event.code === 'notice' && event.message.startsWith(notice)))
    const where = await together()
    const { problems, addresses } = await status(where)
    assert.deepEqual(problems, [{ service: 'wrong', label: 'HIVE_VIP', message: "'not-an-address' is no IPv4 address" }])
    assert.deepEqual([addresses[0]?.address, addresses[0]?.router], [vip, 'answers'])
    assert.match(await site.onHost(where, 'journalctl -u hive-agent -o cat --no-pager'), /"level":50[^\n]*wrong: HIVE_VIP/)
    const health = await site.text(['call', where, 'grpc.health.v1.Health/Check', '{"service": "hive.v1.FollowerService"}'])
    assert.match(health.out, /NOT_SERVING/)
    const shown = (await site.succeed(['status'])).result as { readonly hosts: readonly { readonly name: string; readonly follower?: FollowerStatus }[] }
    assert.deepEqual(
      shown.hosts.filter(({ follower }) => follower?.addresses.some(({ address }) => address === vip)).map(({ name }) => name),
      [where],
    )
    await nothingLeft(site)
  })

  test('they move with the service, and an agent that is started anew keeps them', async () => {
    const from = await together()
    await site.onHost(from, 'systemctl restart hive-agent')
    assert.equal(await together(), from)
    await site.onHost(living()[0] ?? '', `docker node update --label-add movable=no ${from.split('.')[0]}`)
    const to = await eventually('it moved', patience, async () => {
      const where = await runsOn('door')
      return where === from ? undefined : where
    })
    assert.equal(await together(), to)
    assert.doesNotMatch(await site.onHost(from, 'iptables -t nat -S; iptables -S'), /hive_(?:dnat|accept|snat)_/)
    await site.onHost(living()[0] ?? '', `docker node update --label-rm movable ${from.split('.')[0]}`)
  })

  test('a host that is cut off gives the address back by itself, and another one has it', async () => {
    const from = await together()
    await cable(site, 'unplug', from)
    off.add(from)
    const to = await together()
    assert.notEqual(to, from)
    const [agent] = processesOf(site, from.replace('.small', ''), 'hive-agent')
    const held = await capture(['nsenter', '--target', String(agent), '--net', 'ip', '-4', 'address'], 10_000)
    assert.deepEqual([held.code, held.out.includes(`${vip}/`)], [0, false])
    await cable(site, 'plug', from)
    off.delete(from)
    await managersReachable(site, to, 3)
    assert.equal((await holders()).join(), to)
  })

  test('a host that loses its power leaves neither address nor mark behind', async () => {
    const from = await together()
    await power(site, 'off', from)
    off.add(from)
    assert.notEqual(await together(), from)
    await power(site, 'on', from)
    off.delete(from)
    await nodesReady(site, living()[0] ?? '', 3)
    await together()
  })

  test('the firewall keeps the cluster to the site, comes back by itself, and goes by a variable', async () => {
    const [first = '', second = ''] = hives
    const connects = async (address: string, port: number): Promise<boolean> =>
      (await site.inNetwork(['python3', '-c', `import socket; socket.create_connection(('${address}', ${port}), 3)`])).code === 0
    const { hosts } = (await site.succeed(['status'])).result as { readonly hosts: readonly { readonly name: string; readonly address: string }[] }
    const address = hosts.find(({ name }) => name === first)?.address ?? ''
    // The one who looks is on the stage's network, and none of its hosts.
    assert.deepEqual([await connects(address, 22), await connects(address, 8080), await connects(address, 2377)], [true, true, false])
    await site.onHost(second, `python3 -c "import socket; socket.create_connection(('${address}', 2377), 3)"`)
    await site.onHost(first, 'iptables -F INPUT; iptables -F HIVE-SERVICE')
    await eventually('the agent puts it back', patience, async () => (await site.onHost(first, 'iptables -S INPUT')).includes('HIVE-SERVICE'))
    await nothingLeft(site)

    site.edit('inventory/group_vars/servers.yml', (text) => `${text}hive_firewall: False\n`)
    assert.deepEqual(
      (await plan(site)).flatMap(({ steps }) => steps.map(({ step }) => step)).sort(),
      [...hives, 'p-hive3.small'].map((name) => `setup-hosts/firewall@${name}`),
    )
    await site.succeed(['deploy', '--only', 'setup-hosts'])
    assert.doesNotMatch(await site.onHost(first, 'iptables -S; ip6tables -S'), /HIVE-/)
    assert.equal(await connects(address, 2377), true)
    await nothingLeft(site)
  })
})
