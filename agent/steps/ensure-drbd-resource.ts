/**
 * This host's part of a mirrored volume: logical volume, metadata, resource file, the resource up and as the file says, its unit. What may
 * be done is decided in drbd/decide-resource.ts; here it is looked up and done. A resource that runs is adjusted, never restarted.
 */
import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import type { EnsureDrbdResource } from '#gen/hive/v1/steps_storage.ts'
import { HiveError } from '../../proto/errors.ts'
import { diskIdentity, endsAreZero, signatureOn, zeroEnds } from '../adapters/disk-content.ts'
import { createMetadata, readMetadata } from '../adapters/drbd/metadata.ts'
import { pendingCommands, plannedCommands } from '../adapters/drbd/planned-adjust.ts'
import { readStatus, readStatusOf } from '../adapters/drbd/read-status.ts'
import { renderResource } from '../adapters/drbd/resource-file.ts'
import { assertUnclaimed, configFile, hasConfig, readResourceFile, writeResourceFile } from '../adapters/drbd/resource-store.ts'
import { applyUnit, unitDifferences } from '../adapters/drbd/resource-unit.ts'
import { drbdadm, drbdsetup, hideSecret } from '../adapters/drbd/tools.ts'
import { requireDrbd9 } from '../adapters/drbd/version.ts'
import { note, readNotes } from '../adapters/drbd/volume-notes.ts'
import { waitForSync, waitUntil } from '../adapters/drbd/wait.ts'
import { lineDiff } from '../adapters/line-diff.ts'
import { createVolume, growVolume, readGroups, readVolumes } from '../adapters/lvm.ts'
import { decideResource, type FoundDisk, type FoundMetadata, type ResourceDecision, type ResourceFacts } from './drbd/decide-resource.ts'
import { blocked, type CheckOutcome, change, type Executor, okWith, type StepContext } from './executor.ts'

/** Milliseconds that a resync may stand still. */
const patience = 120_000
/** Milliseconds in which connections that are refused show it. */
const settleTime = 2_000
/** LVM's own size of an extent; asked for only where it matters. */
const usualExtent = 4n * 1024n * 1024n

export const ensureDrbdResource: Executor<EnsureDrbdResource> = {
  exclusive: (spec) => `volume ${spec.name}`,

  async check(spec, context) {
    const looked = await look(spec, context)
    return outcome(looked, unused(spec, context, looked.disk))
  },

  async apply(spec, context) {
    const first = await look(spec, context)
    if (first.decision.kind === 'blocked') throw new HiveError('blocked', first.decision.reason, { hint: first.decision.hint })
    if (first.decision.kind === 'ok') return
    const { actions } = first.decision
    const { signal } = context
    const volume = { volumeGroup: spec.volumeGroup, name: spec.name, sizeBytes: spec.sizeBytes }

    if (actions.makeDisk) await makeDisk(spec, context)
    if (actions.growDisk && actions.makeMetadata) await growVolume(volume, signal)
    if (actions.makeMetadata) await makeMetadata(spec, context)
    const gone = (first.status?.connections ?? []).map(({ peerNodeId }) => peerNodeId).filter((id) => spec.nodes.every(({ nodeId }) => nodeId !== id))
    const forget = [...new Set([...actions.forget, ...gone])]
    if (forget.length > 0) await note(spec.name, { forget })
    if (actions.writeFile) await writeResourceFile(spec.name, first.text)
    if (actions.adjust || actions.makeMetadata) await adjust(spec, context)
    for (const id of forget) await forgetPeer(spec, id, context)
    if (forget.length > 0) await note(spec.name, { forget: undefined })
    // DRBD finds metadata at the end of its disk: one that grows is attached, so that DRBD moves it.
    if (actions.growDisk && !actions.makeMetadata) await growVolume(volume, signal)
    for (const line of unused(spec, context, first.disk)) context.log(line)
    if (actions.unit) await applyUnit(spec.name, signal)
    context.onlyWaits?.()
    await waitForSync(spec.name, { signal, progress: context.progress, patience })
  },

  async verify(spec, context) {
    let looked = await look(spec, context)
    // A resync may begin only when peers have shaken hands, after what was applied was waited for.
    if (looked.decision.kind === 'change' && looked.decision.actions.awaitSync) {
      await waitForSync(spec.name, { signal: context.signal, progress: context.progress, patience })
      looked = await look(spec, context)
    }
    const apart = (looked.status?.connections ?? []).filter(({ state }) => state === 'StandAlone').map(({ name }) => name)
    if (apart.length > 0)
      return blocked(
        `${spec.name} refuses ${apart.join(' and ')}, or is refused (StandAlone)`,
        'hivecoord doctor tells whether data came apart, the secret differs, or just the connection is to be made again',
      )
    return outcome(looked, [])
  },
}

