import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { drawRounds, type Fault, hives, inWords, isSafe, keyOf, kinds, mayMeet, natures } from '../../chaos/faults.ts'

const rounds = (seed: number, count: number, allowed = kinds): readonly (readonly Fault[])[] => {
  const drawn = drawRounds(seed, allowed)
  return Array.from({ length: count }, () => drawn.next().value)
}
const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 })

test('the same seed makes the same sequence, another one another', () => {
  assert.deepEqual(rounds(7, 40), rounds(7, 40))
  assert.notDeepEqual(rounds(7, 40), rounds(8, 40))
})

test('a longer run begins as a shorter one', () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 1, max: 30 }), (seed, count) => {
      assert.deepEqual(rounds(seed, 40).slice(0, count), rounds(seed, count))
    }),
  )
})

test('whatever meets leaves two of three managers, two of three copies, and can be made', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      for (const round of rounds(seed, 60)) {
        const hit = (what: 'manager' | 'copy'): number =>
          new Set(round.filter(({ kind }) => (natures[kind].takes as readonly string[]).includes(what)).map(({ host }) => host)).size
        assert.ok(hit('manager') <= 1 && hit('copy') <= 1, inWords(round))
        const [first, second] = round
        if (first === undefined || second === undefined) continue
        const at = (kind: Fault['kind']): Fault | undefined => round.find((fault) => fault.kind === kind)
        assert.notDeepEqual([first.kind, first.host], [second.kind, second.host])
        const off = at('power-off')
        if (off !== undefined)
          assert.ok(
            round.every((fault) => fault === off || fault.host !== off.host),
            'nothing happens to a host that is off',
          )
        if (at('coordinator-killed') !== undefined)
          assert.ok(
            round.every(({ host, kind }) => host !== 0 || kind === 'pool-full'),
            'a deploy has its first host',
          )
      }
    }),
  )
})

test('a host without a network is reached by nothing that goes over it', () => {
  assert.equal(mayMeet({ kind: 'cut-off', host: 1 }, { kind: 'disk-full', host: 1 }), false)
  assert.equal(mayMeet({ kind: 'disk-full', host: 1 }, { kind: 'slow-network', host: 1 }), false)
  assert.ok(mayMeet({ kind: 'cut-off', host: 1 }, { kind: 'disk-full', host: 2 }))
  assert.ok(mayMeet({ kind: 'cut-off', host: 1 }, { kind: 'stop-docker', host: 1 }))
})

test('copies or managers of two hosts are never away at once, agents may be', () => {
  assert.equal(isSafe([{ kind: 'power-off', host: 0 }, { kind: 'pool-full', host: 1 }]), false) // biome-ignore format: one line
  assert.equal(mayMeet({ kind: 'kill-docker', host: 0 }, { kind: 'cut-off', host: 2 }), false)
  assert.ok(mayMeet({ kind: 'kill-agent', host: 0 }, { kind: 'kill-agent', host: 2 }))
  assert.ok(mayMeet({ kind: 'power-off', host: 0 }, { kind: 'repository-off', host: undefined }))
})

test('each kind that is allowed, and no other, begins a round before one of them does again', () => {
  fc.assert(
    fc.property(seeds, fc.subarray([...kinds], { minLength: 1 }), (seed, allowed) => {
      const drawn = rounds(seed, allowed.length * 2, allowed)
      const firsts = drawn.map(([first]) => first?.kind)
      assert.deepEqual(firsts.slice(0, allowed.length).toSorted(), allowed.toSorted())
      assert.deepEqual(firsts.slice(allowed.length).toSorted(), allowed.toSorted())
      assert.ok(
        drawn.flat().every(({ kind, host }) => allowed.includes(kind) && (host === undefined) === (natures[kind].where !== 'hive') && (host ?? 0) < hives),
      )
    }),
  )
})

test('rounds are summed up by their kinds, whichever came first', () => {
  const [a, b]: [Fault, Fault] = [
    { kind: 'kill-agent', host: 0, length: 10 },
    { kind: 'cut-off', host: 2, length: 20 },
  ]
  assert.equal(keyOf([a, b]), 'cut-off + kill-agent')
  assert.equal(keyOf([b, a]), keyOf([a, b]))
  assert.equal(inWords([a, b]), 'kill-agent of host 0, cut-off of host 2')
})
