import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type EndState, Schedule, type ScheduledStep } from '../../../coordinator/run/schedule.ts'

const hosts = ['a', 'b', 'c']

interface Case {
  readonly steps: readonly ScheduledStep[]
  readonly changing: ReadonlySet<string>
  readonly failing: ReadonlySet<string>
}

/** Steps that need only earlier ones, each with its own id, in any order in the list. */
const cases: fc.Arbitrary<Case> = fc
  .array(
    fc.record({ host: fc.constantFrom(...hosts), needs: fc.array(fc.nat(11), { maxLength: 3 }), changes: fc.boolean(), fails: fc.boolean(), weight: fc.nat() }),
    { maxLength: 12 },
  )
  .map((rows) => {
    const ids = rows.map(({ host }, index) => `p/${index}@${host}`)
    const steps = rows.map(({ host, needs }, index) => ({
      id: ids[index] ?? '',
      host,
      needs: needs.filter((need) => need < index).map((need) => ids[need] ?? ''),
    }))
    const order = steps.map((step, index) => ({ step, weight: rows[index]?.weight ?? 0 })).sort((x, y) => x.weight - y.weight)
    return {
      steps: order.map(({ step }) => step),
      changing: new Set(ids.filter((_, index) => rows[index]?.changes)),
      failing: new Set(ids.filter((_, index) => rows[index]?.fails && rows[index].changes)),
    }
  })

/** Plays a schedule to its end; a batch's steps are carried out in the batch's order, batches in the order that `pick` says. */
function play({ steps, changing, failing }: Case, pick: (count: number) => number) {
  const schedule = new Schedule(steps, changing)
  const byId = new Map(steps.map((step) => [step.id, step]))
  const finished: string[] = []
  const open: (readonly string[])[] = []
  const given = () => open.push(...schedule.take().values())
  given()
  while (open.length > 0) {
    const [batch = []] = open.splice(pick(open.length), 1)
    const failedHere = new Set<string>()
    for (const id of batch) {
      const step = byId.get(id)
      assert.ok(step)
      for (const need of step.needs) {
        const before = ['ok', 'changed', 'unchanged'].includes(schedule.stateOf(need) ?? '') || failedHere.has(need)
        assert.ok(before, `${id} began before ${need}`)
      }
      const result = step.needs.some((need) => failedHere.has(need)) ? 'skipped' : failing.has(id) ? 'failed' : changing.has(id) ? 'changed' : 'unchanged'
      if (result === 'failed' || result === 'skipped') failedHere.add(id)
      schedule.finish(id, result)
      finished.push(id)
    }
    given()
  }
  return { schedule, finished }
}

/** What the rules say each step must end as, computed without any order. */
function expected({ steps, changing, failing }: Case): Map<string, EndState> {
  const byId = new Map(steps.map((step) => [step.id, step]))
  const ends = new Map<string, EndState>()
  const end = (id: string): EndState => {
    const known = ends.get(id)
    if (known !== undefined) return known
    const held = (byId.get(id)?.needs ?? []).map(end).some((need) => need === 'failed' || need === 'skipped')
    const state = held ? 'skipped' : failing.has(id) ? 'failed' : changing.has(id) ? 'changed' : 'ok'
    ends.set(id, state)
    return state
  }
  for (const { id } of steps) end(id)
  return ends
}

test('every step ends once, after what it needs, and failure skips exactly what depends on it', () => {
  fc.assert(
    fc.property(cases, fc.infiniteStream(fc.nat()), (one, numbers) => {
      const { schedule, finished } = play(one, (count) => (numbers.next().value ?? 0) % count)
      assert.ok(schedule.done)
      assert.equal(new Set(finished).size, finished.length)
      const states = [...schedule.states()].map(([id, state]) => [id, state === 'unchanged' ? 'ok' : state] as const)
      assert.deepEqual(new Map(states.sort()), new Map([...expected(one)].sort()))
    }),
    { numRuns: 300 },
  )
})

test('steps of one host that need each other go in one batch, those of another host wait', () => {
  const steps = [
    { id: 'p/x@a', host: 'a', needs: [] },
    { id: 'p/y@a', host: 'a', needs: ['p/x@a'] },
    { id: 'p/z@b', host: 'b', needs: ['p/x@a'] },
    { id: 'p/v@a', host: 'a', needs: ['p/z@b'] },
  ]
  const schedule = new Schedule(steps, new Set(steps.map(({ id }) => id)))
  assert.deepEqual([...schedule.take()], [['a', ['p/x@a', 'p/y@a']]])
  schedule.finish('p/x@a', 'changed')
  assert.deepEqual([...schedule.take()], [['b', ['p/z@b']]])
  schedule.finish('p/z@b', 'unchanged')
  assert.deepEqual([...schedule.take()], [['a', ['p/v@a']]])
})

test('a step that is as it should be is looked at again only where something it needs changes', () => {
  const steps = [
    { id: 'p/file@a', host: 'a', needs: [] },
    { id: 'p/unit@a', host: 'a', needs: ['p/file@a'] },
    { id: 'p/other@a', host: 'a', needs: [] },
  ]
  assert.equal(new Schedule(steps, new Set()).done, true)
  const schedule = new Schedule(steps, new Set(['p/file@a']))
  assert.deepEqual([...schedule.take()], [['a', ['p/file@a', 'p/unit@a']]])
  assert.equal(schedule.stateOf('p/other@a'), 'ok')
})

test('a look that found nothing to change does not spread to other hosts', () => {
  const steps = [
    { id: 'p/file@a', host: 'a', needs: [] },
    { id: 'p/unit@a', host: 'a', needs: ['p/file@a'] },
    { id: 'p/unit@b', host: 'b', needs: ['p/unit@a'] },
    { id: 'p/more@b', host: 'b', needs: ['p/unit@b'] },
  ]
  const schedule = new Schedule(steps, new Set(['p/file@a']))
  schedule.take()
  schedule.finish('p/file@a', 'changed')
  schedule.finish('p/unit@a', 'unchanged')
  assert.deepEqual([...schedule.take()], [])
  assert.ok(schedule.done)
})

test('a host that is away holds up what needs it, but not what every host prepares for itself', () => {
  const steps = [
    { id: 'p/image@a', host: 'a', needs: [] },
    { id: 'p/image@b', host: 'b', needs: [] },
    { id: 'p/push@b', host: 'b', needs: [] },
    { id: 'p/service@a', host: 'a', needs: ['p/image@a', 'p/image@b'] },
    { id: 'p/pull@a', host: 'a', needs: ['p/push@b'] },
  ]
  const schedule = new Schedule(steps, new Set(steps.map(({ id }) => id)), new Set(['b']))
  assert.deepEqual(schedule.skippedFromStart(), [{ id: 'p/pull@a', because: 'p/push@b' }])
  assert.deepEqual([...schedule.take()], [['a', ['p/image@a', 'p/service@a']]])
  schedule.finish('p/image@a', 'changed')
  schedule.finish('p/service@a', 'changed')
  assert.ok(schedule.done)
  assert.equal(schedule.stateOf('p/push@b'), 'unreachable')
})

test('steps that need each other in a circle are refused', () => {
  const steps = [
    { id: 'p/x@a', host: 'a', needs: ['p/y@a'] },
    { id: 'p/y@a', host: 'a', needs: ['p/x@a'] },
  ]
  assert.throws(() => new Schedule(steps, new Set()), /circle/)
})
