/**
 * In a guest with empty disks (vda 384 MiB, vdb 768 MiB, vdc to vdf and nvme0n1 112 MiB): the agent's own code makes volume groups, pools and
 * volumes with the real LVM, and is refused where a disk holds something. Writes what it saw as a line of JSON for each part; the test judges it.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, statfsSync, symlinkSync, writeFileSync } from 'node:fs'
import type { EnsureVolumeGroup } from '#gen/hive/v1/steps_storage.ts'
import { addPartition, readDisk, settle } from '../../../agent/adapters/disks.ts'
import { readOnly, writable } from '../../../agent/adapters/gate.ts'
import { createVolume, growVolume, readGroups, readPools, readVolumes, snapshotVolume } from '../../../agent/adapters/lvm.ts'
import { chooseDisk } from '../../../agent/steps/choose-disk.ts'
import { ensureVolumeGroup } from '../../../agent/steps/ensure-volume-group.ts'
import type { StepContext } from '../../../agent/steps/executor.ts'
import { HiveError } from '../../../proto/errors.ts'

const { signal } = new AbortController()
const context: StepContext = {
  signal,
  hostName: 's-hive0.pdns',
  log: (line) => console.error(line),
  progress: () => undefined,
  blobPath: () => Promise.reject(new Error('no blobs here')),
}
const sh = (script: string, input = ''): string =>
  execFileSync('sh', ['-ec', script], { encoding: 'utf8', input, stdio: ['pipe', 'pipe', 'pipe'], timeout: 300_000 }).trimEnd()
const spec = (name: string, devices: readonly string[], more: Partial<EnsureVolumeGroup> = {}): EnsureVolumeGroup => ({
  name,
  devices: [...devices],
  thinPool: 'drbdpool',
  partitionLabel: '',
  take: [],
  ...more,
})
const check = (wanted: EnsureVolumeGroup) => readOnly(() => ensureVolumeGroup.check(wanted, context))
/** As the step runner does it. */
async function ensure(wanted: EnsureVolumeGroup) {
  const before = await check(wanted)
  if (before.kind === 'change') await writable(() => ensureVolumeGroup.apply(wanted, context))
  return { before, after: await check(wanted) }
}
const failure = (work: () => Promise<unknown>) =>
  writable(work).then(
    () => undefined,
    (error: unknown) =>
      error instanceof HiveError ? { code: error.code, message: error.message, hint: error.hint } : { code: 'not ours', message: String(error) },
  )
const table = (disk: string) =>
  (JSON.parse(sh(`sfdisk --json ${disk}`)) as { partitiontable: { label: string; partitions?: { node: string; start: number; size: number }[] } })
    .partitiontable

function begin(): void {
  for (const name of ['virtio_pci', 'virtio_blk', 'nvme', 'dm_mod', 'dm_thin_pool', 'dm_snapshot', 'ext4', 'xfs']) sh(`modprobe ${name}`)
  for (const folder of ['/run/lock/lvm', '/etc/lvm', '/mnt/kept', '/mnt/db', '/dev/disk/azure/scsi1']) mkdirSync(folder, { recursive: true })
  spawn('/lib/systemd/systemd-udevd', { stdio: 'ignore', detached: true }).unref()
  sh('until [ -e /run/udev/control ]; do sleep 0.1; done; udevadm trigger --action=add --subsystem-match=block; udevadm settle')
}

/** A disk with a file system right on it, then wiped; one whose partition was taken out of its table; a table that stands empty. */
async function alone() {
  const disk = '/dev/nvme0n1'
  const wanted = spec('other', [disk])
  sh(`mkfs.ext4 -q ${disk}`)
  const direct = await check(spec('other', ['/dev/sdq', disk]))
  const named = await check({ ...wanted, take: [disk] })
  const kept = sh(`blkid -p -o value -s TYPE ${disk}`)
  sh(`wipefs --all ${disk}`)
  const wiped = await check(wanted)
  sh(`sfdisk --quiet ${disk}`, 'label: gpt\nstart=2048, size=60M\n')
  await settle(signal)
  sh(`mkfs.ext4 -q ${disk}p1 && sfdisk --quiet --delete ${disk}`)
  await settle(signal)
  const deleted = await check(wanted)
  sh(`wipefs --all --offset 0x100438 ${disk} || dd if=/dev/zero of=${disk} bs=1M seek=1 count=1 conv=notrunc`)
  return { direct, named, kept, wiped, deleted, emptyTable: await check(wanted) }
}

