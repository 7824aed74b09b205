/**
 * A mirrored volume as a whole, from the one host that the coordinator chose: its first generation, its file system, its size. What may be
 * done is decided in drbd/decide-volume.ts; here it is looked up and done.
 *
 * A first generation without copying (`new-current-uuid --clear-bitmap`) is taken where every disk is thin: what was never written reads
 * zero everywhere. On a pool that does not zero its chunks the unwritten rest of one that was written to can hold remains that differ between
 * hosts; no file system reads them, and copying would not help, because zeros are sent as discards; only `drbdadm verify` counts them. Thick
 * disks hold remains all over: there one is declared valid and copied to the others, in the background, while the volume can be used.
 *
 * Growth is copied, too, even on thin disks: the new part begins where each host had its own metadata.
 */
import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import type { EnsureDrbdVolume } from '#gen/hive/v1/steps_storage.ts'
import { HiveError } from '../../proto/errors.ts'
import { endsAreZero, readHead, signatureOn } from '../adapters/disk-content.ts'
import { readGenerations, readMetadata } from '../adapters/drbd/metadata.ts'
import { assertMayMakeVolumes } from '../adapters/drbd/module-version.ts'
import { readStatus, readStatusOf } from '../adapters/drbd/read-status.ts'
import { configFile } from '../adapters/drbd/resource-store.ts'
import { drbdadm } from '../adapters/drbd/tools.ts'
import { requireDrbd9 } from '../adapters/drbd/version.ts'
import { note, readNotes } from '../adapters/drbd/volume-notes.ts'
import { waitUntil } from '../adapters/drbd/wait.ts'
import { asMounted, growMounted, growUnmounted, isHalfMade, makeFileSystem, mountPointOf, parseSuperblock } from '../adapters/file-system.ts'
import { readVolumes } from '../adapters/lvm.ts'
import { readMounts } from '../adapters/mounts.ts'
import { decideVolume, fillsNot, mayGrow, type VolumeDecision, type VolumeFacts } from './drbd/decide-volume.ts'
import { blocked, change, type Executor, ok, type StepContext } from './executor.ts'

/** Milliseconds: connecting, or a resync that is waited for, may stand still for so long. */
const patience = 120_000
/** Each pass of apply does one thing and looks again; a volume needs three at most. */
const mostPasses = 8

export const ensureDrbdVolume: Executor<EnsureDrbdVolume> = {
  exclusive: (spec) => `volume ${spec.name}`,

  async check(spec, context) {
    await requireDrbd9()
    const facts = await look(
      spec,
      (await readStatus(context.signal)).find(({ name }) => name === spec.name),
      context.signal,
    )
    // Its disk grows in a step before this one.
    if (facts.diskBytes !== undefined && facts.diskBytes < spec.sizeBytes && facts.status !== undefined) return change(`grows to ${spec.sizeBytes} bytes`)
    const decision = decideVolume(spec, context.hostName, facts)
    if (decision.kind === 'first-generation') await assertMayMakeVolumes(context.signal)
    // Attaching it may be left to the step before this one, as after an adjust that broke off: thrown, it counts only where that has nothing to do.
    if (decision.kind === 'blocked' && facts.status?.devices[0]?.diskState === 'Diskless')
      throw new HiveError('blocked', decision.reason, { hint: decision.hint })
    return outcome(spec, decision)
  },

  async apply(spec, context) {
    await requireDrbd9()
    for (let pass = 0; pass < mostPasses; pass++) {
      const decision = await decided(spec, context)
      if (decision.kind === 'ok') return
      await act(spec, decision, context)
    }
  },
}

