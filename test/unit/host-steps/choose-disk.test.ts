import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type BlockDevice, type Disk, examineDisk, isEmpty } from '../../../agent/adapters/examine-disk.ts'
import { type Choice, chooseDisk, type Wish } from '../../../agent/steps/choose-disk.ts'
import { recordedDisk } from './recorded-disk.ts'

const lvmGuid = 'E6D6D379-F507-44C2-A23C-238F2A3DF928'
const wish = (more: Partial<Wish> = {}): Wish => ({ volumeGroup: 'drbdvg', table: 'gpt', named: new Set(), orphans: new Set(), ...more })
const on = (disk: Disk | undefined, more?: Partial<Wish>): Choice => chooseDisk([{ path: disk?.device ?? '/dev/sdq', disk }], wish(more))
const device = '/dev/nvme0n1'
const named = { named: new Set([device]) }

describe('an empty disk', () => {
  it('gets a table and one partition from 1 MiB to the last whole MiB before the last 34 sectors', () => {
    const choice = on(recordedDisk('empty'))
    assert.ok(choice.kind === 'partition')
    assert.deepEqual(choice.partition, {
      ...{ disk: device, device: `${device}p1`, startSector: 2048, sectors: 598 * 2048 },
      ...{ type: lvmGuid, name: 'hive drbdvg', newTable: 'gpt' },
    })
  })

  it('keeps the kind of table that it has', () => {
    for (const [state, type] of [
      ['empty-gpt', lvmGuid],
      ['empty-dos', '8e'],
    ] as const) {
      const choice = on(recordedDisk(state), { table: state === 'empty-gpt' ? 'dos' : 'gpt' })
      assert.ok(choice.kind === 'partition')
      assert.deepEqual([choice.partition.newTable, choice.partition.type], [undefined, type])
    }
  })

  it('comes before a named one, and the first of several before the others', () => {
    const [first, second] = ['/dev/sdb', '/dev/sdc'].map((name) => ({ path: name, disk: { ...recordedDisk('empty'), device: name } }))
    const choice = chooseDisk(
      [{ path: device, disk: recordedDisk('root-dos') }, first, second].filter((one) => one !== undefined),
      wish(named),
    )
    assert.ok(choice.kind === 'partition')
    assert.equal(choice.partition.device, '/dev/sdb1')
  })

  it('of more than 2 TiB is filled as far as the kind of its table can count', () => {
    const large = { ...recordedDisk('empty'), sizeBytes: 4 * 2 ** 40 }
    for (const [table, most] of [
      ['gpt', 2 ** 33],
      ['dos', 2 ** 32],
    ] as const) {
      const choice = on(large, { table })
      assert.ok(choice.kind === 'partition')
      const end = choice.partition.startSector + choice.partition.sectors
      assert.ok(end <= most && end > most - 4096, `${table} ends at ${end}`)
    }
  })
})

describe('a disk that holds something', () => {
  it('is not taken, and what it holds is said', () => {
    const choice = chooseDisk(
      [
        { path: '/dev/sdq', disk: undefined },
        { path: '/dev/sdr', disk: undefined, trouble: 'could not be looked at: EIO' },
        { path: '/dev/disk/by-path/a', disk: recordedDisk('root-dos') },
        { path: '/dev/sdb', disk: { ...recordedDisk('ext4'), device: '/dev/sdb' } },
      ],
      wish(),
    )
    assert.ok(choice.kind === 'none')
    assert.deepEqual(choice.evidence.slice(0, 2), ['/dev/sdq is not there', '/dev/sdr could not be looked at: EIO'])
    assert.match(choice.evidence[2] ?? '', /^\/dev\/disk\/by-path\/a \(\/dev\/nvme0n1\): partition 1 of 50 MiB: ext4, mounted at \/mnt\/a; /)
    assert.deepEqual(choice.evidence[3], '/dev/sdb: ext4 directly on it')
  })

  it('gives its free end when it is named, while its table has a place left', () => {
    const disk = recordedDisk('root-dos')
    assert.equal(on(disk, named).kind, 'none')
    const three = { ...disk, table: disk.table && { ...disk.table, partitions: disk.table.partitions.filter(({ number }) => number !== 2) } }
    const choice = on(three, named)
    assert.ok(choice.kind === 'partition')
    assert.deepEqual([choice.partition.device, choice.partition.startSector, choice.partition.newTable], [`${device}p2`, 221 * 2048, undefined])
    const unnamed = on(three)
    assert.ok(unnamed.kind === 'none')
    assert.deepEqual(unnamed.nameable, [device])
  })

  it('directly on it is not taken when it is named either', () => {
    for (const state of ['ext4', 'ext4-mounted', 'swap']) {
      const choice = on(recordedDisk(state), named)
      assert.ok(choice.kind === 'none', state)
      assert.deepEqual(on(recordedDisk(state)), { ...choice, nameable: [] })
    }
  })

  it('whose only content is a trace is taken when it is named', () => {
    assert.equal(on(recordedDisk('deleted-partitions')).kind, 'none')
    assert.equal(on(recordedDisk('deleted-partitions'), named).kind, 'partition')
  })

  it("that was grown has no free end before its table's last sector is moved", () => {
    const disk = recordedDisk('orphan')
    const grown = { ...disk, sizeBytes: disk.sizeBytes * 4, table: disk.table && { ...disk.table, lastSector: 250_000 } }
    const choice = on(grown, named)
    assert.ok(choice.kind === 'none')
    assert.match(choice.evidence[0] ?? '', /21 MiB free behind it/)
  })
})

