import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { StageState } from '../../../coordinator/run/stage-state.ts'
import { diagnose } from '../../../coordinator/swarm/diagnose.ts'
import { keptLabels } from '../../../coordinator/swarm/kept.ts'
import { recoverSwarm } from '../../../coordinator/swarm/recover.ts'
import { HiveError } from '../../../proto/errors.ts'
import { Killed, SimulatedSwarm } from './simulated-swarm.ts'

const memory = (): StageState => {
  const values = new Map<string, unknown>()
  return { get: (key) => values.get(key), set: (key, value) => void values.set(key, value) }
}
const off = (swarm: SimulatedSwarm, ...names: readonly string[]): SimulatedSwarm => {
  for (const name of names) swarm.host(name).up = false
  return swarm
}
const recover = (swarm: SimulatedSwarm, from: string, gone: readonly string[], state = memory(), calls?: number): Promise<readonly string[]> =>
  recoverSwarm({
    ...swarm.access(calls),
    state,
    wanted: { from, gone: new Set(gone) },
    emit: () => undefined,
    signal: new AbortController().signal,
    clock: swarm.clock,
  })
const refusal = async (swarm: SimulatedSwarm, from: string, gone: readonly string[], why: RegExp): Promise<void> => {
  await assert.rejects(recover(swarm, from, gone), why)
  assert.deepEqual(swarm.forced, [])
}
const whole = (swarm: SimulatedSwarm): readonly string[] => {
  const [nodes] = [...swarm.picture().views.values()]
  return (nodes ?? [])
    .map(({ name, state, reachability, labels, availability }) => [name, state, reachability, `rack ${labels['rack']}`, availability].join(' '))
    .sort()
}

