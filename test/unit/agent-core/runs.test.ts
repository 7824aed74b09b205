import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { RunEvent } from '#gen/hive/v1/run.ts'
import { StepResult } from '#gen/hive/v1/run.ts'
import type { Step } from '#gen/hive/v1/step.ts'
import { KeyedLock } from '../../../agent/runs/keyed-lock.ts'
import { LeaseHolder } from '../../../agent/runs/lease.ts'
import { plan } from '../../../agent/runs/plan.ts'
import { Runs } from '../../../agent/runs/runs.ts'
import { type Behaviour, fakes, step } from './fake-steps.ts'

const never = new AbortController().signal
const folders: string[] = []
const folderOf = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'agent-runs-'))
  folders.push(folder)
  return folder
}
// Agents that a test left working write until the process ends.
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

async function open(behaviours: Record<string, Behaviour>, folder = folderOf(), grace = 30) {
  const { executors, applied } = fakes(behaviours)
  const environment = { hostName: 'h', executors, keys: new KeyedLock(), blobPath: async () => '', now: () => new Date(), grace }
  const runs = await Runs.open({ ...environment, folder, heartbeat: 20 })
  const start = (key: string, steps: Step[]) => runs.start({ key, owner: 'me@here', deployId: 'd', steps })
  return { runs, start, applied, folder, environment }
}
const collect = async (runs: Runs, runId: string, from = 1n): Promise<RunEvent[]> => {
  const events: RunEvent[] = []
  for await (const event of runs.watch(runId, from, never)) events.push(event)
  return events
}
const resultsOf = (events: RunEvent[]): Record<string, number> =>
  Object.fromEntries(events.flatMap(({ stepId, event }) => (event?.$case === 'finished' ? [[stepId, event.value.result]] : [])))
const deferred = () => Promise.withResolvers<void>()

test('steps run after what they need; a failure skips its dependants alone', async () => {
  const { runs, start, applied } = await open({ bad: { apply: () => Promise.reject(new Error('no')) } })
  const { runId } = await start('k', [step('last', ['b', 'elsewhere']), step('b', ['a']), step('a'), step('bad'), step('after', ['bad'])])
  const events = await collect(runs, runId)
  assert.deepEqual(applied, ['a', 'b', 'last'])
  assert.deepEqual(resultsOf(events), {
    a: StepResult.CHANGED,
    b: StepResult.CHANGED,
    last: StepResult.CHANGED,
    bad: StepResult.FAILED,
    after: StepResult.SKIPPED,
  })
  assert.deepEqual(events.at(-1)?.event, { $case: 'runFinished', value: { ok: false } })
})

test('a step that did not converge has failed', async () => {
  const { runs, start } = await open({ a: { check: async () => ({ kind: 'change', reason: 'still wrong' }) } })
  const events = await collect(runs, (await start('k', [step('a')])).runId)
  const end = events.find(({ event }) => event?.$case === 'finished')?.event
  assert.equal(end?.$case === 'finished' && end.value.error?.code, 'not-converged')
})

test('the same key is the same run, at the same moment and after a restart', async () => {
  const { runs, start, folder, applied } = await open({})
  const [one, two] = await Promise.all([start('k', [step('a')]), start('k', [step('a')])])
  assert.equal(one.runId, two.runId)
  await collect(runs, one.runId)
  const again = await open({}, folder)
  assert.deepEqual(await again.start('k', [step('a')]), { runId: one.runId, existed: true })
  assert.deepEqual(applied, ['a'])
  assert.equal((await collect(again.runs, one.runId)).length, 3)
})

test('every watcher gets every event from its number on, once and in order, with heartbeats in silence', async () => {
  const gate = deferred()
  const { runs, start } = await open({
    a: {
      apply: async ({ log }) => {
        log('one')
        await gate.promise
        log('two')
      },
    },
  })
  const { runId } = await start('k', [step('a')])
  const first = collect(runs, runId)
  const late: RunEvent[] = []
  for await (const event of runs.watch(runId, 2n, never)) {
    late.push(event)
    if (event.event?.$case === 'heartbeat') gate.resolve()
  }
  const numbers = (events: RunEvent[]): number[] => events.filter(({ event }) => event?.$case !== 'heartbeat').map(({ seq }) => Number(seq))
  assert.deepEqual(numbers(await first), [1, 2, 3, 4, 5])
  assert.deepEqual(numbers(late), [2, 3, 4, 5])
  assert.deepEqual(numbers(await collect(runs, runId, 4n)), [4, 5])
})

