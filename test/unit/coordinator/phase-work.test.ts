import assert from 'node:assert/strict'
import { test } from 'node:test'
import { obstacles, type PlannedPhase } from '../../../coordinator/run/phase-work.ts'

const planned: PlannedPhase = { steps: [], blobs: new Map(), notices: [], planned: [], unreachable: [], planCalls: 0, errors: [] }

test('a phase that waits for what an earlier one must make known is not begun', () => {
  assert.deepEqual(obstacles(planned, new Set()), [])
  const [obstacle, ...others] = obstacles({ ...planned, awaits: ['volume files: its address is not known'] }, new Set())
  assert.deepEqual(others, [])
  assert.deepEqual(
    [obstacle?.code, obstacle?.message, obstacle?.hint],
    ['blocked', 'volume files: its address is not known', 'run the phase build-infra first'],
  )
})
