/**
 * What is to be done for this host's part of a mirrored volume. Pure: from what was found to what may be done about it. Whatever it does
 * not know for certain stops it: nothing here leads to new metadata on a disk that holds something, to a smaller disk, to another minor or
 * node id, or to this host's good data being given up as the last.
 */
import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import type { EnsureDrbdResource } from '#gen/hive/v1/steps_storage.ts'
import type { Metadata } from '../../adapters/drbd/metadata.ts'
import { syncTowards } from '../../adapters/drbd/wait.ts'

export interface FoundDisk {
  readonly sizeBytes: bigint
  readonly thin: boolean
  /** How much was ever written to a thin one, in bytes; undefined where LVM does not tell. */
  readonly writtenBytes: bigint | undefined
}

/** Looked at only where DRBD does not hold the disk itself. */
export type FoundMetadata =
  | { readonly kind: 'not-read' }
  | { readonly kind: 'there'; readonly metadata: Metadata }
  | {
      readonly kind: 'none'
      /** What probing names, '' where nothing. */
      readonly signature: string
      readonly endsAreZero: boolean
      /** Made by this agent, under this identity, and not given metadata yet. */
      readonly madeHere: boolean
    }

export interface ResourceFacts {
  /** The logical volume; undefined: there is none. */
  readonly disk: FoundDisk | undefined
  /** Bytes of an extent of the volume group: LVM rounds up to whole ones. */
  readonly extentBytes: bigint
  readonly status: DrbdResourceStatus | undefined
  /** Room in the metadata of an attached disk, where a host with a disk is added; undefined: not asked. */
  readonly attachedMaxPeers: number | undefined
  readonly metadata: FoundMetadata
  /** The resource file in place is the wanted one, and is in the agent's own configuration. */
  readonly fileAsWanted: boolean
  /** What `drbdadm adjust` would run with the wanted file. */
  readonly commands: readonly string[]
  readonly unit: readonly string[]
  /** Node ids that are still to be forgotten. */
  readonly toForget: readonly number[]
}

export interface Actions {
  readonly makeDisk: boolean
  readonly growDisk: boolean
  /** The new disk's ends hold remains of what was deleted before it: they are overwritten. */
  readonly zeroEnds: boolean
  readonly makeMetadata: boolean
  readonly writeFile: boolean
  readonly adjust: boolean
  readonly forget: readonly number[]
  readonly unit: boolean
  readonly awaitSync: boolean
}

export type ResourceDecision =
  | { readonly kind: 'ok' }
  | { readonly kind: 'blocked'; readonly reason: string; readonly hint: string }
  | { readonly kind: 'change'; readonly reasons: readonly string[]; readonly actions: Actions }

/** A thin volume that has less than this written to it and nothing at its ends was never used. LVM tells percent with two decimals. */
const neverUsed = (disk: FoundDisk): boolean => disk.thin && disk.writtenBytes !== undefined && disk.writtenBytes <= disk.sizeBytes / 10_000n

export function decideResource(spec: EnsureDrbdResource, hostName: string, facts: ResourceFacts): ResourceDecision {
  const own = spec.nodes.find((node) => node.name === hostName)
  if (own === undefined) return blocked(`${hostName} is not among the hosts of ${spec.name}`, '')
  const device = facts.status?.devices[0]
  const attached = device !== undefined && device.diskState !== 'Diskless'

  const identity = sameIdentity(spec, own.nodeId, facts)
  if (identity !== undefined) return identity
  const forbidden = forbiddenCommand(spec, own.diskless, attached, facts.commands)
  if (forbidden !== undefined)
    return blocked(`bringing ${spec.name} to its resource file would take: ${forbidden}`, 'that interrupts or moves a volume in use, and is done by hand only')

  const disk = own.diskless ? asDiskless(facts, attached) : asDiskful(spec, own.nodeId, facts, attached)
  if (disk.kind === 'blocked') return disk
  return combine(facts, disk)
}

const blocked = (reason: string, hint: string) => ({ kind: 'blocked', reason, hint }) as const