/** Partitions of which one is in use: what is done without and with the disk's name. */
async function partitioned() {
  sh('sfdisk --quiet /dev/vdb', 'label: dos\nsize=256M, type=83, bootable\nsize=64M, type=83\n')
  await settle(signal)
  sh('mkfs.ext4 -q /dev/vdb1 && mkfs.ext4 -q /dev/vdb2 && mount /dev/vdb1 /mnt/kept')
  writeFileSync('/mnt/kept/file', 'kept')
  const before = table('/dev/vdb').partitions
  const unnamed = await check(spec('drbdvg', ['/dev/vdb']))
  const unnamedTable = table('/dev/vdb').partitions
  const named = await ensure(spec('drbdvg', ['/dev/vdb'], { take: ['/dev/vdb'] }))
  const after = table('/dev/vdb').partitions
  sh('umount /mnt/kept && e2fsck -fn /dev/vdb1 && e2fsck -fn /dev/vdb2 && mount /dev/vdb1 /mnt/kept')
  return { before, unnamed, unnamedTable, named, after, kept: readFileSync('/mnt/kept/file', 'utf8') }
}

/** An empty disk behind a link; volumes in the group that it becomes. */
async function group() {
  symlinkSync('../../../vda', '/dev/disk/azure/scsi1/lun0')
  const wanted = spec('data', ['/dev/disk/azure/scsi1/lun0', '/dev/vdb'])
  const made = await ensure(wanted)
  const again = await ensure(wanted)
  const layout = table('/dev/vda')
  const pool = sh('lvs --noheadings --units m --options lv_size,chunk_size,zero,lv_when_full data/drbdpool').trim().split(/\s+/)
  return { made, again, layout, pool, groups: (await readGroups()).map(({ name, volumes, missing }) => ({ name, volumes, missing })) }
}

async function volumes() {
  const size = 80n * 1024n ** 2n
  await writable(() => createVolume({ volumeGroup: 'data', name: 'db', sizeBytes: size, thinPool: 'drbdpool' }, signal))
  sh('mkfs.ext4 -q -E nodiscard /dev/data/db && mount /dev/data/db /mnt/db')
  writeFileSync('/mnt/db/file', 'before')
  sh('sync')
  await writable(() => snapshotVolume({ volumeGroup: 'data', name: 'db', snapshot: 'db-before' }, signal))
  writeFileSync('/mnt/db/file', 'after')
  await writable(() => growVolume({ volumeGroup: 'data', name: 'db', sizeBytes: 2n * size }, signal))
  sh('resize2fs /dev/data/db')
  const ext4 = statfsSync('/mnt/db')
  const grown = await readVolumes()
  await writable(() => growVolume({ volumeGroup: 'data', name: 'db', sizeBytes: size }, signal))
  const notShrunk = await readVolumes()
  sh('umount /mnt/db && lvchange --activate y --ignoreactivationskip data/db-before && mount -o ro,noload /dev/data/db-before /mnt/db')
  const snapshot = readFileSync('/mnt/db/file', 'utf8')
  sh('umount /mnt/db && mount /dev/data/db /mnt/db')
  const current = readFileSync('/mnt/db/file', 'utf8')
  sh('umount /mnt/db')

  await writable(() => createVolume({ volumeGroup: 'drbdvg', name: 'web', sizeBytes: 320n * 1024n ** 2n, thinPool: 'drbdpool' }, signal))
  sh('mkfs.xfs -q -K /dev/drbdvg/web && mount /dev/drbdvg/web /mnt/db')
  const xfsBefore = statfsSync('/mnt/db')
  await writable(() => growVolume({ volumeGroup: 'drbdvg', name: 'web', sizeBytes: 400n * 1024n ** 2n }, signal))
  sh('xfs_growfs -d /mnt/db')
  const xfs = statfsSync('/mnt/db')
  sh('umount /mnt/db')
  const plain = ({ blocks, bsize }: { blocks: number; bsize: number }) => (blocks * bsize) / 1024 ** 2
  const text = (found: Awaited<ReturnType<typeof readVolumes>>) =>
    found
      .filter(({ volumeGroup }) => volumeGroup === 'data')
      .map(({ name, sizeBytes, pool, origin, active }) => ({ name, size: Number(sizeBytes), pool, origin, active }))
  return {
    grown: text(grown),
    notShrunk: text(notShrunk),
    snapshot,
    current,
    ext4: plain(ext4),
    xfsBefore: plain(xfsBefore),
    xfs: plain(xfs),
    missing: await failure(() => growVolume({ volumeGroup: 'data', name: 'nobody', sizeBytes: size }, signal)),
  }
}

