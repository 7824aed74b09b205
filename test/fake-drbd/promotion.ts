/** Who may be Primary, and what opening and closing the device does to the role. */
import { pingTimeout } from './connection.ts'
import { nextGeneration, startGeneration } from './generation.ts'
import { recordLeave } from './handshake.ts'
import { quorumOf } from './quorum.ts'
import { startResync } from './resync.ts'
import { attachedMetadata, isClientByConfiguration, type Opener, peerMetadata, peersOf } from './state.ts'
import { absentVoters, component, copiesOf, label, liveEnd, type Member, peerName, type World } from './world.ts'

export type Refusal = { rv: number; text: string; info?: string }
export type Promotion = 'ok' | { again: number } | Refusal

export const NEED_DATA: Refusal = { rv: -2, text: 'Need access to UpToDate data' }

/** One attempt. `again`: nothing can be said before that time, because a silent peer is asked first. */
export function promote(world: World, member: Member, how: { force: boolean; explicit: boolean; program: string }): Promotion {
  const { state } = world
  const { host, resource } = member
  const { device } = resource
  if (resource.role === 'Primary') {
    resource.explicit ||= how.explicit
    return 'ok'
  }
  if (device === undefined) return NEED_DATA
  const nodes = component(state, member)
  const later = askSilentPeers(world, nodes)
  if (later !== undefined) return { again: later }
  if (device.disk === 'Consistent' && device.consistentUntil !== undefined) return { again: device.consistentUntil + 1 }
  if (nodes.some((node) => node.host !== host && node.resource.role === 'Primary')) return { rv: -1, text: 'Multiple primaries not allowed by config' }
  const quorum = quorumOf(host, resource)
  if (!device.quorum && !how.force)
    return { rv: -25, text: 'No quorum', info: `${quorum.visible} of ${quorum.voters} nodes visible, need ${quorum.needed} for quorum` }
  const peerHasData = peersOf(resource).some((peer) => liveEnd(state, { ...member, peer }) !== undefined && peer.disk === 'UpToDate')
  const usable = device.disk === 'UpToDate' || ((device.disk === 'Inconsistent' || device.disk === 'Diskless') && peerHasData)
  if (!usable && !(how.force && attachedMetadata(host, resource) !== undefined)) return NEED_DATA
  const reader = nodes.find((node) => node.host !== host && (node.resource.device?.openers.length ?? 0) > 0)
  if (reader !== undefined) return refusedByReader(world, reader, member)
  world.log(host, `drbd ${resource.name}: role( Secondary -> Primary ) [${how.program}]`)
  resource.role = 'Primary'
  resource.explicit = how.explicit
  if (!device.quorum) outdateAbsent(world, member)
  const meta = attachedMetadata(host, resource)
  if (meta !== undefined) meta.primary = true
  if (!usable) forceData(world, member)
  return 'ok'
}

function refusedByReader(world: World, reader: Member, member: Member): Refusal {
  const opener = reader.resource.device?.openers[0]
  world.log(reader.host, `drbd ${reader.resource.name}: State change failed: Peer may not become primary while device is opened read-only (-22)`)
  world.log(reader.host, `${label(reader.resource)}: Held open by ${opener?.program ?? ''}(${opener?.pid ?? 0})`)
  const peer = member.resource.peers[reader.resource.nodeId]
  const name = peer === undefined ? reader.host.name : peerName(peer)
  return { rv: -10, text: 'State change was refused by peer node', info: `Declined by peer ${name} (id: ${reader.resource.nodeId}), see the kernel log there` }
}

/** By force without quorum: the peers that are not there are taken for outdated, and so there is a quorum from now on. */
function outdateAbsent(world: World, member: Member): void {
  for (const peer of peersOf(member.resource)) {
    if (liveEnd(world.state, { ...member, peer }) !== undefined || isClientByConfiguration(peer)) continue
    peer.disk = 'Outdated'
    recordLeave({ ...member, peer }, true)
  }
}

/** Connected peers that do not answer are missed after ping-timeout; undefined when all answer. */
function askSilentPeers(world: World, nodes: readonly Member[]): number | undefined {
  let later: number | undefined
  for (const node of nodes) {
    for (const peer of peersOf(node.resource)) {
      if (peer.state !== 'Connected' || liveEnd(world.state, { ...node, peer }) !== undefined) continue
      const at = world.state.now + pingTimeout(peer)
      peer.lossAt = Math.min(peer.lossAt ?? at, at)
      later = Math.max(later ?? 0, peer.lossAt + 1)
    }
  }
  return later
}

/** `primary --force` on a disk that is not up to date: its data becomes the data. */
function forceData(world: World, member: Member): void {
  const { host, resource } = member
  const meta = attachedMetadata(host, resource)
  if (meta === undefined || resource.device === undefined) return
  const peers = peersOf(resource)
  resource.device.disk = 'UpToDate'
  startGeneration(meta, nextGeneration(world.state), absentVoters(resource))
  Object.assign(meta, { consistent: true, upToDate: true, sizeKib: resource.device.sizeKib })
  for (const peer of peers) {
    peerMetadata(meta, peer.nodeId).dirtyKib = resource.device.sizeKib
    const other = liveEnd(world.state, { ...member, peer })
    if (other !== undefined && attachedMetadata(other.host, other.resource) !== undefined) startResync(world, { ...member, peer }, other, true)
  }
}

