import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isEmpty, parseLsblk, parseSfdisk, parseWipefs } from '../../../agent/adapters/examine-disk.ts'
import { recordedDisk, recordedReadings } from './recorded-disk.ts'

describe('a disk', () => {
  it('without a table, or with one that has no partition, is empty', () => {
    for (const state of ['empty', 'empty-gpt', 'empty-dos']) assert.ok(isEmpty(recordedDisk(state)), state)
    assert.equal(recordedDisk('empty-gpt').table?.kind, 'gpt')
    assert.equal(recordedDisk('empty').table, undefined)
  })

  it('with something directly on it is occupied', () => {
    assert.deepEqual(recordedDisk('ext4').occupied, ['ext4 directly on it'])
    assert.deepEqual(recordedDisk('ext4-mounted').occupied, ['ext4 directly on it', 'it is mounted at /mnt/a'])
    assert.deepEqual(recordedDisk('swap').occupied, ['swap directly on it'])
  })

  it('that something holds, can only be read, or is none, is occupied', () => {
    assert.deepEqual(recordedDisk('empty', { claimed: true }).occupied, ['something holds it for itself alone'])
    const { block } = recordedReadings('empty')
    assert.deepEqual(recordedDisk('empty', { block: { ...block, readOnly: true } }).occupied, ['it can only be read'])
    assert.deepEqual(recordedDisk('empty', { block: { ...block, type: 'rom' } }).occupied, ["it is no disk but 'rom'"])
  })

  it('that a path of another device leads to, or whose partitions only the kernel knows, is occupied', () => {
    const { block } = recordedReadings('empty')
    const child = { ...block, type: 'mpath', name: 'mpatha' }
    assert.deepEqual(recordedDisk('empty', { block: { ...block, children: [child] } }).occupied, ['mpath mpatha on it'])
    assert.equal(recordedDisk('root-dos', { table: undefined, signatures: [] }).occupied.length, 4)
  })

  it('with partitions keeps them, described', () => {
    assert.deepEqual(recordedDisk('root-dos').kept, [
      'partition 1 of 50 MiB: ext4, mounted at /mnt/a',
      'partition 2 of 50 MiB: swap',
      'partition 3 of 100 MiB: dos',
      'partition 4 of 20 MiB: nothing known',
    ])
    assert.deepEqual(recordedDisk('root-dos').occupied, [])
    const [partition] = recordedDisk('lvm').table?.partitions ?? []
    assert.equal(partition?.used, true)
    assert.match(partition?.description ?? '', /^partition 1 of 100 MiB: LVM2_member, lvm drbdvg-drbdpool_tmeta, .*, 6 more$/)
  })

  it('bears the traces of a partition that was taken out of its table', () => {
    assert.deepEqual(recordedDisk('deleted-partitions').traces, ['ext4 at 1 MiB, where a partition was'])
    assert.deepEqual(recordedDisk('empty', { blankEdges: false }).traces, ['data of no known kind at its beginning or end'])
  })

  it('with a table of a kind that is not written here is occupied', () => {
    const table = { kind: 'sun', firstSector: undefined, lastSector: undefined, partitions: [] }
    assert.deepEqual(recordedDisk('empty', { table, signatures: ['sun'] }).occupied, ["it has a partition table of the kind 'sun'", 'sun directly on it'])
  })
})

describe('what the tools print', () => {
  it('as text in the lsblk of EL8, as values in later ones, is the same', () => {
    const row = (size: unknown, ro: unknown, sector: unknown) =>
      JSON.stringify({ blockdevices: [{ name: 'sda', type: 'disk', size, ro, 'log-sec': sector, mountpoint: null }] })
    assert.deepEqual(parseLsblk(row('1024', '1', '512')), parseLsblk(row(1024, true, 512)))
    assert.equal(parseLsblk(row('1024', '0', '512'))[0]?.readOnly, false)
  })

  it('of no signatures is nothing, or an empty list', () => {
    assert.deepEqual(parseWipefs(''), [])
    assert.deepEqual(parseWipefs('{"signatures": []}'), [])
  })

  it('and is no JSON is an error with its last lines', () => {
    for (const parse of [parseLsblk, parseSfdisk, parseWipefs]) assert.throws(() => parse('usage: ...'), { code: 'invalid-input', log: ['usage: ...'] })
  })
})
