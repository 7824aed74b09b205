/**
 * What the fake DRBD knows: plain data, so that a state can be written down as JSON and taken up again. Times are milliseconds of the clock
 * that is passed in; sizes are KiB. One resource carries one volume.
 */

export type Role = 'Primary' | 'Secondary' | 'Unknown'
export type DiskState = 'Diskless' | 'Failed' | 'Inconsistent' | 'Outdated' | 'DUnknown' | 'Consistent' | 'UpToDate'
export type ConnectionState = 'StandAlone' | 'Disconnecting' | 'Unconnected' | 'NetworkFailure' | 'TearDown' | 'Connecting' | 'Connected'
export type ReplicationState = 'Off' | 'Established' | 'SyncSource' | 'SyncTarget' | 'PausedSyncS' | 'PausedSyncT' | 'VerifyS' | 'VerifyT'
export type Options = Record<string, string>

export interface ClusterState {
  now: number
  /** of the generator of identities: the same inputs give the same states. */
  seed: number
  settings: Settings
  hosts: Record<string, HostState>
  /** pairs "a|b" (sorted) between which no packet passes. */
  cuts: string[]
  /** which host uses a DRBD address; known since its first path. */
  addresses: Record<string, string>
}

export interface Settings {
  resyncKibPerSecond: number
  /** from both sides being ready to Connected. */
  connectMs: number
  /** how much of ping-int passes, as a fraction, until a silent peer is missed; ping-timeout is added. */
  pingPhase: number
  /** for how long a Secondary that lost its Primary is Consistent before it is UpToDate again. */
  consistentMs: number
  /** what a killed Primary's activity log marks as out of sync when it comes back. */
  activityLogKib: number
  /** the returning Primary's second connection is refused by that peer's kernel, once: "already active (-8)". */
  raceOnReturn: boolean
}

export const DEFAULT_SETTINGS: Settings = {
  resyncKibPerSecond: 10_240,
  connectMs: 500,
  pingPhase: 0.8,
  consistentMs: 600,
  activityLogKib: 8_192,
  raceOnReturn: false,
}

export interface HostState {
  name: string
  powered: boolean
  resources: Record<string, Resource>
  /** backing devices by path; they outlive the host's power. */
  disks: Record<string, Disk>
  /** TCP ports of other programs. */
  foreignPorts: number[]
}

export interface Disk {
  sizeKib: number
  /** reads and writes fail. */
  broken: boolean
  /** changed behind DRBD's back: what a verify finds. */
  damagedKib?: number
  meta?: Metadata
}

/** DRBD's metadata at the end of a backing device. Identities are 16 hexadecimal digits; the lowest bit is not part of them. */
export interface Metadata {
  maxPeers: number
  /** -1 until the first attach. */
  nodeId: number
  current: string
  history: string[]
  consistent: boolean
  upToDate: boolean
  /** was Primary and has not stopped being one in order. */
  primary: boolean
  /** attached and not detached in order: after a loss of power the activity log has blocks. */
  inUse: boolean
  /** the size agreed with the peers; 0 before. */
  sizeKib: number
  peers: Record<string, PeerMetadata>
}

export interface PeerMetadata {
  bitmap: string
  dirtyKib: number
  /** the peer left in order: it does not count in the quorum. */
  outdated: boolean
  /** found by a verify: the next handshake copies these blocks. */
  verified: boolean
  /** forget-peer: nothing is known of it, so the next handshake copies everything. */
  forgotten: boolean
}

export interface Resource {
  name: string
  nodeId: number
  options: Options
  role: Role
  /** promoted by command: closing the device does not demote. */
  explicit: boolean
  forceIoFailures: boolean
  device?: Device
  peers: Record<string, Peer>
}

export interface Device {
  minor: number
  volume: number
  backing?: string
  metaDisk?: string
  diskOptions: Options
  disk: DiskState
  /** without a disk on purpose. */
  client: boolean
  quorum: boolean
  sizeKib: number
  /** a disk was attached once: its write ordering is still told. */
  hadDisk: boolean
  openers: Opener[]
  /** it was Primary when its power went, and has met no peer since. */
  crashedPrimary: boolean
  /** when a Consistent disk is judged again. */
  consistentUntil?: number
  /** when a new data generation starts because a writer goes on without a peer. */
  generationDue?: number
}

export interface Opener {
  id: string
  write: boolean
  program: string
  pid: number
  at: number
}

export interface Peer {
  nodeId: number
  /** counts up: events2 tells the connection that was made last first. */
  order: number
  netOptions: Options
  deviceOptions: Options
  path?: Path
  state: ConnectionState
  role: Role
  disk: DiskState
  client: boolean
  replication: ReplicationState
  suspended: ('user' | 'peer' | 'dependency')[]
  discardMyData: boolean
  /** it disconnected in order: it does not count against the quorum. */
  leftInOrder: boolean
  /** when the two sides meet. */
  connectAt?: number
  /** when this side notices that the other is silent. */
  lossAt?: number
  /** of the resync or verify that is under way. */
  sync?: Sync
  receivedKib: number
  sentKib: number
}

export interface Path {
  local: string
  remote: string
}

export interface Sync {
  startedAt: number
  totalKib: number
  leftKib: number
  /** blocks a verify will find different. */
  differentKib: number
}

export const JUST_CREATED = '0000000000000004'
export const NO_GENERATION = '0000000000000000'

export const pairKey = (a: string, b: string): string => [a, b].sort().join('|')

/** What a device can hold under its metadata: a bitmap for each peer with a bit per 4 KiB, 32 KiB of activity log, 4 KiB superblock. */
export function usableKib(sizeKib: number, maxPeers: number): number {
  const bitmapKib = Math.ceil((Math.ceil(sizeKib / 4 / 64) * 8 * maxPeers) / 4096) * 4
  return sizeKib - bitmapKib - 36
}

export const emptyPeerMetadata = (): PeerMetadata => ({ bitmap: NO_GENERATION, dirtyKib: 0, outdated: false, verified: false, forgotten: false })

export function peerMetadata(meta: Metadata, nodeId: number): PeerMetadata {
  meta.peers[nodeId] ??= emptyPeerMetadata()
  return meta.peers[nodeId]
}

export const freshMetadata = (maxPeers: number): Metadata => ({
  maxPeers,
  nodeId: -1,
  current: JUST_CREATED,
  history: [],
  consistent: false,
  upToDate: false,
  primary: false,
  inUse: false,
  sizeKib: 0,
  peers: {},
})

/** The metadata of the disk that is attached, if one is. */
export function attachedMetadata(host: HostState, resource: Resource): Metadata | undefined {
  const device = resource.device
  if (device?.backing === undefined || device.disk === 'Diskless') return undefined
  return host.disks[device.backing]?.meta
}

/** As events2 tells them. */
export const newestFirst = (resource: Resource): Peer[] => Object.values(resource.peers).sort((a, b) => b.order - a.order)
/** By node id: JavaScript keeps keys that are numbers in their order. */
export const peersOf = (resource: Resource): Peer[] => Object.values(resource.peers)
/** A peer that never has a disk: it keeps no bitmap here and has no vote. */
export const isClientByConfiguration = (peer: Peer): boolean => peer.deviceOptions['bitmap'] === 'no'