function outcome(spec: EnsureDrbdVolume, decision: VolumeDecision) {
  switch (decision.kind) {
    case 'ok':
      return ok
    case 'blocked':
      return blocked(decision.reason, decision.hint)
    case 'wait':
      return change(decision.reason)
    case 'first-generation':
      return change(
        'holds no data yet',
        '',
        `first generation (${decision.how === 'copy' ? 'this disk is copied to the others' : 'nothing to copy'}), then ${spec.fstype}`,
      )
    case 'format':
      return change('has no file system yet', '', spec.fstype)
    case 'finish':
      return change(`its ${spec.fstype} was made`)
    case 'resize':
      return change('its disks have grown', '', `${decision.toKib} KiB`)
    case 'grow-file-system':
      return change('its file system does not fill it')
  }
}

/** The next thing to do: waits, as long as something moves, while nothing can be said yet. Throws HiveError 'blocked' or 'timeout'. */
async function decided(spec: EnsureDrbdVolume, context: StepContext): Promise<Exclude<VolumeDecision, { kind: 'wait' | 'blocked' }>> {
  for (;;) {
    const status = await readStatusOf(spec.name, context.signal)
    const decision = decideVolume(spec, context.hostName, await look(spec, status, context.signal))
    if (decision.kind === 'blocked') throw new HiveError('blocked', decision.reason, { hint: decision.hint })
    if (decision.kind !== 'wait') return decision
    context.log(`waiting: ${decision.reason}`)
    const before = shape(status)
    await waitUntil(
      spec.name,
      { signal: context.signal, progress: context.progress, patience },
      (now) => ({ done: shape(now) !== before, mark: `${outOfSync(now)}`, waitsFor: decision.reason }),
      'look at the other hosts of this volume: drbdadm status; hivecoord doctor names what is wrong',
    )
  }
}

/** What decides, without the counters that change all the time. */
const shape = (status: DrbdResourceStatus | undefined): string =>
  JSON.stringify([
    status?.devices[0]?.diskState,
    status?.connections.map(({ name, state, peerDevices: [peer] }) => [name, state, peer?.peerDiskState, peer?.replicationState]),
  ])
const outOfSync = (status: DrbdResourceStatus | undefined): bigint =>
  (status?.connections ?? []).flatMap(({ peerDevices }) => peerDevices).reduce((sum, { outOfSyncKib }) => sum + outOfSyncKib, 0n)

async function look(spec: EnsureDrbdVolume, status: DrbdResourceStatus | undefined, signal: AbortSignal): Promise<VolumeFacts> {
  const path = `/dev/${spec.volumeGroup}/${spec.name}`
  const disk = (await readVolumes(signal)).find((one) => one.volumeGroup === spec.volumeGroup && one.name === spec.name)
  const device = status?.devices[0]
  const nothing: VolumeFacts = {
    status,
    diskBytes: disk?.sizeBytes,
    generations: [],
    fileSystem: undefined,
    empty: false,
    begun: false,
    halfMade: false,
    maxPeers: undefined,
  }
  if (disk === undefined || device === undefined) return nothing
  const notes = await readNotes(spec.name)
  const begun = notes.firstGeneration === true
  if (device.diskState === 'Inconsistent')
    return { ...nothing, begun, generations: await readGenerations(spec.name, signal), empty: await isEmpty(path, device.sizeKib, signal) }
  if (device.diskState !== 'UpToDate') return { ...nothing, begun }
  const head = await readHead(path, signal)
  const onDisk = parseSuperblock(head)
  const isShort = onDisk !== undefined && status?.role === 'Primary' && fillsNot(onDisk, device.sizeKib)
  const fileSystem = isShort ? await asMounted(onDisk, `/dev/drbd${spec.minor}`, await readMounts(), signal) : onDisk
  const unmade = begun && fileSystem === undefined
  const empty = unmade && (await isEmpty(path, device.sizeKib, signal))
  const halfMade = unmade && notes.formatting === true && (isHalfMade(head) || (await signatureOn(path, device.sizeKib * 1024n, signal)) === '')
  const maxPeers = mayGrow(spec, disk.sizeBytes, device.sizeKib) ? (await readMetadata(spec.minor, path, signal))?.maxPeers : undefined
  return { ...nothing, begun, fileSystem, empty, halfMade, maxPeers }
}

