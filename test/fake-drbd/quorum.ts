/** Who counts in a quorum and whether there is one: DRBD 9's rule, pure. */
import { attachedMetadata, type HostState, isClientByConfiguration, peersOf, type Resource } from './state.ts'

export interface Quorum {
  has: boolean
  voters: number
  visible: number
  needed: number
}

/**
 * Voters are the nodes that have a disk by configuration. Connected ones are visible. Peers that left in order do not count against: when
 * all absent ones are of that kind, the rest has quorum whatever its number. Half of an even number is enough to keep, not to gain, a quorum
 * while a majority of the nodes without a disk is connected (the tie-breaker).
 */
export function quorumOf(host: HostState, resource: Resource): Quorum {
  const device = resource.device
  const wanted = resource.options['quorum'] ?? 'off'
  const meta = attachedMetadata(host, resource)
  const peers = peersOf(resource)
  const isClient = (peer: (typeof peers)[number]): boolean => isClientByConfiguration(peer) || peer.client
  const ownVote = device?.client === true ? 0 : 1
  const voting = peers.filter((peer) => !isClient(peer))
  // a connection that was deleted is still known to the metadata
  const forgotten = Object.entries(meta?.peers ?? {}).filter(([nodeId, known]) => resource.peers[nodeId] === undefined && !known.forgotten)
  const voters = voting.length + forgotten.length + ownVote
  const visible = voting.filter((peer) => peer.state === 'Connected').length + ownVote
  const needed = wanted === 'all' ? voters : /^\d+$/.test(wanted) ? Number(wanted) : Math.floor(voters / 2) + 1
  if (wanted === 'off') return { has: true, voters, visible, needed: 0 }
  if (device === undefined || visible === 0 || (peers.length === 0 && device.disk === 'Diskless')) return { has: false, voters, visible, needed }
  const absent = voting.filter((peer) => peer.state !== 'Connected')
  const missing = [...absent.map((peer) => peer.leftInOrder || meta?.peers[peer.nodeId]?.outdated === true), ...forgotten.map(([, known]) => known.outdated)]
  const allLeftInOrder = missing.length > 0 && missing.every(Boolean)
  if (visible >= needed || allLeftInOrder) return { has: true, voters, visible, needed }
  const clients = peers.filter(isClient)
  const allClients = clients.length + 1 - ownVote
  const seenClients = clients.filter((peer) => peer.state === 'Connected').length + 1 - ownVote
  const keeps = device.quorum && voters % 2 === 0 && visible === needed - 1 && seenClients * 2 > allClients
  return { has: keeps, voters, visible, needed }
}