describe('a swarm without a majority', () => {
  it('goes on from one of three, and forgets the two that are gone; their labels are kept for when they are back', async () => {
    const swarm = off(new SimulatedSwarm(3), 'h1', 'h2')
    const state = memory()
    await recover(swarm, 'h0', ['h1', 'h2'], state)
    assert.deepEqual(whole(swarm), ['h0 ready reachable rack 0 active'])
    assert.deepEqual(swarm.wrong, [])
    assert.deepEqual([keptLabels(state, 'h1').get(), keptLabels(state, 'h2').get()], [{ rack: '1' }, { rack: '2' }])
    assert.deepEqual(await recover(swarm, 'h0', ['h1', 'h2'], state), [])
  })

  it('takes the other survivors back as managers, with labels and availability of what they were', async () => {
    const swarm = off(new SimulatedSwarm(5), 'h2', 'h3', 'h4')
    await recover(swarm, 'h0', ['h2', 'h3', 'h4'])
    assert.deepEqual(whole(swarm), ['h0 ready reachable rack 0 active', 'h1 ready reachable rack 1 drain'])
    assert.deepEqual([swarm.wrong, swarm.forced], [[], ['h0']])
  })

  it('takes one that was given up back when it returns as it was', async () => {
    const swarm = off(new SimulatedSwarm(3), 'h1', 'h2')
    await recover(swarm, 'h0', ['h1', 'h2'])
    swarm.host('h1').up = true
    const { state, steps } = diagnose(swarm.picture(), { from: undefined, gone: new Set(), rejoining: new Set() })
    assert.deepEqual([state, steps.map(({ kind, host }) => `${kind} ${host}`)], ['majority', ['leave h1', 'join h1']])
    await recover(swarm, 'h0', [])
    assert.deepEqual(
      whole(swarm).map((line) => line.split(' ').slice(0, 3).join(' ')),
      ['h0 ready reachable', 'h1 ready reachable'],
    )
  })

  it('is left alone where it has one, or may get one back', async () => {
    const three = new SimulatedSwarm(3)
    assert.deepEqual(await recover(three, 'h0', []), [])
    await refusal(off(new SimulatedSwarm(3), 'h1', 'h2'), 'h0', [], /with h1, h2 there may still be a majority.*--gone h1,h2/)
    await refusal(off(new SimulatedSwarm(3), 'h1', 'h2'), 'h0', ['h1'], /with h2 there may still be a majority/)
    await refusal(off(new SimulatedSwarm(3), 'h1', 'h2'), 'h0', ['h0', 'h1', 'h2'], /h0 answers: it is not gone/)
    const running = off(new SimulatedSwarm(3), 'h1', 'h2').picture()
    const picture = { ...running, members: running.members.map((member) => (member.name === 'h2' ? { ...member, power: 'running' as const } : member)) }
    assert.match(diagnose(picture, { from: 'h0', gone: new Set(['h1', 'h2']), rejoining: new Set() }).refusals.join(), /h2 runs, as the provider says/)
    const mute = { ...running, members: running.members.map((member) => (member.name === 'h2' ? { ...member, answers: true } : member)) }
    assert.match(diagnose(mute, { from: 'h0', gone: new Set(['h1']), rejoining: new Set() }).refusals.join(), /with h2 there may still be a majority/)
  })

  it('is not forced where those that answer are enough, and only do not see each other', () => {
    const seen = new SimulatedSwarm(3).picture()
    const apart = { members: seen.members.map((member) => ({ ...member, raft: member.raft && { ...member.raft, leader: '' } })), views: new Map() }
    const { state, refusals } = diagnose(apart, { from: 'h0', gone: new Set(), rejoining: new Set() })
    assert.equal(state, 'undecided')
    assert.match(refusals.join(), /3 of 3 managers are enough for a majority/)
  })

  it('goes on from the newest log only', async () => {
    const ends = [
      { term: 3n, index: 90n },
      { term: 3n, index: 95n },
    ]
    const gone = ['h2', 'h3', 'h4']
    await refusal(off(new SimulatedSwarm(5, ends), ...gone), 'h0', gone, /h1 has the newest log \(term 3, entry 95\), h0 an older one/)
    const swarm = off(new SimulatedSwarm(5, ends), ...gone)
    assert.equal(diagnose(swarm.picture(), { from: undefined, gone: new Set(gone), rejoining: new Set() }).newest, 'h1')
    await recover(swarm, 'h1', gone)
    assert.equal(whole(swarm).length, 2)
  })

  it('is not forced where it only elects', async () => {
    const swarm = off(new SimulatedSwarm(3), 'h1', 'h2')
    const { observe, operations } = swarm.access()
    let looks = 0
    // h1 is back before it is given up.
    const late = async () => {
      looks += 1
      if (looks === 5) swarm.host('h1').up = true
      return observe()
    }
    const signal = new AbortController().signal
    const wanted = { from: 'h0', gone: new Set(['h2']) }
    const given = { observe: late, operations, state: memory(), emit: () => undefined, signal, clock: swarm.clock }
    await recoverSwarm({ ...given, wanted })
    assert.deepEqual(swarm.forced, [])
    off(swarm, 'h1')
    looks = 0
    await assert.rejects(recoverSwarm({ ...given, wanted: { from: 'h0', gone: new Set(['h1', 'h2']) } }), /h1 answers: it is not gone/)
    assert.deepEqual(swarm.forced, [])
  })

  it('that is there twice is not touched', async () => {
    const swarm = off(new SimulatedSwarm(3), 'h1', 'h2')
    await recover(swarm, 'h0', ['h1', 'h2'])
    for (const name of ['h1', 'h2']) swarm.host(name).up = true
    await assert.rejects(recover(swarm, 'h0', []), /there are two swarms/)
    assert.deepEqual(swarm.wrong, [])
  })

  it('comes to the same end wherever the command was killed', async () => {
    let killed = 0
    for (let calls = 1; ; calls++) {
      const swarm = off(new SimulatedSwarm(5), 'h2', 'h3', 'h4')
      const state = memory()
      const first = await recover(swarm, 'h0', ['h2', 'h3', 'h4'], state, calls).then(
        () => 'done',
        (error: unknown) => error,
      )
      if (first === 'done') break
      // A look that fails while something is waited for is a doubt like any other.
      assert.ok(first instanceof Killed || (first instanceof HiveError && first.code === 'not-converged'), String(first))
      killed += 1
      await recover(swarm, 'h0', ['h2', 'h3', 'h4'], state)
      assert.deepEqual(whole(swarm), ['h0 ready reachable rack 0 active', 'h1 ready reachable rack 1 drain'], `killed at call ${calls}`)
      assert.deepEqual([swarm.wrong, swarm.forced], [[], ['h0']], `killed at call ${calls}`)
      assert.deepEqual(keptLabels(state, 'h3').get(), { rack: '3' })
    }
    assert.ok(killed > 50)
  })

  it('is never forced while a majority may be somewhere', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 7 }).chain((count) =>
          fc.record({
            up: fc.array(fc.boolean(), { minLength: count, maxLength: count }),
            gone: fc.array(fc.boolean(), { minLength: count, maxLength: count }),
            from: fc.integer({ min: 0, max: count - 1 }),
          }),
        ),
        ({ up, gone, from }) => {
          const swarm = new SimulatedSwarm(up.length)
          for (const [i, is] of up.entries()) swarm.host(`h${i}`).up = is
          const named = new Set(gone.flatMap((is, i) => (is ? [`h${i}`] : [])))
          const { refusals, steps } = diagnose(swarm.picture(), { from: `h${from}`, gone: named, rejoining: new Set() })
          if (refusals.length > 0 || !steps.some(({ kind }) => kind === 'force')) return
          const possible = up.filter((is, i) => is || !named.has(`h${i}`)).length
          assert.ok(possible * 2 <= up.length, 'those that are not given up could be a majority')
          assert.ok(up[from], 'it goes on from one that is there')
          assert.ok(
            up.every((is, i) => !(is && named.has(`h${i}`))),
            'none that answers is given up',
          )
        },
      ),
      { numRuns: 2000 },
    )
  })
})