const diskPath = (spec: EnsureDrbdResource): string => `/dev/${spec.volumeGroup}/${spec.name}`
const own = (spec: EnsureDrbdResource, context: StepContext) => spec.nodes.find(({ name }) => name === context.hostName)

const unused = (spec: EnsureDrbdResource, context: StepContext, disk: FoundDisk | undefined): readonly string[] =>
  disk !== undefined && own(spec, context)?.diskless === true
    ? [`${diskPath(spec)} stays on ${context.hostName}, unused: lvremove it there when it is not needed`]
    : []

interface Looked {
  readonly decision: ResourceDecision
  readonly status: DrbdResourceStatus | undefined
  readonly disk: FoundDisk | undefined
  /** The resource file as it is and as it is to be. */
  readonly before: string | undefined
  readonly text: string
}

async function look(spec: EnsureDrbdResource, context: StepContext): Promise<Looked> {
  await requireDrbd9()
  const { signal } = context
  const text = renderResource({ ...spec, thinPool: spec.thinPool })
  const [all, before, configured, disk, notes] = await Promise.all([
    readStatus(signal),
    readResourceFile(spec.name),
    hasConfig(spec.name),
    findDisk(spec, signal),
    readNotes(spec.name),
    assertUnclaimed(spec.name, spec.minor, spec.port, signal),
  ])
  const status = all.find(({ name }) => name === spec.name)
  const fileAsWanted = before === text && configured
  const [commands, unit, extentBytes, attachedMaxPeers, metadata] = await Promise.all([
    fileAsWanted ? pendingCommands(spec.name, text, signal) : plannedCommands(spec.name, text, signal),
    unitDifferences(spec.name, signal),
    disk === undefined || disk.sizeBytes === spec.sizeBytes ? usualExtent : extentOf(spec, signal),
    roomWhereItMatters(spec, context, status),
    own(spec, context)?.diskless === false && disk !== undefined && !isAttached(status) ? onDisk(spec, disk, notes.madeDisk, signal) : notRead,
  ])
  const facts: ResourceFacts = {
    disk,
    extentBytes,
    status,
    attachedMaxPeers,
    metadata,
    fileAsWanted,
    commands: commands.map(hideSecret),
    unit,
    toForget: notes.forget ?? [],
  }
  return { decision: decideResource(spec, context.hostName, facts), status, disk, before, text }
}

const notRead: FoundMetadata = { kind: 'not-read' }
const isAttached = (status: DrbdResourceStatus | undefined): boolean => {
  const device = status?.devices[0]
  return device !== undefined && device.diskState !== 'Diskless'
}

async function findDisk(spec: EnsureDrbdResource, signal: AbortSignal): Promise<FoundDisk | undefined> {
  const found = (await readVolumes(signal)).find((one) => one.volumeGroup === spec.volumeGroup && one.name === spec.name)
  if (found === undefined) return undefined
  // Rounded up, as LVM's percent is cut to two decimals.
  const writtenBytes = found.dataPercent === undefined ? undefined : (found.sizeBytes * BigInt(Math.ceil(found.dataPercent * 100))) / 10_000n
  return { sizeBytes: found.sizeBytes, thin: found.pool !== undefined, writtenBytes }
}

async function extentOf(spec: EnsureDrbdResource, signal: AbortSignal): Promise<bigint> {
  return (await readGroups(signal)).find(({ name }) => name === spec.volumeGroup)?.extentBytes ?? usualExtent
}

