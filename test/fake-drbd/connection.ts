/** Connections come up, break and are closed in order. */
import { recordLeave } from './handshake.ts'
import { outdate } from './meet-disks.ts'
import { tenths } from './options.ts'
import { resumeWaiting } from './resync.ts'
import { type Peer, peersOf } from './state.ts'
import { absentVoters, allEnds, connectionLabel, type End, label, liveEnd, type Member, otherEnd, primaryBeside, reachable, type World } from './world.ts'

/** `drbdsetup connect`: from now on this side tries. */
export function startConnecting(world: World, end: End): void {
  const { host, peer } = end
  const port = Number(peer.path?.local.split(':').at(-1))
  if (host.foreignPorts.includes(port)) {
    world.log(host, `${connectionLabel(end.resource, peer)}: Failed to initiate connection, err=-98`)
    peer.state = 'Disconnecting'
    world.observe()
    peer.state = 'StandAlone'
    return
  }
  peer.state = 'Unconnected'
  world.observe()
  peer.state = 'Connecting'
}

/** Sets the timers of ends that can meet, and of those whose peer is silent. */
export function schedule(world: World): void {
  const { state } = world
  for (const end of allEnds(state)) {
    const { peer } = end
    const other = otherEnd(state, end)
    const near = other !== undefined && reachable(state, end.host.name, other.host.name)
    if (peer.state === 'Connecting') {
      if (near && other.peer.state === 'Connecting') peer.connectAt ??= state.now + state.settings.connectMs
      else delete peer.connectAt
    } else delete peer.connectAt
    if (peer.state !== 'Connected') delete peer.lossAt
    else if (near && other.peer.state === 'Connected') delete peer.lossAt
    else if (near || (other === undefined && peerHostIsBack(world, end))) peer.lossAt = Math.min(peer.lossAt ?? Number.POSITIVE_INFINITY, state.now + 10)
    else peer.lossAt ??= state.now + silence(peer, state.settings.pingPhase)
  }
}

/** The peer's host is on again and knows nothing of the connection: it answers so. */
function peerHostIsBack(world: World, end: End): boolean {
  const name = world.state.addresses[end.peer.path?.remote ?? '']
  return name !== undefined && reachable(world.state, end.host.name, name)
}

const silence = (peer: Peer, phase: number): number => Number(peer.netOptions['ping-int'] ?? 10) * 1000 * phase + pingTimeout(peer)
export const pingTimeout = (peer: Peer): number => tenths(peer.netOptions, 'ping-timeout', 5) * 100

/** The connection broke: the peer's state is unknown, and this side tries again. */
export function loseConnection(world: World, end: End): void {
  const { host, resource, peer } = end
  const wasPrimary = peer.role === 'Primary'
  const { device } = resource
  world.log(host, `${connectionLabel(resource, peer)}: PingAck did not arrive in time.`)
  world.log(host, `${connectionLabel(resource, peer)}: conn( Connected -> NetworkFailure ) peer( ${peer.role} -> Unknown )`)
  forgetPeerState(end)
  peer.state = 'NetworkFailure'
  if (device !== undefined) {
    if (wasPrimary && resource.role !== 'Primary' && device.disk === 'UpToDate') {
      if (primaryBeside(world.state, end, '') !== undefined) outdate(end)
      else {
        device.disk = 'Consistent'
        device.consistentUntil = world.state.now + world.state.settings.consistentMs
      }
    }
  }
  resumeWaiting(world, end)
  missedCopy(world, end)
  world.observe()
  peer.state = 'Connecting'
}

/** A Primary whose writers go on without a peer starts a new generation soon. */
export function missedCopy(world: World, member: Member): void {
  const { device } = member.resource
  if (device === undefined || member.resource.role !== 'Primary' || absentVoters(member.resource).length === 0) return
  if (device.openers.some((opener) => opener.write)) device.generationDue ??= world.state.now + 2_000
}

function forgetPeerState(end: End): void {
  const { peer } = end
  peer.role = 'Unknown'
  peer.disk = 'DUnknown'
  peer.replication = 'Off'
  peer.suspended = []
  delete peer.sync
  delete peer.lossAt
  delete peer.connectAt
}

/**
 * Closed in order by this side. Whoever leaves a Primary is outdated; a leave among Secondaries is only noted, so that it does not count
 * against the quorum of those who stay.
 */
export function closeInOrder(world: World, end: End): void {
  const other = liveEnd(world.state, end)
  const { peer } = end
  if (other !== undefined) {
    const leaverIsPrimary = end.resource.role === 'Primary'
    const stays = leaverIsPrimary ? end : other
    const leaves = leaverIsPrimary ? other : end
    if (stays.resource.role === 'Primary') outdate(leaves)
    const outdated = leaves.resource.device?.disk === 'Outdated'
    for (const one of [stays, leaves]) forgetPeerState(one)
    if (outdated) stays.peer.disk = 'Outdated'
    recordLeave(stays, true)
    other.peer.state = 'TearDown'
    peer.state = 'Disconnecting'
    world.log(other.host, `${connectionLabel(other.resource, other.peer)}: conn( Connected -> TearDown ) peer( ${end.resource.role} -> Unknown ) [remote]`)
    world.observe()
    other.peer.state = 'Unconnected'
    world.observe()
    other.peer.state = 'Connecting'
    for (const one of [end, other]) {
      resumeWaiting(world, one)
      missedCopy(world, one)
    }
  } else if (peer.state === 'Connected') forgetPeerState(end)
  peer.state = 'StandAlone'
  delete peer.connectAt
}

/** A Primary whose own disk is not up to date, or that has none, does not let its last copy go that is: which of the two ends refuses. */
export function refusesLeave(world: World, end: End): End | undefined {
  const other = liveEnd(world.state, end)
  if (other === undefined) return undefined
  const keeper = livesOn(end, other) ? end : livesOn(other, end) ? other : undefined
  if (keeper !== undefined) world.log(keeper.host, `${label(keeper.resource)}: State change failed: Need access to UpToDate data (-2)`)
  return keeper
}

/** Whether `one` is Primary by the other's data alone. */
const livesOn = (one: End, other: End): boolean =>
  one.resource.role === 'Primary' &&
  one.resource.device?.disk !== 'UpToDate' &&
  other.resource.device?.disk === 'UpToDate' &&
  !peersOf(one.resource).some((peer) => peer !== one.peer && peer.state === 'Connected' && peer.disk === 'UpToDate')
