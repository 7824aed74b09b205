/** The hosts' firewall with real iptables of both kinds: what gets through, that a second time changes nothing, and the way back. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { FirewallSpec } from '../../../agent/adapters/network/firewall-rules.ts'
import { labObstacle } from '../obstacle.ts'
import type { Call } from './inside.ts'
import { Namespaces } from './namespaces.ts'

const neighbour = '10.0.0.2'
const open: FirewallSpec = {
  absent: false,
  hosts: ['10.0.0.1', neighbour],
  internal: [],
  sshPort: 22,
  sshSources: [],
  agentPort: 17443,
  agentSources: [],
  cluster: [
    { name: 'swarm', protocol: 'tcp', ports: ['2377', '7946'] },
    { name: 'swarm', protocol: 'udp', ports: ['7946', '4789'] },
    { name: 'drbd', protocol: 'tcp', ports: ['7000:7999'] },
  ],
  internalFrom: 10_000,
  published: ['tcp 10090'],
}
/** The neighbour is none of the site's hosts. */
const strange: FirewallSpec = { ...open, hosts: ['10.0.0.1'] }

for (const kind of ['nft', 'legacy'])
  suite(`the firewall with iptables-${kind}`, { skip: labObstacle() ?? false }, () => {
    let spaces: Namespaces
    let names: string
    const call = (...calls: readonly Call[]) => spaces.call(calls, { PATH: `${names}:${process.env['PATH']}` })
    const iptables = (...args: readonly string[]) => spaces.run(spaces.host, join(names, 'iptables'), ...args)
    const saved = () =>
      ['iptables', 'ip6tables'].flatMap((name) => ['filter', 'nat'].map((table) => spaces.run(spaces.host, join(names, name), '-t', table, '-S'))).join('\n')
    const put = async (spec: FirewallSpec) => assert.deepEqual(await call(['putInPlace', spec, false]), [''])
    const takes = (port: number, address = '10.0.0.1') => spaces.connects(spaces.neighbour, address, port, 20)
    const refuses = (port: number, address = '10.0.0.1') => !spaces.connects(spaces.neighbour, address, port, 1)

    before(async () => {
      names = mkdtempSync(join(tmpdir(), 'hive-iptables-'))
      for (const name of ['iptables', 'ip6tables', 'iptables-restore', 'ip6tables-restore']) {
        const real = name.replace('tables', `tables-${kind}`)
        symlinkSync(execFileSync('sh', ['-c', `command -v ${real}`], { encoding: 'utf8' }).trim(), join(names, name))
      }
      spaces = new Namespaces(`fw${kind}`)
      const container = spaces.container()
      await spaces.serve(container, [80])
      await spaces.serve(spaces.host, [22, 17_443, 2377, 7001, 8000, 10_090])
      for (const rule of [
        '-N DOCKER-USER',
        '-N DOCKER',
        '-A DOCKER-USER -j RETURN',
        '-A FORWARD -j DOCKER-USER',
        '-A FORWARD -o docker0 -j DOCKER',
        '-A DOCKER -d 172.17.0.3/32 -j ACCEPT',
        '-t nat -N DOCKER',
        '-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER',
        '-t nat -A DOCKER -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.3:80',
        '-t nat -A DOCKER -p tcp --dport 10080 -j DNAT --to-destination 172.17.0.3:80',
      ])
        iptables(...rule.split(' '))
    })
    after(() => {
      spaces.remove()
      rmSync(names, { recursive: true })
    })

    test('a second time there is nothing to do, and without it everything is as it was', async () => {
      const before = saved()
      await put(open)
      const [differences] = await call(['firewallDifferences', open])
      assert.deepEqual(differences, [])
      const once = saved()
      await put(open)
      assert.equal(saved(), once)
      await put({ ...open, absent: true })
      assert.equal(saved(), before)
    })

    test('hosts of the site reach the ports of the cluster and internal published ones', async () => {
      await put(open)
      assert.deepEqual(
        [2377, 7001, 10_090, 8080, 10_080, 22, 17_443, 8000].filter((port) => !takes(port)),
        [],
      )
    })

    test('others reach ssh, the agent, published ports below 10000 and what is not named, and nothing else', async () => {
      await put(strange)
      assert.deepEqual(
        [22, 17_443, 8000, 8080].filter((port) => !takes(port)),
        [],
      )
      assert.deepEqual(
        [2377, 7001, 10_080, 10_090].filter((port) => !refuses(port)),
        [],
      )
      assert.deepEqual(
        [22, 17_443, 8000].filter((port) => !takes(port, 'fd00::1')),
        [],
      )
      assert.deepEqual(
        [2377, 7001, 10_090].filter((port) => !refuses(port, 'fd00::1')),
        [],
      )
    })

    test('what a container sends to the same port of another host is not held back', async () => {
      await put(strange)
      await spaces.serve(spaces.neighbour, [10_080])
      iptables('-t', 'nat', '-A', 'POSTROUTING', '-s', '172.17.0.0/16', '!', '-o', 'docker0', '-j', 'MASQUERADE')
      assert.equal(spaces.connects(`${spaces.host}c`, neighbour, 10_080, 20), true)
    })

    test('ssh and the agent are open to their sources', async () => {
      await put({ ...strange, sshSources: ['192.0.2.0/24'], agentSources: [neighbour] })
      assert.deepEqual([refuses(22), takes(17_443), refuses(17_443, 'fd00::1')], [true, true, true])
      await put({ ...strange, sshSources: ['10.0.0.0/28', 'fd00::/64'] })
      assert.deepEqual([takes(22), takes(22, 'fd00::1')], [true, true])
    })

    test('who is connected and would not get in again is named, of both families', async () => {
      await put({ ...open, absent: true })
      await spaces.stay(spaces.neighbour, '10.0.0.1', 22)
      await spaces.stay(spaces.neighbour, 'fd00::1', 17_443)
      const closed = { ...strange, sshSources: ['192.0.2.1'], agentSources: ['192.0.2.1'] }
      assert.deepEqual(await call(['shutOut', closed]), [['10.0.0.2 (ssh)', 'fd00::2 (agent)']])
      assert.deepEqual(await call(['shutOut', strange], ['shutOut', { ...closed, sshSources: ['10.0.0.0/24'], agentSources: ['fd00::/64'] }]), [[], []])
      assert.deepEqual(await call(['shutOut', { ...closed, absent: true }]), [[]])
    })

    test('what fails goes back to what was there, by itself', async () => {
      await put(open)
      const before = saved()
      assert.deepEqual(await call(['putInPlace', { ...strange, sshSources: ['192.0.2.1'] }, true]), ['refused'])
      assert.equal(saved(), before)
      await put({ ...open, absent: true })
      const bare = saved()
      assert.deepEqual(await call(['putInPlace', strange, true]), ['refused'])
      assert.equal(saved(), bare)
      // A port that iptables does not take: of two families and two chains none is changed.
      const [why] = await call(['putInPlace', { ...open, cluster: [{ name: 'x', protocol: 'tcp', ports: ['70000'] }] }, false])
      assert.match(String(why), /iptables-restore/)
      assert.equal(saved(), bare)
    })

    test('the agent keeps what its file says, also where a step was killed before it wrote the file, and without one nothing', async () => {
      const file = join(names, 'firewall.json')
      await put(open)
      const before = saved()
      await call(['keepSettings', open, file])
      assert.deepEqual(await call(['keep', file]), [[]])
      await put(strange)
      const [told] = await call(['keep', file])
      assert.match((told as readonly string[])[0] ?? '', /^the firewall is made anew: IPv4: other rules in HIVE-SERVICE/)
      assert.equal(saved(), before)
      await put(strange)
      const changed = saved()
      await call(['keepSettings', { ...open, absent: true }, file])
      assert.deepEqual(await call(['keep', file]), [[]])
      assert.equal(saved(), changed)
    })

    test('what another tool emptied is put in place again, and docker’s chains stay', async () => {
      await put(open)
      const before = saved()
      iptables('-F', 'INPUT')
      iptables('-F', 'HIVE-SERVICE')
      const [differences] = await call(['firewallDifferences', open])
      assert.equal((differences as readonly string[]).length, 2)
      await put(open)
      assert.equal(saved(), before)
      assert.match(iptables('-S', 'DOCKER-USER'), /-A DOCKER-USER -j HIVE-PUBLISHED\n-A DOCKER-USER -j RETURN/)
    })
  })
