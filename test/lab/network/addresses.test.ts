/** Virtual addresses on real interfaces: lent and taken, told to the neighbours on the wire, forwarded by real iptables of both kinds. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { LinkSight } from '../../../agent/adapters/network/addresses.ts'
import { type RuleSight, ruleKey } from '../../../agent/adapters/network/iptables.ts'
import { rulesOf } from '../../../agent/watchers/follower/desired.ts'
import type { VirtualAddress } from '../../../proto/follower-labels.ts'
import { labObstacle } from '../obstacle.ts'
import { Namespaces } from './namespaces.ts'

const v4 = { address: '10.0.0.50', family: 4, prefixLength: 24, interface: 'eth0', inNetwork: true } as const
const v6 = { address: 'fd00::50', family: 6, prefixLength: 64, interface: 'eth0', inNetwork: true } as const

suite('virtual addresses in a network namespace', { skip: labObstacle() ?? false }, () => {
  let spaces: Namespaces
  before(() => {
    spaces = new Namespaces('addr')
  })
  after(() => spaces.remove())

  const addresses = async () => ((await spaces.call([['readLinks']]))[0] as readonly LinkSight[]).flatMap((link) => link.addresses)
  const find = async (text: string) => (await addresses()).find(({ address }) => address === text)

  test('are lent for a time, renewed, and taken, of both families', async () => {
    await spaces.call([
      ['lendAddress', v4, 60],
      ['lendAddress', v6, 60],
    ])
    for (const { address, prefixLength } of [v4, v6]) {
      const found = await find(address)
      assert.deepEqual([found?.interface, found?.prefixLength], ['eth0', prefixLength])
      assert.ok((found?.secondsLeft ?? Number.POSITIVE_INFINITY) <= 60)
    }
    await spaces.call([
      ['lendAddress', v4, 3000],
      ['lendAddress', v6, 3000],
    ])
    for (const { address } of [v4, v6]) assert.ok(((await find(address))?.secondsLeft ?? 0) > 60)
    // At once, without duplicate address detection.
    assert.doesNotMatch(spaces.run(spaces.host, 'ip', '-6', 'address', 'show', 'dev', 'eth0'), /fd00::50.*tentative/)
    await spaces.call([
      ['takeAddress', v4],
      ['takeAddress', v6],
      ['takeAddress', v6],
    ])
    assert.deepEqual([await find(v4.address), await find(v6.address)], [undefined, undefined])
  })

  test('leave the host its own addresses, and the routes to their networks for good', async () => {
    const before = (await addresses()).map(({ address, secondsLeft }) => [address, secondsLeft])
    await spaces.call([
      ['lendAddress', v4, 60],
      ['lendAddress', v6, 60],
      ['lendAddress', v6, 50],
    ])
    for (const family of ['-4', '-6']) assert.doesNotMatch(spaces.run(spaces.host, 'ip', family, 'route', 'show', 'dev', 'eth0'), /expires/)
    await spaces.call([
      ['takeAddress', v4],
      ['takeAddress', v6],
    ])
    assert.deepEqual(
      (await addresses()).map(({ address, secondsLeft }) => [address, secondsLeft]),
      before,
    )
    assert.match(spaces.run(spaces.host, 'ip', '-6', 'route', 'show', 'dev', 'eth0'), /^fd00::\/64/m)
  })

  test('go by themselves when nobody renews them', { timeout: 120_000 }, async () => {
    await spaces.call([
      ['lendAddress', v4, 1],
      ['lendAddress', v6, 1],
    ])
    const gone = async (): Promise<boolean> => !(await addresses()).some(({ address }) => [v4.address, v6.address].includes(address as never))
    while (!(await gone()));
  })

  test('are told to the neighbours: gratuitous ARP and an unsolicited neighbour advertisement', { timeout: 60_000 }, async () => {
    await spaces.call([
      ['lendAddress', v4, 60],
      ['lendAddress', v6, 60],
    ])
    const mac = spaces.run(spaces.host, 'cat', '/sys/class/net/eth0/address').trim().replaceAll(':', '')
    const frame = await spaces.listen()
    await spaces.call([['announce', 'eth0', ['10.0.0.50', 'fd00::50']]])
    for (const operation of ['0002', '0001']) {
      const arp = await frame(
        ({ type, body }) => type === '0806' && body.subarray(6, 8).toString('hex') === operation && body.subarray(14, 18).equals(Buffer.from([10, 0, 0, 50])),
      )
      assert.equal(arp.to, 'ffffffffffff')
      assert.equal(arp.from, mac)
      // Ethernet, IPv4, lengths, operation, sender, target.
      assert.equal(arp.body.subarray(0, 28).toString('hex'), `0001080006040000${mac}0a000032ffffffffffff0a000032`.replace('06040000', `0604${operation}`))
    }
    const advertisement = await frame(({ type, body }) => type === '86dd' && body[6] === 58 && body[40] === 136)
    assert.deepEqual([advertisement.to, advertisement.from], ['333300000001', mac])
    const target = 'fd000000000000000000000000000050'
    // Hop limit 255, to all nodes, override, the target and its hardware address.
    assert.equal(advertisement.body[7], 255)
    assert.equal(advertisement.body.subarray(24, 40).toString('hex'), 'ff020000000000000000000000000001')
    assert.equal(advertisement.body.subarray(44, 72).toString('hex'), `20000000${target}0201${mac}`)
  })

  test('a neighbour that knew the address of another host follows both', { timeout: 60_000 }, async () => {
    const wrong = '02:00:00:00:00:99'
    await spaces.call([
      ['lendAddress', v4, 60],
      ['lendAddress', v6, 60],
    ])
    for (const address of [v4.address, v6.address])
      spaces.run(spaces.neighbour, 'ip', 'neighbour', 'replace', address, 'lladdr', wrong, 'dev', 'eth0', 'nud', 'reachable')
    const known = (address: string): string => spaces.run(spaces.neighbour, 'ip', 'neighbour', 'show', address)
    assert.match(known(v4.address), new RegExp(wrong))
    const mac = spaces.run(spaces.host, 'cat', '/sys/class/net/eth0/address').trim()
    // An entry made a moment ago is locked against change for a second.
    for (const address of [v4.address, v6.address]) while (!known(address).includes(mac)) await spaces.call([['announce', 'eth0', [address]]])
  })

  for (const kind of ['nft', 'legacy'])
    test(`rules of iptables-${kind} are read back as they were written, and taken away`, async () => {
      const names = mkdtempSync(join(tmpdir(), 'hive-iptables-'))
      try {
        for (const name of ['iptables', 'ip6tables'])
          symlinkSync(execFileSync('sh', ['-c', `command -v ${name}-${kind}`], { encoding: 'utf8' }).trim(), join(names, name))
        const env = { PATH: `${names}:${process.env['PATH']}` }
        for (const family of [4, 6] as const) {
          const vip: VirtualAddress = {
            label: 'HIVE_VIP',
            family,
            address: family === 4 ? v4.address : v6.address,
            prefixLength: undefined,
            interface: undefined,
            router: undefined,
            ports: [
              { port: 80, protocol: 'tcp' },
              { port: 53, protocol: 'udp' },
            ],
            snat: true,
          }
          const rules = rulesOf(vip, 'web', 'eth0', family === 4 ? '172.18.0.3' : 'fd99::3', new Set())
          const read = async (): Promise<readonly RuleSight[]> => {
            const answers = await spaces.call(
              (['nat', 'filter'] as const).map((table) => ['rules', family, table, ['hive_']] as const),
              env,
            )
            return (answers as readonly { readonly rules: readonly RuleSight[] }[]).flatMap((answer) => answer.rules)
          }
          await spaces.call(
            rules.map((rule) => ['insertRule', rule] as const),
            env,
          )
          const found = await read()
          assert.deepEqual(found.map(ruleKey).sort(), rules.map(ruleKey).sort())
          await spaces.call(
            [...found, ...found].map((rule) => ['deleteRule', rule] as const),
            env,
          )
          assert.deepEqual(await read(), [])
        }
      } finally {
        rmSync(names, { recursive: true })
      }
    })
})