describe('what an earlier run began', () => {
  const orphans = { orphans: new Set([`${device}p1`]) }

  it('is known by its name, with or without a physical volume on it, and goes before empty disks', () => {
    const disk = recordedDisk('orphan')
    const bare = { ...disk, table: disk.table && { ...disk.table, partitions: disk.table.partitions.map((one) => ({ ...one, signatures: [] })) } }
    for (const [begun, more] of [
      [disk, orphans],
      [bare, {}],
    ] as const) {
      const empty = { path: '/dev/sdb', disk: { ...recordedDisk('empty'), device: '/dev/sdb' } }
      const choice = chooseDisk([empty, { path: device, disk: begun }], wish(more))
      assert.ok(choice.kind === 'resume')
      assert.equal(choice.partition.device, `${device}p1`)
    }
  })

  it("is none where it was for another group, or where LVM's mark on it is not known to be of no group", () => {
    assert.equal(on(recordedDisk('orphan'), { ...orphans, volumeGroup: 'other' }).kind, 'none')
    assert.equal(on(recordedDisk('orphan')).kind, 'none')
    assert.equal(on(recordedDisk('lvm'), orphans).kind, 'none')
  })

  it('is, in a table without names, a blank partition exactly where we lay one', () => {
    const disk = recordedDisk('empty-dos')
    const plan = on(disk)
    assert.ok(plan.kind === 'partition' && disk.table !== undefined)
    const made = { ...plan.partition, number: 1, signatures: [] as string[], used: false, blankEdges: true, description: 'partition 1' }
    const withOne = (one: typeof made): Disk => ({ ...disk, kept: [one.description], table: disk.table && { ...disk.table, partitions: [one] } })
    assert.equal(on(withOne(made)).kind, 'resume')
    for (const other of [
      { ...made, blankEdges: false },
      { ...made, sectors: made.sectors - 2048 },
      { ...made, startSector: 4096, sectors: made.sectors - 2048 },
      { ...made, type: '83' },
      { ...made, used: true },
      { ...made, signatures: ['ext4'] },
    ])
      assert.equal(on(withOne(other)).kind, 'none')
  })
})

