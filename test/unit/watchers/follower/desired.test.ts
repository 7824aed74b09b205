import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type Desired, desired, type RouterAnswers } from '../../../../agent/watchers/follower/desired.ts'
import type { SwarmSight } from '../../../../agent/watchers/follower/picture.ts'
import { anyHost, anySwarm, host, node, service, swarm, task } from './sights.ts'

const none: RouterAnswers = new Map()
const textsOf = ({ problems }: Desired): readonly string[] => problems.map(({ service: name, label, message }) => `${name} ${label}: ${message}`)
const containers = new Map([['c-web-n1', { 4: '172.18.0.3', 6: undefined }]])
const placed = ({ addresses }: Desired): readonly string[] => addresses.map((one) => `${one.address}/${one.prefixLength}@${one.interface}`)

describe('what a host shall have', () => {
  it('is the address in the network that has it, where the task is wanted and nowhere else', () => {
    const services = [service('web', { HIVE_VIP: '10.0.0.50' })]
    assert.deepEqual(placed(desired(swarm(services, [task('web', 'n1')]), host(), none)), ['10.0.0.50/24@eth0'])
    assert.deepEqual(placed(desired(swarm(services, [task('web', 'n2')]), host(), none)), [])
    assert.deepEqual(placed(desired(swarm(services, []), host(), none)), [])
  })

  it('is the address on the named interface with the given prefix, or as a single host', () => {
    const services = [service('web', { HIVE_VIP: '192.0.2.7/28@eth0', HIVE_VIP0: '192.0.2.8@lo', HIVE_VIP5_V6: 'FD00:0:0::9/64@eth0' })]
    const wanted = desired(swarm(services, [task('web', 'n1')]), host(), none)
    assert.deepEqual(placed(wanted), ['192.0.2.7/28@eth0', '192.0.2.8/32@lo', 'fd00::9/64@eth0'])
    assert.deepEqual(
      wanted.addresses.map(({ inNetwork }) => inNetwork),
      [false, false, true],
    )
  })

  it('stays while the task that follows waits for its start, and goes to the one that runs', () => {
    const services = [service('web', { HIVE_VIP: '10.0.0.50' })]
    const ready = task('web', 'n1', { desired: 'ready', runs: false })
    assert.deepEqual(placed(desired(swarm(services, [ready]), host(), none)), ['10.0.0.50/24@eth0'])
    assert.deepEqual(placed(desired(swarm(services, [ready, task('web', 'n2')]), host(), none)), [])
  })

  it('forwards the ports to the container, lets them through, and sends from the address', () => {
    const labels = { HIVE_VIP: '10.0.0.50', HIVE_DNAT_PORTS: '80, 53/udp', HIVE_ENABLE_VIP_SNAT: 'True' }
    const wanted = desired(swarm([service('web', labels)], [task('web', 'n1')]), host([], { containers }), none)
    assert.deepEqual(
      wanted.rules.map(({ table, chain, words }) => `${table} ${chain} ${words.join(' ')}`),
      [
        'nat DOCKER -d 10.0.0.50/32 -p tcp -m tcp --dport 80 -m comment --comment hive_dnat_10.0.0.50_tcp_80_web -j DNAT --to-destination 172.18.0.3:80',
        'filter DOCKER -d 172.18.0.3/32 ! -i docker_gwbridge -o docker_gwbridge -p tcp -m tcp --dport 80 -m comment --comment hive_accept_10.0.0.50_tcp_80_web -j ACCEPT',
        'nat DOCKER -d 10.0.0.50/32 -p udp -m udp --dport 53 -m comment --comment hive_dnat_10.0.0.50_udp_53_web -j DNAT --to-destination 172.18.0.3:53',
        'filter DOCKER -d 172.18.0.3/32 ! -i docker_gwbridge -o docker_gwbridge -p udp -m udp --dport 53 -m comment --comment hive_accept_10.0.0.50_udp_53_web -j ACCEPT',
        'nat POSTROUTING -s 172.18.0.3/32 -o eth0 -m comment --comment hive_snat_10.0.0.50_web -j SNAT --to-source 10.0.0.50',
      ],
    )
  })

  it('has the address and no rules until the router answers, and nothing once it is given up', () => {
    const services = [service('web', { HIVE_VIP: '10.0.0.50', HIVE_ROUTER: '10.0.0.254', HIVE_DNAT_PORTS: '80' })]
    const seen = host([], { containers })
    const sight = swarm(services, [task('web', 'n1')])
    const [check] = desired(sight, seen, none).checks
    assert.ok(check !== undefined)
    const with_ = (answer: 'answers' | 'abandoned'): Desired => desired(sight, seen, new Map([[check.key, answer]]))
    assert.deepEqual([placed(desired(sight, seen, none)).length, desired(sight, seen, none).rules.length], [1, 0])
    assert.deepEqual([placed(with_('answers')).length, with_('answers').rules.length], [1, 2])
    assert.deepEqual([placed(with_('abandoned')).length, with_('abandoned').rules.length], [0, 0])
    assert.match(textsOf(with_('abandoned')).join(), /^web HIVE_VIP: 10\.0\.0\.254 did not answer/)
    // The next task is another try.
    const next = desired(swarm(services, [task('web', 'n1', { id: 'another' })]), seen, new Map([[check.key, 'abandoned']]))
    assert.equal(placed(next).length, 1)
  })

  it('has each thing that is wrong as a problem of its own service', () => {
    const services = [
      service('bad', { HIVE_VIP: 'ten', HIVE_VIP0: '10.0.0.60', HIVE_DNAT_PORTS0: '80,x' }),
      service('far', { HIVE_VIP: '198.51.100.1' }),
      service('lost', { HIVE_VIP: '10.0.0.61@eth7', HIVE_MARK: 'hives' }),
      service('well', { HIVE_VIP: '10.0.0.62', HIVE_MARK: 'well_here' }),
    ]
    const wanted = desired(swarm(services, [task('bad', 'n1'), task('far', 'n1'), task('lost', 'n1'), task('well', 'n1')]), host(), none)
    assert.deepEqual(placed(wanted), ['10.0.0.60/24@eth0', '10.0.0.62/24@eth0'])
    assert.deepEqual([...(wanted.marks?.get('n1') ?? [])], ['well_here'])
    assert.deepEqual([...textsOf(wanted)].sort(), [
      "bad HIVE_DNAT_PORTS0: 'x' is no port: write 80, 443/tcp or 53/udp",
      'bad HIVE_VIP0: its container has no IPv4 address on docker_gwbridge',
      "bad HIVE_VIP: 'ten' is no IPv4 address",
      'far HIVE_VIP: no interface of this host has a network with 198.51.100.1',
      "lost HIVE_MARK: 'hives' is a label that hosts have of themselves",
      'lost HIVE_VIP: this host has no eth7',
    ])
  })

  it('is one host for an address that two services ask for', () => {
    const services = [service('a', { HIVE_VIP: '10.0.0.50' }), service('b', { HIVE_VIP: '10.0.0.50' }, '2023-01-01T00:00:00Z')]
    const apart = desired(swarm(services, [task('a', 'n1'), task('b', 'n2')]), host(), none)
    assert.deepEqual(placed(apart), [])
    assert.deepEqual(textsOf(apart), ['a HIVE_VIP: 10.0.0.50 is where b runs, on another host'])
    const together = desired(swarm(services, [task('a', 'n1'), task('b', 'n1')]), host(), none)
    assert.deepEqual([placed(together), together.addresses[0]?.services, textsOf(together)], [['10.0.0.50/24@eth0'], ['b', 'a'], []])
  })

  it('is told where a worker, which follows nothing, has the task', () => {
    const nodes = [node('n1'), node('n2', { isManager: false })]
    const wanted = desired(swarm([service('web', { HIVE_VIP: '10.0.0.50' })], [task('web', 'n2')], { nodes }), host(), none)
    assert.deepEqual(textsOf(wanted), ['web HIVE_VIP: host-n2, where it runs, is no manager of the swarm: 10.0.0.50 is nowhere'])
  })

  it('a mark is on each node where a task of its service is wanted, and not on those that swarm has given up', () => {
    const nodes = [node('n1'), node('n2'), node('n3', { dead: true })]
    const sight = swarm([service('db', { HIVE_MARK: 'data' })], [task('db', 'n2'), task('db', 'n3', { slot: 2 })], { nodes })
    assert.deepEqual([...(desired(sight, host(), none).marks ?? [])], [['n2', new Set(['data'])]])
  })
})