test('an exclusive key is held by one step at a time, across runs', async () => {
  let inside = 0
  let most = 0
  const apply = async (): Promise<void> => {
    inside += 1
    most = Math.max(most, inside)
    await new Promise(setImmediate)
    inside -= 1
  }
  const { runs, start } = await open({ a: { apply, exclusive: 'x' }, b: { apply, exclusive: 'x' }, c: { apply, exclusive: 'x' } })
  const ids = await Promise.all([start('1', [step('a'), step('b')]), start('2', [step('c')])])
  for (const { runId } of ids) assert.equal((await collect(runs, runId)).at(-1)?.event?.$case, 'runFinished')
  assert.equal(most, 1)
})

test('steps that only wait leave their place to others', { timeout: 5_000 }, async () => {
  const names = Array.from({ length: 40 }, (_, index) => `s${index}`)
  const all = deferred()
  let working = 0
  let most = 0
  let waiting = 0
  const apply: Behaviour['apply'] = async ({ onlyWaits }) => {
    working += 1
    most = Math.max(most, working)
    await new Promise(setImmediate)
    working -= 1
    onlyWaits?.()
    waiting += 1
    if (waiting === names.length) all.resolve()
    await all.promise
  }
  const { runs, start } = await open(Object.fromEntries(names.map((name) => [name, { apply }])))
  const { runId } = await start(
    'k',
    names.map((name) => step(name)),
  )
  assert.deepEqual((await collect(runs, runId)).at(-1)?.event, { $case: 'runFinished', value: { ok: true } })
  assert.ok(most <= 16, `${most} worked at a time`)
})

test('a step that ignores its abort is left behind and its key stays held until it ends', async () => {
  const gate = deferred()
  const begun = deferred()
  const stuck = {
    exclusive: 'x',
    apply: () => {
      begun.resolve()
      return gate.promise
    },
  }
  const { runs, start } = await open({ stuck, next: { exclusive: 'x' }, third: { exclusive: 'x' } })
  const first = await start('1', [step('stuck')])
  await begun.promise
  const waiting = await start('2', [step('next')])
  runs.cancel(first.runId)
  const messageIn = (events: RunEvent[]): string => {
    const end = events.find(({ event }) => event?.$case === 'finished')?.event
    return end?.$case === 'finished' ? (end.value.error?.message ?? 'no error') : ''
  }
  assert.match(messageIn(await collect(runs, first.runId)), /did not stop/)
  assert.match(messageIn(await collect(runs, waiting.runId)), /still held by stuck/)
  gate.resolve()
  await gate.promise
  await new Promise(setImmediate)
  assert.equal(messageIn(await collect(runs, (await start('3', [step('third')])).runId)), 'no error')
})

test('a cancelled run aborts what runs, cleans up, and skips the rest', async () => {
  const cleaned = deferred()
  const begun = deferred()
  const { runs, start } = await open({
    a: {
      apply: ({ signal }) => {
        begun.resolve()
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      },
      cleanup: async () => cleaned.resolve(),
    },
  })
  const { runId } = await start('k', [step('a'), step('b', ['a'])])
  await begun.promise
  assert.equal(runs.cancel(runId), true)
  await cleaned.promise
  const events = await collect(runs, runId)
  assert.deepEqual(resultsOf(events), { a: StepResult.FAILED, b: StepResult.SKIPPED })
})