describe('whatever there is', () => {
  const sectorBytes = fc.constantFrom(512, 4096)
  const signature = fc.constantFrom('ext4', 'xfs', 'swap', 'LVM2_member', 'LVM2_member', 'LVM2_member', 'crypto_LUKS', 'drbd', 'zfs_member')
  const few = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
    fc.oneof({ weight: 4, arbitrary: fc.constant<T[]>([]) }, fc.array(one, { minLength: 1, maxLength: 2 }))
  const mountPoint = fc.constantFrom('', '', '', '/', '/var', '[SWAP]')

  /** A disk's readings, consistent in what the tools say of its partitions, with anything on it. */
  const anyDisk = (name: string): fc.Arbitrary<Disk> =>
    fc
      .record({
        sectorBytes,
        mebibytes: fc.integer({ min: 1, max: 5_000_000 }),
        kind: fc.constantFrom(undefined, undefined, 'gpt', 'dos', 'sun'),
        direct: few(signature),
        atFirst: few(signature),
        mountPoint,
        type: fc.constantFrom('disk', 'disk', 'disk', 'disk', 'rom', 'part'),
        readOnly: fc.constantFrom(false, false, false, true),
        claimed: fc.constantFrom(false, false, true),
        blankEdges: fc.constantFrom(true, true, false),
        holder: fc.constantFrom(false, false, true),
        partitions: fc.array(
          fc.record({
            gap: fc.integer({ min: 0, max: 3_000 }),
            size: fc.integer({ min: 1, max: 100_000 }),
            type: fc.constantFrom(lvmGuid, lvmGuid, '8e', '83', '0FC63DAF-8483-4772-8E79-3D69D8477DE4'),
            name: fc.constantFrom('', 'root', 'hive other', 'hive drbdvg', 'hive drbdvg'),
            signatures: few(signature),
            mountPoint,
            holder: fc.constantFrom(false, false, true),
            blankEdges: fc.boolean(),
          }),
          { maxLength: 3 },
        ),
      })
      .map((given) => {
        const perMebibyte = 2 ** 20 / given.sectorBytes
        const sizeBytes = given.mebibytes * 2 ** 20
        const block = (child: string, more: Partial<BlockDevice> = {}): BlockDevice => ({
          ...{ name: child, type: 'part', sizeBytes, sectorBytes: given.sectorBytes, readOnly: false, mountPoint: '', children: [] },
          ...more,
        })
        let end = 1
        const entries = (given.kind === undefined ? [] : given.partitions).flatMap((one, index) => {
          const start = end + one.gap
          if (start + one.size > given.mebibytes - 1) return []
          end = start + one.size
          const entry = { device: `/dev/${name}${index + 1}`, number: index + 1, startSector: start * perMebibyte, sectors: one.size * perMebibyte }
          return [{ one, entry: { ...entry, type: one.type, name: given.kind === 'gpt' ? one.name : '' } }]
        })
        const children = entries.map(({ one, entry }) =>
          block(entry.device.slice(5), { mountPoint: one.mountPoint, children: one.holder ? [block('vg-lv', { type: 'lvm' })] : [] }),
        )
        return examineDisk({
          device: `/dev/${name}`,
          block: block(name, {
            ...{ type: given.type, readOnly: given.readOnly, mountPoint: given.mountPoint },
            children: [...children, ...(given.holder ? [block('mpatha', { type: 'mpath' })] : [])],
          }),
          table:
            given.kind === undefined
              ? undefined
              : {
                  ...{ kind: given.kind, partitions: entries.map(({ entry }) => entry) },
                  ...{ firstSector: given.kind === 'gpt' ? perMebibyte : undefined, lastSector: undefined },
                },
          signatures: [...given.direct, ...(given.kind === 'gpt' ? ['gpt', 'PMBR'] : given.kind === undefined ? [] : [given.kind])],
          claimed: given.claimed,
          signaturesAtFirstMebibyte: given.atFirst,
          blankEdges: given.kind !== undefined || given.blankEdges,
          partitions: new Map(entries.map(({ one, entry }) => [entry.device, { signatures: one.signatures, blankEdges: one.blankEdges }])),
        })
      })

  const names = ['sda', 'sdb', 'sdc']
  const scene = fc.record({
    disks: fc.tuple(...names.map((name) => fc.option(anyDisk(name), { nil: undefined }))),
    named: fc.subarray(names),
    orphans: fc.subarray(names.flatMap((name) => [1, 2].map((number) => `/dev/${name}${number}`))),
    table: fc.constantFrom<'gpt' | 'dos'>('gpt', 'dos'),
  })
  const choose = ({ disks, named: given, orphans, table }: typeof scene extends fc.Arbitrary<infer S> ? S : never) => {
    const wanted = wish({ named: new Set(given.map((name) => `/dev/${name}`)), orphans: new Set(orphans), table })
    return {
      wanted,
      choice: chooseDisk(
        disks.map((disk, index) => ({ path: `/dev/${names[index]}`, disk })),
        wanted,
      ),
    }
  }

  it('no disk that holds anything gets a partition without its name', () => {
    fc.assert(
      fc.property(scene, (given) => {
        const { choice, wanted } = choose(given)
        if (choice.kind !== 'partition') return
        assert.ok(isEmpty(choice.disk) || wanted.named.has(choice.disk.device))
        assert.deepEqual(choice.disk.occupied, [])
      }),
      { numRuns: 1_000 },
    )
  })

  it('a new partition lies on its disk and on no other partition, and replaces no table', () => {
    fc.assert(
      fc.property(scene, (given) => {
        const { choice } = choose(given)
        if (choice.kind !== 'partition') return
        const { disk, partition } = choice
        const end = partition.startSector + partition.sectors
        assert.ok(partition.startSector * disk.sectorBytes >= 2 ** 20 && end * disk.sectorBytes <= disk.sizeBytes - 34 * disk.sectorBytes)
        for (const other of disk.table?.partitions ?? []) {
          assert.ok(partition.startSector >= other.startSector + other.sectors || end <= other.startSector)
          assert.notEqual(partition.device, other.device)
        }
        if (disk.table !== undefined) assert.equal(partition.newTable, undefined)
      }),
      { numRuns: 1_000 },
    )
  })

  it('a partition that is gone on with is unused, of the type LVM, and holds at most a physical volume of no group', () => {
    fc.assert(
      fc.property(scene, (given) => {
        const { choice, wanted } = choose(given)
        if (choice.kind !== 'resume') return
        const { partition, disk } = choice
        assert.ok(!partition.used && [lvmGuid, '8e'].includes(partition.type))
        assert.ok(partition.signatures.length === 0 || (wanted.orphans.has(partition.device) && partition.signatures.every((one) => one === 'LVM2_member')))
        assert.ok(disk.table?.kind === 'dos' || partition.name === 'hive drbdvg')
      }),
      { numRuns: 1_000 },
    )
  })

  it('all three answers come up', () => {
    const kinds = new Set(fc.sample(scene, 2_000).map((given) => choose(given).choice.kind))
    assert.deepEqual([...kinds].sort(), ['none', 'partition', 'resume'])
  })
})
