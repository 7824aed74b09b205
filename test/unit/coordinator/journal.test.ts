import assert from 'node:assert/strict'
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { HiveEvent } from '../../../coordinator/events.ts'
import { followRun, listRuns, newRunId, openJournal, readRun } from '../../../coordinator/run/journal.ts'
import { HiveError } from '../../../proto/errors.ts'
import { tempFolder } from './support/temp.ts'

const at = new Date('2026-11-23T10:00:00Z')
const started = (runId: string): HiveEvent => ({ code: 'run.started', runId, command: 'deploy', stage: 'private' })
const finished = (runId: string): HiveEvent => ({ code: 'run.finished', runId, ok: true, changed: 2, milliseconds: 5, errors: [] })

test('runs are listed newest first, with those that did not end', (t) => {
  const folder = tempFolder(t)
  const ids = [at, new Date(at.getTime() + 1000)].map(newRunId)
  assert.deepEqual(ids, ids.toSorted())
  for (const id of ids) openJournal(folder, id).write(started(id), at)
  openJournal(folder, `${ids[0]}x`).write(finished('x'), at)
  assert.deepEqual(
    listRuns(folder).map(({ runId, finished: end }) => [runId, end !== undefined]),
    [
      [ids[1], false],
      [`${ids[0]}x`, true],
      [ids[0], false],
    ],
  )
  assert.deepEqual(listRuns(tempFolder(t)), [])
})

test('a journal cut short by a crash is read up to there, and one that is not there is said so', (t) => {
  const folder = tempFolder(t)
  const journal = openJournal(folder, 'one')
  journal.write(started('one'), at)
  journal.close()
  appendFileSync(join(folder, 'runs/one.jsonl'), '{"at":"2026')
  assert.deepEqual(
    readRun(folder, 'one').map(({ event }) => event.code),
    ['run.started'],
  )
  assert.throws(
    () => readRun(folder, 'two'),
    (error) => error instanceof HiveError && error.code === 'not-found',
  )
  assert.throws(
    () => readRun(folder, '../state'),
    (error) => error instanceof HiveError && error.code === 'not-found',
  )
})

test('a run is followed while it is written, to its end', async (t) => {
  const folder = tempFolder(t)
  const journal = openJournal(folder, 'one')
  journal.write(started('one'), at)
  const seen: string[] = []
  for await (const { event } of followRun(folder, 'one', new AbortController().signal)) {
    seen.push(event.code)
    if (seen.length === 1) journal.write({ code: 'notice', message: 'é' }, at)
    if (seen.length === 2) setImmediate(() => journal.write(finished('one'), at))
  }
  assert.deepEqual(seen, ['run.started', 'notice', 'run.finished'])
})

test('following ends when it is told to', async (t) => {
  const folder = tempFolder(t)
  openJournal(folder, 'one').write(started('one'), at)
  const controller = new AbortController()
  for await (const _ of followRun(folder, 'one', controller.signal)) setImmediate(() => controller.abort())
  assert.ok(controller.signal.aborted)
})