test('a plan changes nothing, answers in order, and waits for what is to come', async () => {
  const { environment } = await open({
    blind: { check: () => Promise.reject(new Error('docker is not there')) },
    blind2: { check: () => Promise.reject(new Error('docker is not there')) },
  })
  const plans = await plan([step('blind', ['mid']), step('mid', ['first']), step('first'), step('blind2')], environment, never)
  assert.deepEqual(
    plans.map(({ outcome }) => outcome?.$case),
    ['change', 'change', 'change', 'blocked'],
  )
  assert.match(JSON.stringify(plans[0]), /known once this is done: (first|mid)/)
})

test('steps that wait for each other, or belong to another host, are refused', async () => {
  const { start } = await open({})
  await assert.rejects(start('1', [step('a', ['b']), step('b', ['a'])]), /wait for each other/)
  await assert.rejects(start('2', [{ ...step('a'), host: 'other' }]), /belongs to other/)
})

test('a run that was active when the agent was killed is closed as failed', { timeout: 20_000 }, async () => {
  const folder = folderOf()
  const program = join(folder, 'child.ts')
  const here = new URL('.', import.meta.url).pathname
  writeFileSync(
    program,
    `import { fakes, step } from '${here}fake-steps.ts'
import { KeyedLock } from '${here}../../../agent/runs/keyed-lock.ts'
import { Runs } from '${here}../../../agent/runs/runs.ts'
const { executors } = fakes({ b: { apply: () => { console.log('begun'); return new Promise(() => setInterval(() => {}, 1000)) } } })
const runs = await Runs.open({ hostName: 'h', executors, keys: new KeyedLock(), blobPath: async () => '', now: () => new Date(), folder: '${folder}/runs' })
await runs.start({ key: 'k', owner: '', deployId: '', steps: [step('a'), step('b', ['a']), step('c', ['b'])] })
`,
  )
  const child = spawn(process.execPath, [program], { cwd: new URL('../../..', import.meta.url).pathname, stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
  const { runs, start } = await open({}, `${folder}/runs`)
  const { runId, existed } = await start('k', [])
  assert.equal(existed, true)
  const events = await collect(runs, runId)
  assert.deepEqual(resultsOf(events), { a: StepResult.CHANGED, b: StepResult.FAILED, c: StepResult.SKIPPED })
  assert.match(readFileSync(`${folder}/runs/${runId}.jsonl`, 'utf8'), /the agent stopped during this step; run the deploy again/)
  assert.equal(runs.list(true, 10).length, 0)
})

test('the lock is a lease: renewed by its owner, refused to others until it expires, kept over a restart', async () => {
  const path = join(folderOf(), 'lock.json')
  let time = 1_000_000
  const now = () => new Date(time)
  const ask = (owner: string, takesOver: string[] = []) => ({ owner, purpose: 'deploy', ttlSeconds: 30, takesOver })
  const lease = new LeaseHolder(path, now)
  assert.equal((await lease.acquire(ask('a'))).granted, true)
  time += 20_000
  assert.equal((await lease.acquire(ask('a'))).since?.getTime(), 1_000_000)
  const restarted = new LeaseHolder(path, now)
  assert.deepEqual([(await restarted.acquire(ask('b'))).granted, (await restarted.get()).owner], [false, 'a'])
  time += 31_000
  assert.equal((await restarted.acquire(ask('b'))).granted, true)
  assert.equal((await restarted.acquire(ask('c', ['b']))).granted, true)
  assert.equal((await restarted.release('b')).granted, false)
  assert.equal((await restarted.release('c')).held, false)
})

test('output that would fill memory is left out, and the run says so once', async () => {
  const line = 'x'.repeat(10_000)
  const { runs, start } = await open({
    loud: {
      apply: async ({ log }) => {
        for (let count = 0; count < 3000; count += 1) log(line)
      },
    },
  })
  const events = await collect(runs, (await start('k', [step('loud')])).runId)
  const lines = events.flatMap(({ event }) => (event?.$case === 'log' ? [event.value.line] : []))
  assert.ok(lines.join('').length < 5 * 1024 * 1024)
  assert.deepEqual(
    lines.filter((said) => said.includes('left out')),
    [lines.at(-1)],
  )
  assert.deepEqual(resultsOf(events), { loud: StepResult.CHANGED })
})
