import assert from 'node:assert/strict'
import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { RunsReader } from '../../../coordinator/dashboard/runs-reader.ts'
import { openJournal } from '../../../coordinator/run/journal.ts'
import { tempFolder } from '../coordinator/support/temp.ts'

const at = new Date('2026-11-26T12:00:00Z')

test('runs are read as they grow, and those that do not are the same as before', (t) => {
  const contextDir = tempFolder(t)
  const reader = new RunsReader(contextDir, 2)
  assert.deepEqual(reader.look(), [])
  const first = openJournal(contextDir, '20261126T110000000Z-aaaa')
  first.write({ code: 'run.started', runId: 'a', command: 'deploy', stage: 'private' }, at)
  first.write({ code: 'run.finished', runId: 'a', ok: true, changed: 0, milliseconds: 10, errors: [] }, at)
  const second = openJournal(contextDir, '20261126T120000000Z-bbbb')
  second.write({ code: 'run.started', runId: 'b', command: 'plan é', stage: 'private' }, at)
  const [b, a] = reader.look()
  assert.deepEqual([b?.command, b?.finished, a?.command, a?.ok], ['plan é', undefined, 'deploy', true])

  second.write({ code: 'phase.started', phase: 'build-infra' }, at)
  const later = reader.look()
  assert.equal(later[1], a)
  assert.deepEqual(
    later[0]?.phases.map(({ name, state }) => [name, state]),
    [['build-infra', 'running']],
  )

  openJournal(contextDir, '20261126T130000000Z-cccc')
  assert.deepEqual(
    reader.look().map(({ runId }) => runId.slice(-4)),
    ['cccc', 'bbbb'],
  )
})

test('a line that is written in pieces counts when it is whole, wherever it was cut', (t) => {
  const contextDir = tempFolder(t)
  const folder = join(contextDir, 'runs')
  mkdirSync(folder, { recursive: true })
  const line = Buffer.from(`${JSON.stringify({ at: at.toISOString(), event: { code: 'run.started', runId: 'x', command: 'deploy é水', stage: 'private' } })}\n`)
  for (let cut = 1; cut < line.length; cut++) {
    const name = `20261126T120000${String(cut).padStart(3, '0')}Z-aaaa`
    const reader = new RunsReader(contextDir, 1)
    appendFileSync(join(folder, `${name}.jsonl`), line.subarray(0, cut))
    assert.equal(reader.look()[0]?.command, '')
    appendFileSync(join(folder, `${name}.jsonl`), line.subarray(cut))
    assert.equal(reader.look()[0]?.command, 'deploy é水')
  }
})