/** The metadata of an attached disk is read only where another host with a disk is to come. */
async function roomWhereItMatters(spec: EnsureDrbdResource, context: StepContext, status: DrbdResourceStatus | undefined): Promise<number | undefined> {
  if (status === undefined || !isAttached(status)) return undefined
  const known = new Set([status.nodeId, ...status.connections.map(({ peerNodeId }) => peerNodeId)])
  const comes = spec.nodes.some(({ nodeId, diskless }) => !diskless && !known.has(nodeId))
  return comes ? (await readMetadata(spec.minor, diskPath(spec), context.signal))?.maxPeers : undefined
}

async function onDisk(spec: EnsureDrbdResource, disk: FoundDisk, madeDisk: string | undefined, signal: AbortSignal): Promise<FoundMetadata> {
  const path = diskPath(spec)
  const metadata = await readMetadata(spec.minor, path, signal)
  if (metadata !== undefined) return { kind: 'there', metadata }
  const [signature, zero, identity] = await Promise.all([
    signatureOn(path, disk.sizeBytes, signal),
    endsAreZero(path, disk.sizeBytes, signal),
    diskIdentity(path),
  ])
  return { kind: 'none', signature, endsAreZero: zero, madeHere: madeDisk !== undefined && madeDisk === identity }
}

function outcome({ decision, before, text }: Looked, notices: readonly string[]): CheckOutcome {
  switch (decision.kind) {
    case 'ok':
      return okWith(notices)
    case 'blocked':
      return blocked(decision.reason, decision.hint)
    case 'change': {
      const shown = decision.actions.writeFile && before !== text ? lineDiff(hideSecret(before ?? ''), hideSecret(text)) : ''
      return change(decision.reasons.join('; '), '', shown)
    }
  }
}

async function makeDisk(spec: EnsureDrbdResource, context: StepContext): Promise<void> {
  const { volumeGroup, name, sizeBytes, thinPool } = spec
  await createVolume({ volumeGroup, name, sizeBytes, thinPool }, context.signal)
  // Killed before this, a thin volume is known by being empty; a thick one has to be removed by hand.
  await note(name, { madeDisk: await diskIdentity(diskPath(spec)) })
}

/** What there is now, once more: that nothing is on the disk is looked at right before metadata is written. */
async function makeMetadata(spec: EnsureDrbdResource, context: StepContext): Promise<void> {
  const path = diskPath(spec)
  const { decision, disk } = await look(spec, context)
  if (decision.kind === 'blocked') throw new HiveError('blocked', decision.reason, { hint: decision.hint })
  if (decision.kind === 'ok' || disk === undefined || !decision.actions.makeMetadata)
    throw new HiveError('blocked', `${path} changed while it was prepared`, { hint: 'is somebody else working on it? Run again' })
  if (decision.actions.zeroEnds) await zeroEnds(path, disk.sizeBytes, context.signal)
  context.log(`writing DRBD metadata on ${path}, with room for ${spec.maxPeers} peers`)
  await createMetadata(spec.minor, path, spec.maxPeers, context.signal)
  await note(spec.name, { madeDisk: undefined })
}

async function adjust(spec: EnsureDrbdResource, context: StepContext): Promise<void> {
  await drbdadm(['-c', configFile(spec.name), 'adjust', spec.name], { signal: context.signal, timeout: 60_000 })
  // A connection that is refused goes to StandAlone within a moment; a host that is not up yet is nobody's fault here.
  const begun = performance.now()
  const judge = (status: DrbdResourceStatus | undefined) => ({
    done: performance.now() - begun > settleTime || status?.connections.every(({ state }) => state === 'Connected') === true,
    mark: '',
  })
  await waitUntil(spec.name, { signal: context.signal, progress: context.progress, patience: settleTime * 5 }, judge, '')
}

/** Frees its place in the metadata. Not possible any more where the host is back in the resource, and not needed then. */
async function forgetPeer(spec: EnsureDrbdResource, nodeId: number, context: StepContext): Promise<void> {
  const status = await readStatusOf(spec.name, context.signal)
  if (status?.connections.some(({ peerNodeId }) => peerNodeId === nodeId) !== false || !isAttached(status)) return
  await drbdsetup(['forget-peer', spec.name, `${nodeId}`], { signal: context.signal })
}
