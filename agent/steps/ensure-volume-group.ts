/**
 * A volume group for mirrored volumes, and a thin pool in it. A group of that name is taken as it is. A new one comes to lie in a new
 * partition of a disk that is empty; a disk that holds anything is touched only where the operator named it, and then only its free space
 * behind all that is there. Killed anywhere between partition, physical volume, group and pool, the next run goes on from what it finds.
 */
import type { EnsureVolumeGroup } from '#gen/hive/v1/steps_storage.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'
import { isMissingProgram } from '../adapters/command.ts'
import { addPartition, readDisk, resolveDevice, settle } from '../adapters/disks.ts'
import { gibibytes } from '../adapters/examine-disk.ts'
import { lvm, readGroups, readPhysicalVolumes, readPools, readVolumes, type VolumeGroup } from '../adapters/lvm.ts'
import { type Candidate, type Choice, chooseDisk } from './choose-disk.ts'
import { blocked, change, type Executor, ok, type StepContext } from './executor.ts'
import { chunkBytes, poolSize } from './pool-size.ts'

export const ensureVolumeGroup: Executor<EnsureVolumeGroup> = {
  // Two groups never look for an empty disk at the same time.
  exclusive: () => 'disks',

  async check(spec, context) {
    try {
      const group = await findGroup(spec, context)
      if (group !== undefined) return await checkPool(spec, group, context)
      const choice = await choose(spec, context)
      if (choice.kind === 'none') {
        const { reason, hint } = whyNone(spec, choice, context)
        return blocked(reason, hint)
      }
      return change(describe(choice), 'no such volume group', wantedText(spec))
    } catch (error) {
      if (isMissingProgram(error)) return change('the disks can be looked at once the tools for that are installed', 'no such volume group', wantedText(spec))
      if (error instanceof HiveError && error.code === 'blocked') return blocked(error.message, error.hint)
      throw error
    }
  },

  async apply(spec, context) {
    if ((await findGroup(spec, context)) === undefined) await makeGroup(spec, context)
    if (spec.thinPool !== '') await makePool(spec, context)
  },
}

/** Throws HiveError 'blocked' where it is there and can't be used. */
async function findGroup(spec: EnsureVolumeGroup, { signal }: StepContext): Promise<VolumeGroup | undefined> {
  const [group, ...others] = (await readGroups(signal)).filter(({ name }) => name === spec.name)
  if (group === undefined) return undefined
  const refuse = (reason: string, hint: string) => new HiveError('blocked', `the volume group ${spec.name} ${reason}`, { hint })
  if (others.length > 0)
    throw refuse(`exists ${others.length + 1} times`, `vgs -o +vg_uuid,pv_name shows which disks are meant; rename the other: vgrename UUID NAME`)
  if (group.exported) throw refuse('is exported', `if it is meant to be used here: vgimport ${spec.name}`)
  if (group.missing > 0) throw refuse(`lacks ${group.missing} of its disks`, `pvs shows which; bring the disk back. What lay on it alone is lost with it`)
  return group
}

async function checkPool(spec: EnsureVolumeGroup, group: VolumeGroup, { signal }: StepContext) {
  if (spec.thinPool === '' || (await hasPool(spec, signal))) return ok
  await assertRoomForPool(spec, group, signal)
  return change(`has no thin pool ${spec.thinPool} and no volume yet`, '', wantedText(spec))
}

const hasPool = async (spec: EnsureVolumeGroup, signal: AbortSignal): Promise<boolean> =>
  (await readPools(signal)).some(({ volumeGroup, name }) => volumeGroup === spec.name && name === spec.thinPool)

/** A group that volumes lie in was laid out by somebody: it is not ours to say how much of it becomes a pool. */
async function assertRoomForPool(spec: EnsureVolumeGroup, group: VolumeGroup, signal: AbortSignal): Promise<void> {
  if (group.volumes === 0) return
  const names = (await readVolumes(signal)).filter(({ volumeGroup }) => volumeGroup === spec.name).map(({ name }) => name)
  throw new HiveError('blocked', `the volume group ${spec.name} has no thin pool ${spec.thinPool}, and volumes in it: ${names.join(', ') || group.volumes}`, {
    hint: `make the pool as large as it shall be (${gibibytes(Number(group.freeBytes))} are free): lvcreate --type thin-pool --chunksize 1024K --zero y --name ${spec.thinPool} --size SIZE ${spec.name}; or leave poolname out of hive_mirrored_disk_devices`,
  })
}

async function makeGroup(spec: EnsureVolumeGroup, context: StepContext): Promise<void> {
  const { signal } = context
  const choice = await choose(spec, context)
  if (choice.kind === 'none') {
    const { reason, hint } = whyNone(spec, choice, context)
    throw new HiveError('blocked', reason, { hint })
  }
  context.log(describe(choice))
  if (choice.kind === 'partition') await addPartition(choice.partition, signal)
  // Without --yes: where LVM itself finds something there, it asks, nobody answers, and nothing is done.
  await lvm(['vgcreate', spec.name, choice.partition.device], { signal })
}

