import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ruleKey, wordsOf } from '../../../../agent/adapters/network/iptables.ts'
import { desired, nothing, type RouterAnswers } from '../../../../agent/watchers/follower/desired.ts'
import { hostDifferences, lease, markDifferences, withMarks } from '../../../../agent/watchers/follower/differences.ts'
import type { HostSight, NodeSight } from '../../../../agent/watchers/follower/picture.ts'
import { address, after, anyHost, anySwarm, host, node, service, swarm, task } from './sights.ts'

const none: RouterAnswers = new Map()
const held = new Set<string>()
const wanted = (seen: HostSight) => desired(swarm([service('web', { HIVE_VIP: '10.0.0.50' })], [task('web', 'n1')]), seen, none)
const kinds = (seen: HostSight, mine = held): readonly string[] => hostDifferences(wanted(seen), seen, mine).map(({ kind }) => kind)
const allAddresses = ({ links }: HostSight) => links.flatMap(({ addresses }) => addresses)

describe('what is done on a host', () => {
  it('an address is added, left alone while its time is long, and renewed when it is short', () => {
    assert.deepEqual(kinds(host()), ['add-address'])
    assert.deepEqual(kinds(host([address('10.0.0.50', 'eth0', 24, 55)])), [])
    assert.deepEqual(kinds(host([address('10.0.0.50', 'eth0', 24, 20)])), ['renew-address'])
  })

  it('an address that is there for good is neither renewed nor taken away', () => {
    const seen = host([address('10.0.0.50', 'eth0', 24)])
    assert.deepEqual(kinds(seen), [])
    const elsewhere = desired(swarm([service('web', { HIVE_VIP: '10.0.0.50' })], [task('web', 'n2')]), seen, none)
    assert.deepEqual(hostDifferences(elsewhere, seen, new Set(['10.0.0.50@eth0'])), [])
  })

  it('an address of the wrong prefix or interface goes before the right one comes', () => {
    assert.deepEqual(kinds(host([address('10.0.0.50', 'eth0', 32, 55)])), ['remove-address', 'add-address'])
    assert.deepEqual(kinds(host([address('10.0.0.50', 'lo', 32, 55)])), ['remove-address', 'add-address'])
  })

  it('what this process gave goes although no service names it any more; what it did not give stays', () => {
    const seen = host([address('10.0.0.77', 'eth0', 24, 55), address('10.0.0.78', 'eth0', 24, 55), address('10.0.0.79', 'eth0', 24, 3600)])
    const actions = hostDifferences(nothing, seen, new Set(['10.0.0.77@eth0', '10.0.0.79@eth0']))
    assert.deepEqual(
      actions.map((action) => action.kind === 'remove-address' && action.address.address),
      ['10.0.0.77'],
    )
  })

  it('a rule is the same in the words of iptables of either kind', () => {
    const key = (line: string): string => ruleKey({ family: 4, table: 'nat', chain: 'DOCKER', words: wordsOf(line) })
    assert.equal(
      key('-d 10.0.0.50/32 -p tcp -m comment --comment "hive_dnat_x" -m tcp --dport 80 -j DNAT --to-destination 172.18.0.3:80'),
      key('-d 10.0.0.50 -p tcp -m tcp --dport 80 -m comment --comment hive_dnat_x -j DNAT --to-destination 172.18.0.3:80'),
    )
    assert.notEqual(key('! -i a -o a -j ACCEPT'), key('-i a ! -o a -j ACCEPT'))
  })

  it('of any host: what is done brings about what is wanted, and only the follower’s own is touched', () => {
    fc.assert(
      fc.property(anySwarm, anyHost, (sight, before) => {
        let seen = before
        const want = desired(sight, seen, none)
        for (const action of hostDifferences(want, seen, held)) seen = after(seen, action)
        assert.deepEqual(hostDifferences(want, seen, held), [])
        for (const { address: text } of want.addresses) assert.equal(allAddresses(seen).filter((one) => one.address === text).length >= 1, true, text)
        assert.deepEqual(seen.rules.map(ruleKey).sort(), [...new Set(want.rules.map(ruleKey))].sort())
        const foreign = (one: HostSight) =>
          allAddresses(one).filter(({ secondsLeft, address: text }) => secondsLeft === undefined || secondsLeft > lease || !want.knownAddresses.has(text))
        assert.deepEqual(
          foreign(seen)
            .map(({ address: text }) => text)
            .sort(),
          foreign(before)
            .map(({ address: text }) => text)
            .sort(),
        )
      }),
      { numRuns: 1000 },
    )
  })

  it('of any host: with nothing wanted, all that was given is gone again', () => {
    fc.assert(
      fc.property(anySwarm, (sight) => {
        const bare = host()
        let seen = bare
        const want = desired(sight, seen, none)
        for (const action of hostDifferences(want, seen, held)) seen = after(seen, action)
        const mine = new Set(want.addresses.map((one) => `${one.address}@${one.interface}`))
        for (const action of hostDifferences(nothing, seen, mine)) seen = after(seen, action)
        assert.deepEqual(seen, bare)
      }),
    )
  })
})

describe('marks of nodes', () => {
  const sight = swarm([service('db', { HIVE_MARK: 'data' })], [task('db', 'n2')], {
    nodes: [node('n1', { labels: { site: 'x' } }), node('n2'), node('n3', { dead: true, labels: { data: 'true', 'hive.marks': 'data', hives: 'true' } })],
  })

  it('come to where the task is, and go from the host that is dead', () => {
    assert.deepEqual(markDifferences(desired(sight, host(), none), sight.nodes), [
      { kind: 'mark-node', nodeId: 'n2', name: 'host-n2', add: ['data'], remove: [] },
      { kind: 'mark-node', nodeId: 'n3', name: 'host-n3', add: [], remove: ['data'] },
    ])
  })

  it('of a service that is gone go by the node’s own list, and no other label does', () => {
    const labels = { data: 'true', other: 'true', 'hive.marks': 'data' }
    const [change] = markDifferences({ marks: new Map(), markNames: new Set() }, [node('n1', { labels })])
    assert.ok(change !== undefined)
    assert.deepEqual(withMarks(labels, change), { other: 'true' })
  })

  it('stay as they are while nobody knows', () => {
    assert.deepEqual(markDifferences(nothing, [node('n1', { labels: { data: 'true', 'hive.marks': 'data' } })]), [])
  })

  it('of any swarm: one change of each node brings about what is wanted; other labels stay', () => {
    fc.assert(
      fc.property(anySwarm, (any) => {
        const want = desired(any, host(), none)
        const changed = any.nodes.map((one): NodeSight => {
          const change = markDifferences(want, [one])[0]
          return change === undefined ? one : { ...one, labels: withMarks(one.labels, change) }
        })
        assert.deepEqual(markDifferences(want, changed), [])
        for (const { id, labels } of changed) {
          for (const mark of want.marks?.get(id) ?? []) assert.equal(labels[mark], 'true')
          for (const mark of want.markNames) if (want.marks?.get(id)?.has(mark) !== true) assert.equal(labels[mark], undefined)
          assert.equal(labels['site'], any.nodes.find((one) => one.id === id)?.labels['site'])
        }
      }),
      { numRuns: 500 },
    )
  })
})