/** A running resource keeps its node id, its minor and its only volume. */
function sameIdentity(spec: EnsureDrbdResource, nodeId: number, { status }: ResourceFacts) {
  if (status === undefined) return undefined
  if (status.nodeId !== nodeId)
    return blocked(`${spec.name} runs with node id ${status.nodeId} here, recorded with the stage is ${nodeId}`, 'node ids never change: correct the record')
  const [device, ...more] = status.devices
  if (more.length > 0) return blocked(`${spec.name} has ${status.devices.length} volumes here; this version knows resources of one`, '')
  if (device !== undefined && device.minor !== spec.minor)
    return blocked(`${spec.name} runs as /dev/drbd${device.minor} here, asked for is minor ${spec.minor}`, 'a device id never changes: give the volume its own')
  return undefined
}

/**
 * The first of the commands that this step does not give to DRBD: what takes a device, a resource or its disk away, and what cuts off a host
 * that stays. `disk none` by adjust is `detach --diskless`.
 */
function forbiddenCommand(spec: EnsureDrbdResource, diskless: boolean, attached: boolean, commands: readonly string[]): string | undefined {
  const stays = new Set(spec.nodes.map((node) => `${node.nodeId}`))
  return commands.find((line) => {
    const [program = '', verb = '', ...rest] = line.split(/\s+/)
    // With its folder where drbdadm was started so.
    const tool = program.slice(program.lastIndexOf('/') + 1)
    if (tool === 'drbdmeta') return !/ (apply-al|check-resize)( |$)/.test(`${line} `)
    if (tool !== 'drbdsetup') return true
    switch (verb) {
      case 'detach':
        return !(diskless && rest.includes('--diskless'))
      case 'attach':
        return diskless || attached
      case 'disconnect':
      case 'del-peer':
      case 'del-path':
        return stays.has(rest[1] ?? '')
      default:
        return !harmless.has(verb)
    }
  })
}

const harmless = new Set([
  'new-resource',
  'new-minor',
  'new-peer',
  'new-path',
  'connect',
  'resource-options',
  'disk-options',
  'net-options',
  'peer-device-options',
  'check-resize',
])

type DiskPart = ReturnType<typeof blocked> | { readonly kind: 'part'; readonly reasons: readonly string[]; readonly actions: Partial<Actions> }
const part = (reasons: readonly string[] = [], actions: Partial<Actions> = {}): DiskPart => ({ kind: 'part', reasons, actions })

function asDiskless({ status }: ResourceFacts, attached: boolean): DiskPart {
  if (!attached || status === undefined) return part()
  if (status.role === 'Primary')
    return blocked('its disk here cannot be given up: the volume is in use on this host', 'drain the host first: hivecoord host drain HOST')
  const good = status.connections.some(({ peerDevices }) => peerDevices.some(({ peerDiskState }) => peerDiskState === 'UpToDate'))
  if (!good) return blocked('its disk here cannot be given up: no other host is seen with up-to-date data', 'wait until another copy is UpToDate')
  return part(['its disk here is given up; the logical volume stays'])
}

function asDiskful(spec: EnsureDrbdResource, nodeId: number, facts: ResourceFacts, attached: boolean): DiskPart {
  const { disk } = facts
  const path = `/dev/${spec.volumeGroup}/${spec.name}`
  if (disk === undefined) {
    if (attached) return blocked(`DRBD holds a disk of ${spec.name} that is not ${path}`, 'name its volume group in the inventory (vgname)')
    return part([`${path} does not exist`], { makeDisk: true, makeMetadata: true })
  }
  const wanted = roundUp(spec.sizeBytes, facts.extentBytes)
  if (disk.sizeBytes > wanted)
    return blocked(
      `${path} has ${disk.sizeBytes} bytes, asked for are ${spec.sizeBytes}: a volume is not made smaller`,
      'a smaller volume is a new one: add it under another name, copy the data, then delete this one by its name; or write its present size into the inventory',
    )
  const grow = disk.sizeBytes < wanted ? part([`${path} grows from ${disk.sizeBytes} to ${wanted} bytes`], { growDisk: true }) : part()
  const metadata = attached ? roomOf(spec, nodeId, facts.attachedMaxPeers) : onDisk(spec, nodeId, disk, facts.metadata)
  if (metadata.kind === 'blocked' || grow.kind === 'blocked') return metadata
  return part([...grow.reasons, ...metadata.reasons], { ...grow.actions, ...metadata.actions })
}

