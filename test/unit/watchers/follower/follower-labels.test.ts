import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { canonical, hasWishes, labelComplaints, wishesOf } from '../../../../proto/follower-labels.ts'

describe('labels that hosts follow', () => {
  it('have the names that hive-builder gives them', () => {
    const labels = Object.fromEntries(
      ['', '0', '1', '2', '3', '4', '5'].flatMap((number, index) => [
        [`HIVE_VIP${number}`, `10.0.0.${index + 1}`],
        [`HIVE_ROUTER${number}`, '10.0.0.254'],
        [`HIVE_DNAT_PORTS${number}`, String(80 + index)],
        [`HIVE_VIP${number}_V6`, `fd00::${index + 1}`],
        [`HIVE_ENABLE_VIP_SNAT${number}_V6`, 'True'],
      ]),
    )
    const { addresses, problems } = wishesOf({ ...labels, HIVE_VIP6: '10.0.0.9', HIVE_MARK: 'proxy_config' })
    assert.deepEqual([problems, addresses.length], [[], 14])
    assert.deepEqual(
      addresses.filter(({ family }) => family === 4).map(({ address, router, ports, snat }) => [address, router, ports[0]?.port, snat]),
      [0, 1, 2, 3, 4, 5, 6].map((index) => [`10.0.0.${index + 1}`, '10.0.0.254', 80 + index, false]),
    )
    assert.deepEqual(addresses.filter(({ family }) => family === 6).map(({ label, router, snat }) => [label, router, snat])[1], [
      'HIVE_VIP0_V6',
      undefined,
      true,
    ])
  })

  it('that came out empty ask nothing', () => {
    assert.equal(hasWishes({ HIVE_VIP: '', HIVE_MARK: ' ' }), false)
    assert.deepEqual(wishesOf({ HIVE_VIP: '', HIVE_MARK: '', HIVE_ROUTER: '' }), { mark: undefined, addresses: [], problems: [] })
    assert.equal(hasWishes({ HIVE_VIP5_V6: 'x' }), true)
    assert.equal(hasWishes({ HIVE_STANDALONE: 'True', HIVE_ROUTER: '10.0.0.1' }), false)
  })

  for (const [value, message] of [
    ['10.0.0', "'10.0.0' is no IPv4 address"],
    ['fd00::1', "'fd00::1' is no IPv4 address"],
    ['10.0.0.1/24', "'10.0.0.1/24' names no interface: write ADDRESS, or ADDRESS/PREFIX@INTERFACE"],
    ['10.0.0.1/33@eth0', "'/33' is no length of a prefix"],
    ['10.0.0.1@', "'' is no name of an interface"],
    ['10.0.0.1@eth0; reboot', "'eth0; reboot' is no name of an interface"],
    ['127.0.0.1', "127.0.0.1 can't be given to a host"],
    ['224.0.0.5', "224.0.0.5 can't be given to a host"],
  ] as const)
    it(`that are wrong say so: HIVE_VIP ${value}`, () => assert.deepEqual(labelComplaints({ HIVE_VIP: value }), [`HIVE_VIP: ${message}`]))

  it('of a router that is none keep the address from its place', () => {
    const { addresses, problems } = wishesOf({ HIVE_VIP: '10.0.0.1', HIVE_ROUTER: 'gateway' })
    assert.deepEqual([addresses, problems], [[], [{ label: 'HIVE_ROUTER', message: "'gateway' is no IPv4 address of a router" }]])
  })

  it('of any text are no error, and come out as words that are safe to hand on', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom('HIVE_VIP', 'HIVE_VIP2', 'HIVE_VIP_V6', 'HIVE_ROUTER', 'HIVE_DNAT_PORTS', 'HIVE_MARK'), fc.string()),
        (labels) => {
          const { addresses, mark } = wishesOf(labels)
          for (const { address, interface: link, family } of addresses) {
            assert.equal(canonical(address, family), address)
            assert.match(link ?? 'eth0', /^[\w.-]+$/)
          }
          assert.match(mark ?? 'mark', /^[\w.-]+$/)
        },
      ),
    )
  })
})