/** Looked at on the disk beneath: opening the device would promote this host, or keep another from promoting. */
async function isEmpty(path: string, sizeKib: bigint, signal: AbortSignal): Promise<boolean> {
  return sizeKib > 0n && (await endsAreZero(path, sizeKib * 1024n, signal)) && (await signatureOn(path, sizeKib * 1024n, signal)) === ''
}

async function act(spec: EnsureDrbdVolume, decision: Exclude<VolumeDecision, { kind: 'ok' | 'wait' | 'blocked' }>, context: StepContext): Promise<void> {
  const { signal } = context
  const device = `/dev/drbd${spec.minor}`
  const adm = (...args: string[]) => drbdadm(['-c', configFile(spec.name), ...args], { signal })
  switch (decision.kind) {
    case 'first-generation':
      await assertMayMakeVolumes(signal)
      await note(spec.name, { firstGeneration: true })
      if (decision.how === 'clear-bitmap') {
        context.log('all disks are new and empty: declaring them equal')
        await adm('new-current-uuid', '--clear-bitmap', `${spec.name}/0`)
      } else {
        context.log('all disks are new: declaring this one valid, it is copied to the others')
        await adm('primary', '--force', spec.name)
        await adm('secondary', spec.name)
      }
      await until(spec, context, 'its first generation is not there', (status) => status.devices[0]?.diskState === 'UpToDate')
      return
    case 'format':
      context.log(`making ${spec.fstype} on ${device}`)
      await note(spec.name, { formatting: true })
      await makeFileSystem(spec.fstype, device, decision.again, signal)
      return
    case 'finish':
      await demote(spec, context)
      await note(spec.name, { firstGeneration: undefined, formatting: undefined })
      return
    case 'resize':
      await resize(spec, decision.toKib, context)
      return
    case 'grow-file-system': {
      context.log(`growing ${spec.fstype} on ${device}`)
      if (!decision.mounted) return growUnmounted(spec.fstype, device, signal)
      const mountPoint = mountPointOf(device, await readMounts())
      if (mountPoint === undefined)
        throw new HiveError('blocked', `${device} is in use here and not mounted for writing`, { hint: 'run again when its container runs' })
      return growMounted(spec.fstype, device, mountPoint, signal)
    }
  }
}

/** Making a file system promotes this host while it works, and can leave it so (idle Primary): then no other one could mount it. */
async function demote(spec: EnsureDrbdVolume, context: StepContext): Promise<void> {
  const status = await readStatusOf(spec.name, context.signal)
  if (status?.role !== 'Primary') return
  if ((await readMounts()).some(({ source }) => source === `/dev/drbd${spec.minor}`)) return
  await drbdadm(['-c', configFile(spec.name), 'secondary', spec.name], { signal: context.signal })
}

async function resize(spec: EnsureDrbdVolume, toKib: bigint, context: StepContext): Promise<void> {
  await drbdadm(['-c', configFile(spec.name), 'resize', spec.name], { signal: context.signal, timeout: 120_000 })
  // DRBD answers 0 also where the disk of some host has not grown.
  const size = (await readStatusOf(spec.name, context.signal))?.devices[0]?.sizeKib ?? 0n
  if (size >= toKib) return
  const others = spec.diskful.filter((name) => name !== context.hostName)
  throw new HiveError('blocked', `${spec.name} stays at ${size} KiB instead of ${toKib}: the logical volume has not grown on ${others.join(' or ')}`, {
    hint: `lvs on ${others.join(' and ')}: is there space in the volume group? Then run again`,
  })
}

async function until(spec: EnsureDrbdVolume, context: StepContext, waitsFor: string, holds: (status: DrbdResourceStatus) => boolean): Promise<void> {
  const judge = (status: DrbdResourceStatus | undefined) => ({ done: status !== undefined && holds(status), mark: '', waitsFor: `${spec.name}: ${waitsFor}` })
  await waitUntil(spec.name, { signal: context.signal, progress: context.progress, patience: 30_000 }, judge, 'hivecoord doctor names what is wrong')
}
