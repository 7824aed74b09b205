/** What one host's DRBD tells of a resource: the facts from which status, events2 and the one-word commands are printed. */
import { attachedMetadata, type HostState, type Peer, peersOf, type Resource } from './state.ts'

export interface SyncView {
  donePercent: number
  totalKib: number
  mibPerSecond: number
  secondsLeft: number
  elapsedMs: number
  verify: boolean
}

export function outOfSyncKib(host: HostState, resource: Resource, peer: Peer): number {
  const meta = attachedMetadata(host, resource)
  return Math.round(meta?.peers[peer.nodeId]?.dirtyKib ?? 0)
}

export function syncView(peer: Peer, now: number): SyncView | undefined {
  const { sync } = peer
  if (sync === undefined) return undefined
  const copied = sync.totalKib - sync.leftKib
  const elapsedMs = Math.max(now - sync.startedAt, 0)
  const kibPerMs = elapsedMs > 0 ? copied / elapsedMs : 0
  return {
    donePercent: sync.totalKib === 0 ? 100 : (copied / sync.totalKib) * 100,
    totalKib: sync.totalKib,
    mibPerSecond: (kibPerMs * 1000) / 1024,
    secondsLeft: kibPerMs > 0 ? Math.round(sync.leftKib / kibPerMs / 1000) : 0,
    elapsedMs,
    verify: peer.replication === 'VerifyS' || peer.replication === 'VerifyT',
  }
}

/** May it become Primary by itself, and how good a choice is it (DRBD 9's promotion score)? */
export function promotion(resource: Resource): { may: boolean; score: number } {
  const { device } = resource
  const peers = peersOf(resource).filter((peer) => peer.state === 'Connected')
  const upToDatePeers = peers.filter((peer) => peer.disk === 'UpToDate').length
  if (device === undefined || !device.quorum) return { may: false, score: 0 }
  const own = device.disk === 'UpToDate'
  const copied = device.disk === 'Inconsistent' || device.disk === 'Consistent'
  const score = own ? 10_101 + upToDatePeers : copied && upToDatePeers > 0 ? 10_000 + upToDatePeers : upToDatePeers
  const hasData = own || ((copied || device.disk === 'Diskless') && upToDatePeers > 0)
  const primary = resource.role === 'Primary' || peers.some((peer) => peer.role === 'Primary')
  return { may: hasData && !primary && device.disk !== 'Consistent', score }
}

export const heldDisk = (resource: Resource): string => resource.device?.backing ?? 'none'
export const yes = (flag: boolean): string => (flag ? 'yes' : 'no')
export const suspendedBy = (peer: Peer): string => (peer.suspended.length === 0 ? 'no' : peer.suspended.join(','))
