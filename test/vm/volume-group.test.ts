/** The real LVM and the real disk tools, which need device-mapper and disks of their own: volume groups made by the agent's own code. */
import assert from 'node:assert/strict'
import { before, suite, test } from 'node:test'
import type { CheckOutcome } from '../../agent/steps/executor.ts'
import { runInGuest } from './qemu.ts'

interface Ensured {
  readonly before: CheckOutcome
  readonly after: CheckOutcome
}
interface Table {
  readonly label: string
  readonly partitions?: readonly { readonly node: string; readonly start: number; readonly size: number; readonly name?: string }[]
}
interface Failure {
  readonly code: string
  readonly message: string
  readonly hint?: string
}
interface Volume {
  readonly name: string
  readonly size: number
  readonly pool?: string
  readonly origin?: string
  readonly active: boolean
}

interface Seen {
  readonly alone: { readonly direct: CheckOutcome; readonly kept: string } & Readonly<Record<'named' | 'wiped' | 'deleted' | 'emptyTable', CheckOutcome>>
  readonly partitioned: {
    readonly unnamed: CheckOutcome
    readonly named: Ensured
    readonly kept: string
  } & Readonly<Record<'before' | 'unnamedTable' | 'after', Table['partitions']>>
  readonly group: {
    readonly made: Ensured
    readonly again: Ensured
    readonly layout: Table
    readonly pool: readonly string[]
    readonly groups: readonly { readonly name: string; readonly volumes: number; readonly missing: number }[]
  }
  readonly volumes: {
    readonly grown: readonly Volume[]
    readonly notShrunk: readonly Volume[]
    readonly snapshot: string
    readonly current: string
    /** MiB. */
    readonly ext4: number
    readonly xfsBefore: number
    readonly xfs: number
    readonly missing: Failure
  }
  readonly thick: {
    readonly made: Ensured
    readonly volumes: readonly (readonly [string, number])[]
    readonly tooLarge: Failure
    readonly poolWanted: CheckOutcome
  }
  readonly resumed: { readonly foreign: CheckOutcome; readonly dosTable: Table } & Readonly<
    Record<'afterPartition' | 'afterPhysical' | 'afterDosPartition' | 'afterGroup', Ensured>
  >
  readonly full: { readonly whenFull: string; readonly percent: number; readonly refused: Failure }
}

const mebibyte = 2 ** 20
const reasonOf = (outcome: CheckOutcome): string => (outcome.kind === 'ok' ? '' : outcome.reason)

function blocked(outcome: CheckOutcome, reason: RegExp): string {
  assert.equal(outcome.kind, 'blocked', JSON.stringify(outcome))
  assert.match(reasonOf(outcome), reason)
  return outcome.kind === 'blocked' ? (outcome.hint ?? '') : ''
}

function made({ before, after }: Ensured, reason: RegExp): void {
  assert.equal(before.kind, 'change', JSON.stringify(before))
  assert.match(reasonOf(before), reason)
  assert.deepEqual(after, { kind: 'ok' })
}