export const hasSilentPeer = (world: World, member: Member): boolean =>
  peersOf(member.resource).some((peer) => peer.state === 'Connected' && liveEnd(world.state, { ...member, peer }) === undefined)

/** A writer goes on without some of the copies: their base is remembered, so that they can be caught up. */
export function considerGeneration(world: World, member: Member): void {
  const { resource } = member
  const { device } = resource
  if (device === undefined || resource.role !== 'Primary' || !device.quorum || hasSilentPeer(world, member)) return
  const copies = copiesOf(world.state, member).filter((copy) => copy.device.disk === 'UpToDate')
  const ownIsMissing = !device.client && device.disk === 'Diskless'
  const absent = [...absentVoters(resource), ...(ownIsMissing ? [resource.nodeId] : [])]
  const lead = copies[0]
  if (lead === undefined || absent.every((id) => peerMetadata(lead.meta, id).bitmap !== '0000000000000000')) return
  const current = nextGeneration(world.state)
  for (const copy of copies)
    startGeneration(
      copy.meta,
      current,
      absent.filter((id) => id !== copy.resource.nodeId),
    )
}

/** Blocks were written: what the absent copies miss. */
export function written(world: World, member: Member, kib: number): void {
  const { resource } = member
  // a write hangs until every silent peer is missed: nothing of it counts yet
  if (resource.role !== 'Primary' || hasSilentPeer(world, member)) return
  considerGeneration(world, member)
  const absent = [...absentVoters(resource), ...(resource.device?.disk === 'Diskless' && !resource.device.client ? [resource.nodeId] : [])]
  for (const copy of copiesOf(world.state, member)) {
    for (const id of absent) {
      if (id === copy.resource.nodeId) continue
      const peer = peerMetadata(copy.meta, id)
      peer.dirtyKib = Math.min(copy.device.sizeKib, peer.dirtyKib + kib)
    }
  }
}

export type Opening = { ok: true; readOnly: boolean } | { again: number } | { errno: 'EMEDIUMTYPE' | 'ENODATA' | 'EROFS' | 'ENXIO' }

/**
 * open(2) of the device. A writer on a Secondary promotes it and waits up to auto-promote-timeout, from `since`. The caller asks again at `again`.
 */
export function open(world: World, member: Member, opener: Opener, since: number): Opening {
  const { state } = world
  const { resource } = member
  const { device } = resource
  if (device === undefined) return { errno: 'ENXIO' }
  const waits = Number(resource.options['auto-promote-timeout'] ?? 20) * 100
  const add = (): Opening => {
    device.openers = [...device.openers.filter((one) => one.id !== opener.id), opener]
    if (opener.write) written(world, member, 64)
    return { ok: true, readOnly: !opener.write }
  }
  const others = component(state, member).filter((node) => node.host !== member.host)
  if (!opener.write) {
    if (resource.role !== 'Primary' && others.some((node) => node.resource.role === 'Primary')) return { errno: 'EMEDIUMTYPE' }
    if (!device.quorum || !readable(world, member)) return { errno: 'ENODATA' }
    return add()
  }
  if (resource.role === 'Primary') return device.quorum ? add() : { errno: 'ENODATA' }
  if ((resource.options['auto-promote'] ?? 'yes') === 'no') return { errno: 'EROFS' }
  const result = promote(world, member, { force: false, explicit: false, program: `${opener.program}:${opener.pid} auto-promote` })
  if (result === 'ok') return add()
  if ('again' in result) return result.again < since + waits ? result : { errno: 'EROFS' }
  if ((result.rv === -1 || result.rv === -10) && state.now < since + waits) return { again: Math.min(state.now + 100, since + waits) }
  return { errno: result.rv === -1 ? 'EMEDIUMTYPE' : 'EROFS' }
}

const readable = (world: World, member: Member): boolean =>
  member.resource.device?.disk === 'UpToDate' ||
  peersOf(member.resource).some((peer) => liveEnd(world.state, { ...member, peer }) !== undefined && peer.disk === 'UpToDate')

/** The last close of a device that was promoted by opening it demotes. */
export function close(world: World, member: Member, id: string): void {
  const { resource } = member
  const { device } = resource
  if (device === undefined) return
  device.openers = device.openers.filter((opener) => opener.id !== id)
  if (device.openers.length === 0) resource.forceIoFailures = false
  if (resource.role === 'Primary' && !resource.explicit && !device.openers.some((opener) => opener.write)) demote(world, member)
}

export function demote(world: World, member: Member): void {
  const { host, resource } = member
  if (resource.role !== 'Primary') return
  resource.role = 'Secondary'
  resource.explicit = false
  if (resource.device !== undefined) delete resource.device.generationDue
  const meta = attachedMetadata(host, resource)
  if (meta !== undefined) meta.primary = false
  world.log(host, `drbd ${resource.name}: role( Primary -> Secondary ) [secondary]`)
}
