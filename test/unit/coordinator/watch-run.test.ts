import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RunEvent } from '#gen/hive/v1/run.ts'
import { watchRun } from '../../../coordinator/run/watch-run.ts'
import { HiveError } from '../../../proto/errors.ts'

const patience = { unreachableFor: 300, firstRetry: 1, longestRetry: 5, silence: 1000 }
const gone = () => new HiveError('unreachable', 'gone')
const logged = (seq: bigint): RunEvent => ({ seq, at: undefined, stepId: 's', event: { $case: 'log', value: { line: `${seq}` } } })
const finished = (seq: bigint): RunEvent => ({ seq, at: undefined, stepId: '', event: { $case: 'runFinished', value: { ok: true } } })

/** An agent whose stream breaks after each of these answers. */
function agentThatAnswers(answers: readonly (readonly RunEvent[])[]) {
  const asked: bigint[] = []
  const step = {
    async *watchRun({ from }: { from: bigint }) {
      asked.push(from)
      const answer = answers[asked.length - 1]
      for (const event of answer ?? []) if (event.seq >= from) yield event
      if (answer?.at(-1)?.event?.$case !== 'runFinished') throw gone()
    },
  }
  return { asked, client: { host: 'h0', step } as never }
}

test('a broken stream is taken up where it broke, and each event is told once', async () => {
  const events = [1n, 2n, 3n].map(logged)
  const { asked, client } = agentThatAnswers([events.slice(0, 1), [], events, [...events, finished(4n)]])
  const told: bigint[] = []
  const ok = await watchRun(client, 'r', ({ seq }) => told.push(seq), new AbortController().signal, patience)
  assert.equal(ok, true)
  assert.deepEqual(asked, [1n, 2n, 2n, 4n])
  assert.deepEqual(told, [1n, 2n, 3n, 4n])
})

test('a host without a sign of life is given up after its time', async () => {
  const { client } = agentThatAnswers([])
  await assert.rejects(
    watchRun(client, 'r', () => undefined, new AbortController().signal, patience),
    (error) => error instanceof HiveError && error.code === 'unreachable' && /did not answer for/.test(error.message),
  )
})

test('an answer of the agent is not mistaken for a broken stream', async () => {
  const step = {
    // biome-ignore lint/correctness/useYield: it fails before it answers anything
    async *watchRun() {
      throw new HiveError('not-found', 'no such run')
    },
  }
  await assert.rejects(
    watchRun({ host: 'h0', step } as never, 'r', () => undefined, new AbortController().signal, patience),
    /no such run/,
  )
})