suite('a volume group', { timeout: 1_200_000 }, () => {
  let seen: Seen

  before(async () => {
    const sizes = [384, 768, 112, 112, 112, 112]
    const { output, console } = await runInGuest('test/vm/guest/volume-group.ts', {
      seconds: 800,
      signal: new AbortController().signal,
      disks: [...sizes.map((size) => ({ bus: 'virtio' as const, bytes: size * mebibyte })), { bus: 'nvme', bytes: 112 * mebibyte }],
    })
    try {
      seen = Object.assign(
        {},
        ...output
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as object),
      ) as Seen
    } catch {
      assert.fail(`the guest answered '${output}'; its console:\n${console.slice(-4000)}`)
    }
    for (const [part, { failed, ...rest }] of Object.entries(seen as unknown as Record<string, { failed?: string }>))
      assert.equal(failed, undefined, `${part}: ${JSON.stringify(rest)}\n${console.slice(-4000)}`)
  })

  test('is not made on a disk with a file system on it, named or not, and that stays', () => {
    blocked(seen.alone.direct, /\/dev\/sdq is not there \| \/dev\/nvme0n1: ext4 directly on it/)
    blocked(seen.alone.named, /ext4 directly on it/)
    assert.equal(seen.alone.kept, 'ext4')
  })

  test('is not made where a file system was whose signature is gone, or a partition that was taken out of the table, without the name', () => {
    const hint = blocked(seen.alone.wiped, /data of no known kind/)
    assert.match(hint, /--allow s-hive0\.pdns:\/dev\/nvme0n1/)
    blocked(seen.alone.deleted, /ext4 at 1 MiB, where a partition was/)
    assert.equal(seen.alone.emptyTable.kind, 'change')
  })

  test('comes to lie behind the partitions of a disk that was named, which stay as they are, in use or not', () => {
    const { before, unnamed, unnamedTable, named, after, kept } = seen.partitioned
    const hint = blocked(unnamed, /partition 1 of 256 MiB: ext4, mounted at \/mnt\/kept; partition 2 of 64 MiB: ext4/)
    assert.match(hint, /--allow s-hive0\.pdns:\/dev\/vdb/)
    assert.deepEqual(unnamedTable, before)
    made(named, /^takes \/dev\/vdb: new partition \/dev\/vdb3 of 446 MiB; stays as it is: partition 1/)
    assert.deepEqual(after?.slice(0, 2), before)
    assert.equal(after?.length, 3)
    assert.equal(kept, 'kept')
  })

  test('fills an empty disk behind a link, with its pool, and a second run finds nothing to do', () => {
    const { made: first, again, layout, pool, groups } = seen.group
    made(first, /^takes \/dev\/vda: new partition \/dev\/vda1 of 382 MiB$/)
    assert.deepEqual(again, { before: { kind: 'ok' }, after: { kind: 'ok' } })
    assert.equal(layout.label, 'gpt')
    assert.deepEqual(
      layout.partitions?.map(({ node, start, size, name }) => ({ node, start, size, name })),
      [{ node: '/dev/vda1', start: 2048, size: 382 * 2048, name: 'hive data' }],
    )
    assert.deepEqual(pool, ['368.00m', '1.00m', 'zero', 'error'])
    assert.deepEqual(
      groups.map(({ name, missing }) => [name, missing]),
      [
        ['data', 0],
        ['drbdvg', 0],
      ],
    )
  })

  test('has volumes that grow under a mounted file system, ext4 and xfs, and never shrink', () => {
    const { grown, notShrunk, ext4, xfsBefore, xfs, missing } = seen.volumes
    assert.deepEqual(
      grown.find(({ name }) => name === 'db'),
      { name: 'db', size: 160 * mebibyte, pool: 'drbdpool', active: true },
    )
    assert.deepEqual(notShrunk, grown)
    assert.ok(ext4 > 140, `ext4 has ${ext4} MiB`)
    assert.ok(xfs - xfsBefore === 80, `xfs grew from ${xfsBefore} to ${xfs} MiB`)
    assert.equal(missing.code, 'not-found')
  })

  test('has snapshots that show a volume as it was', () => {
    assert.equal(seen.volumes.grown.find(({ name }) => name === 'db-before')?.origin, 'db')
    assert.deepEqual([seen.volumes.snapshot, seen.volumes.current], ['before', 'after'])
  })

  test('without a pool has thick volumes, refuses what does not fit, and gets no pool beside them', () => {
    const { made: first, volumes, tooLarge, poolWanted } = seen.thick
    made(first, /^takes \/dev\/vdc/)
    assert.deepEqual(volumes[0], ['raw', 20 * mebibyte])
    assert.equal(volumes[1]?.[0], 'raw-before')
    assert.equal(tooLarge.code, 'blocked')
    assert.match(tooLarge.hint ?? '', /vgextend/)
    assert.match(blocked(poolWanted, /has no thin pool drbdpool, and volumes in it: raw, raw-before/), /lvcreate --type thin-pool/)
  })

  test('is finished by the next run wherever the last one was killed, and not mistaken for another', () => {
    const { foreign, afterPartition, afterPhysical, afterDosPartition, dosTable, afterGroup } = seen.resumed
    blocked(foreign, /partition 1 of 110 MiB: nothing known/)
    made(afterPartition, /^goes on with \/dev\/nvme0n1p1/)
    made(afterPhysical, /^goes on with \/dev\/vdd1/)
    made(afterDosPartition, /^goes on with \/dev\/vde1/)
    assert.deepEqual([dosTable.label, dosTable.partitions?.length], ['dos', 1])
    made(afterGroup, /^has no thin pool drbdpool and no volume yet/)
  })

  test('whose pool is full fails writes at once, and says so where one more volume is asked for', () => {
    const { whenFull, percent, refused } = seen.full
    // LVM's own way is to let a write wait for 60 s first.
    assert.equal(whenFull, 'error')
    assert.equal(percent, 100)
    assert.deepEqual([refused.code, refused.message], ['blocked', 'the thin pool fourth/drbdpool is full'])
  })
})
