import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, suite, test } from 'node:test'
import { endOfRaftLog, entryIn } from '../../../agent/adapters/docker/raft-log.ts'
import { isNewer } from '../../../proto/raft-order.ts'

const varint = (value: number): Buffer => {
  const bytes: number[] = []
  let left = value
  for (; left >= 0x80; left = Math.floor(left / 128)) bytes.push((left % 128) | 0x80)
  return Buffer.from([...bytes, left])
}
const number = (field: number, value: number): Buffer => Buffer.concat([varint(field * 8), varint(value)])
const bytes = (field: number, value: Buffer): Buffer => Buffer.concat([varint(field * 8 + 2), varint(value.length), value])

/** As etcd frames it: a length, with how much it was padded to eight bytes in its highest byte. */
function record(type: number, data: Buffer): Buffer {
  const message = Buffer.concat([number(1, type), number(2, 12345), bytes(3, data)])
  const padding = (8 - (message.length % 8)) % 8
  const head = Buffer.alloc(8)
  head.writeBigUInt64LE(BigInt(message.length) | (padding === 0 ? 0n : (0x80n | BigInt(padding)) << 56n))
  return Buffer.concat([head, message, Buffer.alloc(padding)])
}
const entry = (term: number, index: number, data = 'sealed'): Buffer =>
  record(2, Buffer.concat([number(1, 0), number(2, term), number(3, index), bytes(4, Buffer.from(data))]))
const state = (term: number, commit: number): Buffer => record(3, Buffer.concat([number(1, term), number(2, 1), number(3, commit)]))

suite('how far a raft log goes', () => {
  let folder: string
  const wal = (name: string, ...records: readonly Buffer[]): void => writeFileSync(join(folder, 'swarm/raft/wal-v3-encrypted', name), Buffer.concat(records))

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hive-raft-'))
    mkdirSync(join(folder, 'swarm/raft/wal-v3-encrypted'), { recursive: true })
    mkdirSync(join(folder, 'swarm/raft/snap-v3-encrypted'), { recursive: true })
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  test('is its last entry, before the space that is kept for more', async () => {
    wal(
      '0000000000000000-0000000000000000.wal',
      record(1, Buffer.from('about')),
      entry(2, 1),
      state(2, 1),
      entry(3, 300, 'x'.repeat(1001)),
      state(3, 300),
      Buffer.alloc(4096),
    )
    assert.deepEqual(await endOfRaftLog(folder), { term: 3n, index: 300n })
  })

  test('a later entry of the same place counts, as after another leader took over', async () => {
    wal('0000000000000000-0000000000000000.wal', entry(2, 8), entry(2, 9), entry(3, 8))
    assert.deepEqual(await endOfRaftLog(folder), { term: 3n, index: 8n })
  })

  test('a file that was just begun leaves it to the one before', async () => {
    wal('0000000000000000-0000000000000000.wal', entry(2, 8))
    wal('0000000000000001-0000000000000009.wal', record(4, Buffer.alloc(0)), state(2, 8))
    assert.deepEqual(await endOfRaftLog(folder), { term: 2n, index: 8n })
  })

  test('a record that breaks off does not count', async () => {
    const broken = entry(2, 9, 'y'.repeat(500))
    wal('0000000000000000-0000000000000000.wal', entry(2, 8), broken.subarray(0, broken.length - 20))
    assert.deepEqual(await endOfRaftLog(folder), { term: 2n, index: 8n })
  })

  test('a snapshot that is newer counts', async () => {
    wal('0000000000000000-0000000000000000.wal', entry(2, 8))
    writeFileSync(join(folder, 'swarm/raft/snap-v3-encrypted/0000000000000004-00000000000000ff.snap'), '')
    assert.deepEqual(await endOfRaftLog(folder), { term: 4n, index: 255n })
  })

  test('there is none on a host that is no manager', async () => {
    rmSync(join(folder, 'swarm'), { recursive: true })
    assert.equal(await endOfRaftLog(folder), undefined)
  })

  test('what is no record is none', () => {
    for (const noise of ['', '\x08', '\x08\x02\x1a\x05ab', '\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff'])
      assert.equal(entryIn(Buffer.from(noise, 'latin1')), undefined)
  })

  test('the later term is newer, then the longer log', () => {
    assert.ok(isNewer({ term: 3n, index: 1n }, { term: 2n, index: 900n }))
    assert.ok(isNewer({ term: 3n, index: 2n }, { term: 3n, index: 1n }))
    assert.ok(!isNewer({ term: 3n, index: 2n }, { term: 3n, index: 2n }))
  })
})