/** Metadata of a disk that DRBD does not hold. */
function onDisk(spec: EnsureDrbdResource, nodeId: number, disk: FoundDisk, found: FoundMetadata): DiskPart {
  const path = `/dev/${spec.volumeGroup}/${spec.name}`
  switch (found.kind) {
    case 'not-read':
      return blocked(`what is on ${path} is not known`, '')
    case 'there': {
      const { metadata } = found
      if (metadata.nodeId !== -1 && metadata.nodeId !== nodeId)
        return blocked(
          `the metadata on ${path} is of node id ${metadata.nodeId}, recorded with the stage is ${nodeId}`,
          'it is the disk of another host, or the record is wrong; its metadata is not written over',
        )
      return roomOf(spec, nodeId, metadata.maxPeers)
    }
    case 'none': {
      const evidence =
        found.signature !== '' ? `it holds ${found.signature}` : found.endsAreZero ? 'its first and last MiB are empty' : 'its first or last MiB are not empty'
      if (found.madeHere && found.signature === '') return part([`${path} was made just now`], { makeMetadata: true, zeroEnds: !found.endsAreZero })
      if (found.signature === '' && found.endsAreZero && neverUsed(disk)) return part([`${path} is empty`], { makeMetadata: true })
      return blocked(
        `${path} was not made by this step and has no DRBD metadata: ${evidence}`,
        `if nothing on it is needed, lvremove ${spec.volumeGroup}/${spec.name} on this host and run again: it is made anew and filled from the other hosts`,
      )
    }
  }
}

/** Each other host with a disk takes a place in the metadata; those without take none. */
function roomOf(spec: EnsureDrbdResource, nodeId: number, maxPeers: number | undefined): DiskPart {
  const needed = spec.nodes.filter((node) => !node.diskless && node.nodeId !== nodeId).length
  if (maxPeers === undefined || maxPeers >= needed) return part()
  return blocked(
    `the metadata on this host has room for ${maxPeers} other disks, needed are ${needed}`,
    `one host at a time, each time waiting until it is UpToDate: drbdadm down ${spec.name}, lvremove ${spec.volumeGroup}/${spec.name}, hivecoord build-volumes -l ${spec.name}`,
  )
}

function combine(facts: ResourceFacts, disk: Extract<DiskPart, { kind: 'part' }>): ResourceDecision {
  const sync = facts.status === undefined ? undefined : syncTowards(facts.status)
  const actions: Actions = {
    makeDisk: false,
    growDisk: false,
    zeroEnds: false,
    makeMetadata: false,
    ...disk.actions,
    writeFile: !facts.fileAsWanted,
    adjust: facts.commands.length > 0,
    forget: facts.toForget,
    unit: facts.unit.length > 0,
    awaitSync: sync !== undefined,
  }
  const reasons = [
    ...disk.reasons,
    ...(actions.writeFile ? ['its resource file differs'] : []),
    ...(facts.status === undefined ? ['it is not up'] : actions.adjust ? ['it runs with other settings than its resource file'] : []),
    ...(actions.forget.length > 0 ? [`node ${actions.forget.join(', ')} is to be forgotten`] : []),
    ...facts.unit,
    ...(sync === undefined ? [] : ['its disk here is being filled']),
  ]
  return reasons.length === 0 ? { kind: 'ok' } : { kind: 'change', reasons, actions }
}

const roundUp = (bytes: bigint, unit: bigint): bigint => ((bytes + unit - 1n) / unit) * unit
