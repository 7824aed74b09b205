import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { explained } from '../../../agent/adapters/lvm.ts'
import { parseGroups, parsePhysicalVolumes, parsePools, parseVolumes } from '../../../agent/adapters/lvm-report.ts'
import { chunkBytes, poolSize } from '../../../agent/steps/pool-size.ts'
import { HiveError } from '../../../proto/errors.ts'
import { recorded } from './recorded-disk.ts'

const mebibyte = 2 ** 20

describe("LVM's report", () => {
  it('has volumes, thin and thick, with what they are copies of, and no pools', () => {
    const found = parseVolumes(recorded('lvm', 'lvs.json'))
    assert.deepEqual(found, [
      { volumeGroup: 'drbdvg', name: 'db', sizeBytes: 314572800n, active: true, pool: 'drbdpool', dataPercent: 0 },
      { volumeGroup: 'drbdvg', name: 'db-snap', sizeBytes: 314572800n, active: false, pool: 'drbdpool', origin: 'db' },
      { volumeGroup: 'drbdvg', name: 'thick', sizeBytes: 8388608n, active: true },
      { volumeGroup: 'drbdvg', name: 'thick-snap', sizeBytes: 12582912n, active: true, origin: 'thick', dataPercent: 0 },
    ])
  })

  it('has a volume of two segments once', () => {
    assert.deepEqual(
      parseVolumes(recorded('lvm-two', 'lvs.json')).filter(({ name }) => name === 'wide'),
      [{ volumeGroup: 'two', name: 'wide', sizeBytes: 1258291200n, active: true }],
    )
  })

  it('has pools with how full they are', () => {
    assert.deepEqual(parsePools(recorded('lvm', 'lvs.json')), [
      {
        ...{ volumeGroup: 'drbdvg', name: 'drbdpool', sizeBytes: 67108864n, metadataBytes: 4194304n },
        ...{ active: true, health: '', dataPercent: 0, metadataPercent: 10.94 },
      },
    ])
  })

  it('has groups, also one that lacks a disk', () => {
    const [whole, partial] = parseGroups(recorded('lvm-missing', 'vgs.json'))
    assert.deepEqual([whole?.name, whole?.missing, whole?.volumes, whole?.freeBytes], ['drbdvg', 0, 5, 4194304n])
    assert.deepEqual([partial?.name, partial?.missing, partial?.exported], ['two', 1, false])
  })

  it('has physical volumes, of a group or of none', () => {
    assert.deepEqual(parsePhysicalVolumes(recorded('lvm', 'pvs.json')), [{ device: '/dev/nvme0n1p1', volumeGroup: 'drbdvg', deviceBytes: 104857600n }])
    const orphan = '{"report":[{"pv":[{"pv_name":"/dev/sdb1", "vg_name":"", "dev_size":"104857600"}]}]}'
    assert.deepEqual(parsePhysicalVolumes(orphan), [{ device: '/dev/sdb1', volumeGroup: undefined, deviceBytes: 104857600n }])
  })

  it('that is none is an error, never an empty one', () => {
    for (const parse of [parseVolumes, parsePools, parseGroups, parsePhysicalVolumes]) {
      assert.throws(() => parse('  WARNING: no lock\n'), { code: 'invalid-input' })
      assert.throws(() => parse('{}'), { code: 'invalid-input' })
    }
  })
})

describe('an error of LVM', () => {
  const failed = (...log: string[]) => new HiveError('command-failed', 'lvcreate: exit code 5', { log })

  it('for lack of space says what to do', () => {
    const pool = explained(failed('  Cannot create new thin volume, free space in thin pool drbdvg/drbdpool reached threshold.'))
    assert.ok(pool instanceof HiveError)
    assert.deepEqual([pool.code, pool.message], ['blocked', 'the thin pool drbdvg/drbdpool is full'])
    assert.match(pool.hint ?? '', /fstrim.*lvextend --extents \+100%FREE drbdvg\/drbdpool/)
    const group = explained(failed('  Volume group "drbdvg" has insufficient free space (18 extents): 256 required.'))
    assert.ok(group instanceof HiveError)
    assert.equal(group.code, 'blocked')
    assert.match(group.message, /insufficient free space \(18 extents\): 256 required/)
  })

  it('of another kind stays what it is', () => {
    const error = failed('  Volume group "x" not found')
    assert.equal(explained(error), error)
  })
})

describe('a thin pool', () => {
  const sizes = (deviceMebibytes: number, extentMebibytes = 4) => ({
    deviceBytes: deviceMebibytes * mebibyte,
    // One MiB at the beginning is LVM's own.
    freeBytes: Math.floor((deviceMebibytes - 1) / extentMebibytes) * extentMebibytes * mebibyte,
    extentBytes: extentMebibytes * mebibyte,
  })

  it("has the size of hive-builder's formula", () => {
    assert.deepEqual(poolSize(sizes(10_239)), { dataBytes: 10_224 * mebibyte, metadataBytes: 4 * mebibyte })
    assert.deepEqual(poolSize(sizes(1_048_575)), { dataBytes: 1_048_432 * mebibyte, metadataBytes: 64 * mebibyte })
  })

  it('fits into its group with twice its metadata, whatever the size, and has 64 bytes of it for each chunk', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 * 2 ** 20 }), fc.constantFrom(1, 4, 16), (device, extent) => {
        const given = sizes(device, extent)
        const size = poolSize(given)
        if (size === undefined) return device < 100
        const { dataBytes, metadataBytes } = size
        assert.ok(dataBytes + 2 * metadataBytes <= given.freeBytes)
        assert.ok(metadataBytes >= (dataBytes / chunkBytes) * 64 && metadataBytes >= 4 * mebibyte)
        assert.equal(dataBytes % (16 * mebibyte), 0)
        assert.equal(metadataBytes % given.extentBytes, 0)
        return given.freeBytes - dataBytes - 2 * metadataBytes <= 64 * mebibyte
      }),
    )
  })
})