/** Thick volumes on a group without a pool, which a pool is then asked of. */
async function thick() {
  const made = await ensure(spec('thick', ['/dev/vdc'], { thinPool: '' }))
  const volume = { volumeGroup: 'thick', name: 'raw' }
  await writable(() => createVolume({ ...volume, sizeBytes: 20n * 1024n ** 2n, thinPool: '' }, signal))
  await writable(() => snapshotVolume({ ...volume, snapshot: 'raw-before' }, signal))
  const volumes = (await readVolumes()).filter(({ volumeGroup }) => volumeGroup === 'thick').map(({ name, sizeBytes }) => [name, Number(sizeBytes)])
  const tooLarge = await failure(() => createVolume({ ...volume, name: 'huge', sizeBytes: 10n ** 9n, thinPool: '' }, signal))
  return { made, volumes, tooLarge, poolWanted: await check(spec('thick', ['/dev/vdc'])) }
}

/** A group in each state that a killed run leaves it in. */
async function resumed() {
  const partitionOnly = async (disk: string, volumeGroup: string, kind: 'gpt' | 'dos') => {
    const found = await readDisk(disk, signal)
    const choice = chooseDisk([{ path: disk, disk: found }], { volumeGroup, table: kind, named: new Set(), orphans: new Set() })
    if (choice.kind !== 'partition') throw new Error(`${disk} was to be empty: ${JSON.stringify(choice)}`)
    await writable(() => addPartition(choice.partition, signal))
  }
  await partitionOnly('/dev/nvme0n1', 'other', 'gpt')
  const foreign = await check(spec('third', ['/dev/nvme0n1']))
  const afterPartition = await ensure(spec('other', ['/dev/vdf', '/dev/nvme0n1']))
  await partitionOnly('/dev/vdd', 'second', 'gpt')
  sh('pvcreate -qq /dev/vdd1')
  const afterPhysical = await ensure(spec('second', ['/dev/vdd']))
  await partitionOnly('/dev/vde', 'third', 'dos')
  const afterDosPartition = await ensure(spec('third', ['/dev/vde'], { partitionLabel: 'msdos' }))
  await partitionOnly('/dev/vdf', 'fourth', 'gpt')
  sh('vgcreate -qq fourth /dev/vdf1')
  const afterGroup = await ensure(spec('fourth', ['/dev/vdf']))
  return { foreign, afterPartition, afterPhysical, afterDosPartition, dosTable: table('/dev/vde'), afterGroup }
}

/** More is written than the pool has. */
async function full() {
  await writable(() => createVolume({ volumeGroup: 'fourth', name: 'full', sizeBytes: 200n * 1024n ** 2n, thinPool: 'drbdpool' }, signal))
  sh('dd if=/dev/zero of=/dev/fourth/full bs=4M oflag=direct 2>/dev/null || true')
  const whenFull = sh('lvs --noheadings -o lv_when_full fourth/drbdpool').trim()
  const pool = (await readPools()).find(({ volumeGroup }) => volumeGroup === 'fourth')
  const refused = await failure(() => createVolume({ volumeGroup: 'fourth', name: 'more', sizeBytes: 10n ** 7n, thinPool: 'drbdpool' }, signal))
  return { whenFull, percent: pool?.dataPercent, refused }
}

begin()
for (const [name, part] of Object.entries({ alone, partitioned, group, volumes, thick, resumed, full })) {
  const start = performance.now()
  try {
    console.log(JSON.stringify({ [name]: await part() }))
  } catch (error) {
    const { stderr } = error as { stderr?: string }
    console.log(JSON.stringify({ [name]: { failed: String(error), stderr, log: error instanceof HiveError ? error.log : [] } }))
  }
  console.error(`${name}: ${Math.round(performance.now() - start)} ms`)
}