async function makePool(spec: EnsureVolumeGroup, context: StepContext): Promise<void> {
  const { signal } = context
  if (await hasPool(spec, signal)) return
  const group = await findGroup(spec, context)
  if (group === undefined) throw new HiveError('not-converged', `the volume group ${spec.name} was made and is not there`)
  await assertRoomForPool(spec, group, signal)
  const devices = (await readPhysicalVolumes(signal)).filter(({ volumeGroup }) => volumeGroup === spec.name)
  const size = poolSize({
    deviceBytes: devices.reduce((sum, { deviceBytes }) => sum + Number(deviceBytes), 0),
    freeBytes: Number(group.freeBytes),
    extentBytes: Number(group.extentBytes),
  })
  if (size === undefined)
    throw new HiveError('blocked', `the volume group ${spec.name} has ${gibibytes(Number(group.freeBytes))} free, too little for a thin pool`, {
      hint: `vgs and pvs show what is there; add a disk: vgextend ${spec.name} DISK`,
    })
  context.log(`makes the thin pool ${spec.thinPool} of ${gibibytes(size.dataBytes)}`)
  await lvm(
    [
      ...(['lvcreate', '--yes', '--type', 'thin-pool', '--name', spec.thinPool] as const),
      ...['--size', `${size.dataBytes}b`, '--poolmetadatasize', `${size.metadataBytes}b`, '--chunksize', `${chunkBytes}b`],
      // hive-builder has n here, with which the rest of a chunk shows what a removed volume left there. A volume's first generation declares
      // its copies equal without comparing them: with y they are, since what nobody has written yet reads as zeros on every host, and a later
      // verify finds no difference where there is none. It costs one zeroing a chunk, which disks of today do without moving the data.
      ...['--zero', 'y'],
      // LVM's own is to let writes to a full pool wait for a minute before they fail. DRBD takes an error at once for what it is: it lets go
      // of this host's copy, and the volume is served from the others'.
      ...['--config', 'activation/error_when_full=1'],
      spec.name,
    ],
    { signal },
  )
}

/** Where nothing can be chosen and a candidate is not there, it looks once more after udev is through: a disk or its link may be just appearing. */
async function choose(spec: EnsureVolumeGroup, context: StepContext): Promise<Choice> {
  const first = await chooseNow(spec, context)
  if (first.kind !== 'none' || (await Promise.all(spec.devices.map(resolveDevice))).every((device) => device !== undefined)) return first
  await settle(context.signal)
  return chooseNow(spec, context)
}

async function chooseNow(spec: EnsureVolumeGroup, { signal }: StepContext): Promise<Choice> {
  const candidates: Candidate[] = []
  for (const path of spec.devices) {
    const device = await resolveDevice(path)
    const known = candidates.find(({ disk }) => disk !== undefined && disk.device === device)
    candidates.push(device === undefined ? { path, disk: undefined } : known === undefined ? await look(path, device, signal) : { ...known, path })
  }
  const named = await Promise.all(spec.take.map(resolveDevice))
  const orphans = (await readPhysicalVolumes(signal)).filter(({ volumeGroup }) => volumeGroup === undefined)
  return chooseDisk(candidates, {
    volumeGroup: spec.name,
    table: tableKind(spec),
    named: new Set(named.filter((device) => device !== undefined)),
    orphans: new Set(orphans.map(({ device }) => device)),
  })
}

/** A disk that is broken, or does not answer, keeps nobody from the others. */
async function look(path: string, device: string, signal: AbortSignal): Promise<Candidate> {
  try {
    const disk = await readDisk(device, signal)
    return disk === undefined ? { path, disk, trouble: 'is no disk' } : { path, disk }
  } catch (error) {
    if (signal.aborted || isMissingProgram(error)) throw error
    return { path, disk: undefined, trouble: `could not be looked at: ${messageOf(error)}` }
  }
}

function tableKind({ partitionLabel }: EnsureVolumeGroup): 'gpt' | 'dos' {
  if (partitionLabel === '' || partitionLabel === 'gpt') return 'gpt'
  if (partitionLabel === 'msdos' || partitionLabel === 'dos') return 'dos'
  throw new HiveError('blocked', `'${partitionLabel}' is no kind of partition table for a new disk`, { hint: 'hive_partition_label is gpt or msdos' })
}

const wantedText = ({ name, thinPool }: EnsureVolumeGroup): string => (thinPool === '' ? name : `${name} with thin pool ${thinPool}`)

function describe(choice: Exclude<Choice, { kind: 'none' }>): string {
  const { disk, partition } = choice
  const size = gibibytes(partition.sectors * disk.sectorBytes)
  if (choice.kind === 'resume') return `goes on with ${partition.device} (${size}), which was made for it`
  const rest = choice.kept.length === 0 ? '' : `; stays as it is: ${choice.kept.join('; ')}`
  const traces = disk.traces.length === 0 ? '' : `; overwrites ${disk.traces.join('; ')}`
  return `takes ${disk.device}: new partition ${partition.device} of ${size}${rest}${traces}`
}

function whyNone(spec: EnsureVolumeGroup, choice: Extract<Choice, { kind: 'none' }>, { hostName }: StepContext): { reason: string; hint: string } {
  const reason = `no disk for the volume group ${spec.name}: ${choice.evidence.join(' | ') || 'no candidates'}`
  const [device] = choice.nameable
  const hints = [
    'give the host an empty disk',
    ...(device === undefined ? [] : [`name one whose free space may be used: --allow ${hostName}:${device}`]),
    `empty one that holds nothing of use: wipefs --all DEVICE on the host, then run again with --allow ${hostName}:DEVICE`,
    ...(choice.evidence.some((line) => line.includes('LVM2_member')) ? ['or let LVM see a group that is there: vgimportdevices --all (EL9)'] : []),
  ]
  return { reason, hint: hints.join('; ') }
}
