/** What is left of a mirrored volume without a host, as the guard sees it. Pure. */
import type { DrbdConnection } from '#gen/hive/v1/drbd_status.ts'
import { type HostView, type QuorumEffect, quorumAfter, sameHost } from '../../proto/drbd-quorum.ts'
import type { VolumeStates } from './picture.ts'

/**
 * `none`: with it, as things are. A host that does not answer may be as its peers see it; or it has died, which they notice some seconds later. What is worse
 * counts; `drbd down` by hand believes the peers.
 */
export function quorumWithout({ hosts }: VolumeStates, host: string, kind: 'down' | 'none' = 'down'): QuorumEffect {
  const seen = [...hosts].flatMap(([one, state]): readonly HostView[] => (state === undefined ? [] : [{ host: one, status: state.status }]))
  const silent = [...hosts].flatMap(([one, state]) => (state === undefined ? [one] : []))
  const asSeen = quorumAfter(seen, { kind, host })
  if (silent.length === 0 || asSeen.verdict !== 'safe') return asSeen
  return quorumAfter(
    seen.map((view) => withoutPeers(view, silent)),
    { kind, host },
  )
}

const withoutPeers = ({ host, status }: HostView, peers: readonly string[]): HostView => ({
  host,
  status: status && { ...status, connections: status.connections.map((one) => (peers.some((peer) => sameHost(peer, one.name)) ? away(one) : one)) },
})

/** What was known of its disk before is kept: an outdated one counts less. */
function away(connection: DrbdConnection): DrbdConnection {
  if (connection.state !== 'Connected') return connection
  return {
    ...connection,
    state: 'Connecting',
    peerRole: 'Unknown',
    peerDevices: connection.peerDevices.map((device) => ({ ...device, replicationState: 'Off', peerDiskState: 'DUnknown' })),
  }
}
