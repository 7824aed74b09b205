/**
 * What is to be done once for a whole mirrored volume, on the host that the coordinator chose. Pure.
 *
 * A volume whose data are there is taken as it is, whatever its generation. Valid is declared only what was never written: every host of
 * the mesh is connected, every disk is Inconsistent with metadata as create-md leaves it, and this host's own shows no generation and no
 * history. That the peers' are new as well follows from the connection: DRBD compares generations when two meet, and comes to Established
 * without a resync only where both are the same.
 */
import type { DrbdConnection, DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import type { EnsureDrbdVolume } from '#gen/hive/v1/steps_storage.ts'
import { deviceKib, type Generation, isJustCreated } from '../../adapters/drbd/metadata.ts'
import type { FileSystem } from '../../adapters/file-system.ts'

export interface VolumeFacts {
  readonly status: DrbdResourceStatus | undefined
  /** Of this host's logical volume; undefined: there is none. */
  readonly diskBytes: bigint | undefined
  /** Looked at only while no disk holds data; empty else. */
  readonly generations: readonly Generation[]
  /** What its first 4 KiB say. */
  readonly fileSystem: FileSystem | undefined
  /** No signature, and nothing in the first and last MiB of the device. Looked at only where a generation or a file system is to be made. */
  readonly empty: boolean
  /** This host began the volume's first generation and has not made its file system yet. */
  readonly begun: boolean
  /** It began to make that file system, and what is there is nothing that anybody could use. */
  readonly halfMade: boolean
  /** Room in the metadata, looked at only where the device seems too small. */
  readonly maxPeers: number | undefined
}

export type VolumeDecision =
  | { readonly kind: 'ok' }
  /** Nothing can be said yet. */
  | { readonly kind: 'wait'; readonly reason: string }
  | { readonly kind: 'blocked'; readonly reason: string; readonly hint: string }
  /** clear-bitmap: all disks read zeros, so they are equal. copy: this disk is declared valid and copied to the others. */
  | { readonly kind: 'first-generation'; readonly how: 'clear-bitmap' | 'copy' }
  | { readonly kind: 'format'; readonly again: boolean }
  /** The file system that was begun is there. */
  | { readonly kind: 'finish' }
  | { readonly kind: 'resize'; readonly toKib: bigint }
  | { readonly kind: 'grow-file-system'; readonly mounted: boolean }

export function decideVolume(spec: EnsureDrbdVolume, hostName: string, facts: VolumeFacts): VolumeDecision {
  const { status } = facts
  const device = status?.devices[0]
  if (status === undefined || device === undefined) return { kind: 'wait', reason: `${spec.name} is not up on this host` }
  if (device.minor !== spec.minor)
    return blocked(`${spec.name} is /dev/drbd${device.minor} here, asked for is minor ${spec.minor}`, 'a device id never changes')
  switch (device.diskState) {
    case 'UpToDate':
      return withData(spec, facts, status)
    case 'Inconsistent':
      return withoutData(spec, hostName, facts, status)
    case 'Attaching':
    case 'Negotiating':
    case 'Consistent':
    case 'Outdated':
      return { kind: 'wait', reason: `the disk of ${spec.name} here is ${device.diskState}, and no host with newer data is connected` }
    default:
      return blocked(`the disk of ${spec.name} here is ${device.diskState}`, 'hivecoord doctor names the cause and the repair')
  }
}

const blocked = (reason: string, hint: string): VolumeDecision => ({ kind: 'blocked', reason, hint })
const stateOf = (connection: DrbdConnection): string => connection.peerDevices[0]?.peerDiskState ?? 'DUnknown'

function withoutData(spec: EnsureDrbdVolume, hostName: string, facts: VolumeFacts, status: DrbdResourceStatus): VolumeDecision {
  const holder = status.connections.find((connection) => ['UpToDate', 'Consistent', 'Outdated'].includes(stateOf(connection)))
  if (holder !== undefined) return { kind: 'wait', reason: `this disk is filled from ${holder.name}, whose data are ${stateOf(holder)}` }

  const peers = spec.diskful.filter((name) => name !== hostName)
  if (peers.length === spec.diskful.length) return blocked(`${hostName} is not among the hosts with a disk of ${spec.name}`, '')
  const unseen = peers.find((name) => status.connections.every((connection) => connection.name !== name))
  if (unseen !== undefined) return { kind: 'wait', reason: `${unseen} is not in the resource here` }
  const apart = status.connections.find(({ state }) => state !== 'Connected')
  if (apart !== undefined) return { kind: 'wait', reason: `${apart.name} is not connected (${apart.state})` }
  for (const connection of status.connections) {
    const [peer] = connection.peerDevices
    const diskful = peers.includes(connection.name)
    if (!diskful && stateOf(connection) !== 'Diskless') return { kind: 'wait', reason: `${connection.name} still has a disk (${stateOf(connection)})` }
    if (diskful && (stateOf(connection) !== 'Inconsistent' || peer?.replicationState !== 'Established'))
      return { kind: 'wait', reason: `the disk of ${connection.name} is ${stateOf(connection)}, ${peer?.replicationState ?? 'Off'}` }
  }
  if (!isJustCreated(facts.generations))
    return blocked(
      `no disk of ${spec.name} is valid, and this one was not made just now: it had generation ${facts.generations[0]?.current ?? 'unknown'}`,
      'data may be on it: hivecoord doctor',
    )
  if (spec.noFormat)
    return blocked(
      `no disk of ${spec.name} holds data, and making a first generation is forbidden (no_format)`,
      'take no_format away, or wait for the host with its data',
    )
  if (!facts.empty)
    return blocked(`the metadata of ${spec.name} is new, and its disk holds something`, 'if nothing on it is needed, lvremove it on every host and run again')
  return { kind: 'first-generation', how: spec.thin ? 'clear-bitmap' : 'copy' }
}

/** KiB that may lie between a file system's end and its device's: the last allocation or block group may be too small to be used. */
const unusedEnd = 4096n

function withData(spec: EnsureDrbdVolume, facts: VolumeFacts, status: DrbdResourceStatus): VolumeDecision {
  const { fileSystem, begun } = facts
  const sizeKib = status.devices[0]?.sizeKib ?? 0n
  if (begun && fileSystem === undefined) {
    if (spec.noFormat) return blocked(`${spec.name} has no file system yet, and making one is forbidden (no_format)`, 'take no_format away')
    if (facts.empty) return { kind: 'format', again: false }
    const used = status.role === 'Primary' || status.connections.some(({ peerRole }) => peerRole === 'Primary')
    if (facts.halfMade && !used) return { kind: 'format', again: true }
    return blocked(`${spec.name} was made by this host, and holds something that is no ${spec.fstype}`, 'whoever wrote it knows; it is not formatted')
  }
  if (fileSystem === undefined && !spec.noFormat)
    return blocked(
      `${spec.name} is valid and holds no xfs or ext4, and its first generation was not made by this host`,
      `if nothing is on it: mkfs.${spec.fstype} /dev/drbd${spec.minor} on one host; if it shall stay as it is, no_format`,
    )
  if (fileSystem !== undefined && fileSystem.type !== spec.fstype && !spec.noFormat)
    return blocked(
      `${spec.name} holds ${fileSystem.type}, asked for is ${spec.fstype}`,
      `write fstype: ${fileSystem.type} into the inventory: it is not formatted anew`,
    )
  if (begun) return { kind: 'finish' }

  const toKib = growsTo(spec, facts, sizeKib)
  if (toKib !== undefined) {
    const behind = status.connections.find((one) => spec.diskful.includes(one.name) && (one.state !== 'Connected' || stateOf(one) !== 'UpToDate'))
    if (behind !== undefined)
      return { kind: 'wait', reason: `${spec.name} grows when ${behind.name} is connected and UpToDate (it is ${behind.state}, ${stateOf(behind)})` }
    return { kind: 'resize', toKib }
  }
  if (fileSystem === undefined || !fillsNot(fileSystem, sizeKib)) return { kind: 'ok' }
  if (status.role === 'Primary') return { kind: 'grow-file-system', mounted: true }
  const elsewhere = status.connections.some(({ peerRole, state }) => peerRole === 'Primary' || state !== 'Connected')
  return elsewhere ? { kind: 'ok' } : { kind: 'grow-file-system', mounted: false }
}

export const fillsNot = (fileSystem: FileSystem, sizeKib: bigint): boolean => sizeKib - fileSystem.sizeBytes / 1024n > unusedEnd

/** KiB that the device is to have, where it has less: as much as was asked for and this host's disk gives. */
export function growsTo(
  spec: { readonly sizeBytes: bigint },
  { diskBytes, maxPeers }: Pick<VolumeFacts, 'diskBytes' | 'maxPeers'>,
  sizeKib: bigint,
): bigint | undefined {
  if (diskBytes === undefined || maxPeers === undefined) return undefined
  const bytes = diskBytes < spec.sizeBytes ? diskBytes : spec.sizeBytes
  const toKib = deviceKib(bytes, maxPeers)
  return sizeKib < toKib ? toKib : undefined
}

/** Whether the device is smaller than with the most room that metadata may have: only then its metadata is looked at. */
export const mayGrow = (spec: { readonly sizeBytes: bigint }, diskBytes: bigint | undefined, sizeKib: bigint): boolean =>
  growsTo(spec, { diskBytes, maxPeers: usualPeers }, sizeKib) !== undefined

/** As hive makes metadata. hive-builder's has less room, so its devices are larger. */
const usualPeers = 7