describe('of any swarm', () => {
  const everywhere = (sight: SwarmSight): readonly { readonly id: string; readonly wanted: Desired }[] =>
    sight.nodes.map(({ id }) => ({ id, wanted: desired({ ...sight, nodeId: id }, host(), none) }))

  it('an address is wanted on one host at most, and never on one that swarm has given up', () => {
    fc.assert(
      fc.property(anySwarm, (sight) => {
        const holders = new Map<string, string>()
        for (const { id, wanted } of everywhere(sight))
          for (const { address } of wanted.addresses) {
            assert.equal(holders.get(address), undefined, address)
            holders.set(address, id)
            assert.equal(sight.nodes.find((one) => one.id === id)?.dead, false)
          }
      }),
      { numRuns: 500 },
    )
  })

  it('all hosts want the same marks, on living nodes with a task of a service that asks for it', () => {
    fc.assert(
      fc.property(anySwarm, (sight) => {
        const [first, ...others] = everywhere(sight).map(({ wanted }) => wanted.marks)
        for (const other of others) assert.deepEqual(other, first)
        for (const [id, marks] of first ?? [])
          for (const mark of marks) {
            assert.equal(sight.nodes.find((one) => one.id === id)?.dead, false)
            const asking = sight.services.filter(({ labels }) => labels['HIVE_MARK'] === mark).map((one) => one.id)
            assert.ok(sight.tasks.some(({ nodeId, serviceId }) => nodeId === id && asking.includes(serviceId)))
          }
      }),
    )
  })

  it('what one service writes into its labels changes nothing for the others but the addresses that both name', () => {
    fc.assert(
      fc.property(anySwarm, anyHost, (sight, seen) => {
        const [spoilt, ...rest] = sight.services
        if (spoilt === undefined) return
        const labels = { HIVE_VIP: '::/x@@', HIVE_VIP0: '10.0.0.1/99@eth0', HIVE_MARK: '-', HIVE_DNAT_PORTS: ',,;', HIVE_VIP_V6: '%' }
        const without = desired({ ...sight, services: rest }, seen, none)
        const beside = desired({ ...sight, services: [{ ...spoilt, labels }, ...rest] }, seen, none)
        const others = ({ addresses, rules, checks, marks }: Desired): unknown => ({ addresses, rules, checks, marks })
        assert.deepEqual(others(beside), others(without))
        assert.deepEqual(
          beside.problems.filter(({ service: name }) => name !== spoilt.name),
          without.problems,
        )
      }),
    )
  })
})
