import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeSync, syncTowards, type Waiting, waitUntil } from '../../../agent/adapters/drbd/wait.ts'
import { HiveError } from '../../../proto/errors.ts'
import { recordedStatus } from './support/recorded.ts'

const waiting = (patience: number): Waiting => ({ signal: new AbortController().signal, progress: () => undefined, patience })

test('a resync is told with percent, source and rate', () => {
  const sync = syncTowards(recordedStatus('21-replaced-node/s-hive2/full-resync-running'))
  assert.ok(sync !== undefined)
  assert.match(describeSync(sync), /^\d+\.\d % from s-hive1\.pdns, \d+(\.\d)? MiB\/s$/)
  assert.ok(sync.outOfSyncKib > 0n && sync.outOfSyncKib < sync.sizeKib)
})

test('new disks with nobody to fill them, and disks with data, wait for no resync', () => {
  assert.equal(syncTowards(recordedStatus('05-created-inconsistent/s-hive0')), undefined)
  assert.equal(syncTowards(recordedStatus('06-after-new-current-uuid/s-hive0')), undefined)
  assert.equal(syncTowards(recordedStatus('21-replaced-node/s-hive0/full-resync-running')), undefined)
})

test('a resync that has not begun although its source is connected is waited for', () => {
  const status = recordedStatus('21-replaced-node/s-hive2/full-resync-running')
  const connections = status.connections.map((one) => ({
    ...one,
    peerDevices: one.peerDevices.map((peer) => ({ ...peer, replicationState: 'Established', sync: undefined })),
  }))
  assert.deepEqual(syncTowards({ ...status, connections })?.from, ['s-hive0.pdns', 's-hive1.pdns'])
})

test('it is given up after the patience without progress, and progress begins it anew', async () => {
  let now = 0
  const marks = ['a', 'a', 'b', 'b', 'b', 'b', 'b', 'b']
  let looks = 0
  const judge = () => ({ done: false, mark: marks[looks++] ?? 'b', waitsFor: 'the resync' })
  const read = () => {
    now += 10
    return Promise.resolve(undefined)
  }
  const ended = await waitUntil('v', waiting(30), judge, 'look', read, () => now, 0).catch((error: unknown) => error)
  assert.ok(ended instanceof HiveError && ended.code === 'timeout' && ended.message.startsWith('the resync: no progress'))
  // The mark changed with the third look; thirty later, with the sixth, it was over.
  assert.equal(looks, 6)
})

test('an abort ends the waiting', async () => {
  const abort = new AbortController()
  const ended = waitUntil(
    'v',
    { ...waiting(1_000_000), signal: abort.signal },
    () => ({ done: false, mark: '' }),
    '',
    () => Promise.resolve(undefined),
    () => 0,
    100_000,
  )
  abort.abort()
  await assert.rejects(ended, { name: 'AbortError' })
})
