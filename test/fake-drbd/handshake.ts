/** Two ends of a connection meet: who they are, and whether they may be together. */
import { nextGeneration } from './generation.ts'
import { catchUp, compareDisks, standAlone } from './meet-disks.ts'
import { attachedMetadata, peerMetadata } from './state.ts'
import { connectionLabel, type End, primaryBeside, type World } from './world.ts'

/** Both ends are Connecting and can reach each other. The node with the lower id asks, as in the kernel. */
export function handshake(world: World, one: End, other: End): void {
  const [a, b] = one.resource.nodeId < other.resource.nodeId ? [one, other] : [other, one]
  const say = (end: End, line: string): void => world.log(end.host, `${connectionLabel(end.resource, end.peer)}: ${line}`)
  const id = (end: End): number => end.resource.nodeId
  for (const end of [a, b]) say(end, `Handshake to peer ${end.peer.nodeId} successful: Agreed network protocol version 124`)
  const stranger = strangerLine(a, b)
  if (stranger !== undefined) {
    for (const end of [a, b]) for (const line of [stranger, 'conn( Connecting -> Disconnecting )']) say(end, line)
    standAlone(world, [a, b])
    return
  }
  for (const end of [a, b]) say(end, 'Peer authenticated using 32 bytes HMAC')
  const change = `state change ${Number.parseInt(nextGeneration(world.state).slice(0, 8), 16)}: ${id(a)}->${id(b)} role( ${a.resource.role} ) conn( Connected )`
  world.log(a.host, `drbd ${a.resource.name}: Preparing cluster-wide ${change}`)
  world.log(b.host, `drbd ${b.resource.name}: Preparing remote ${change}`)
  const plan = compareDisks(world, a, b)
  if (plan === 'raced') return
  if (plan === 'refused' || twoPrimaries(world, a, b)) {
    say(a, 'conn( Connecting -> Disconnecting ) [connect-failed]')
    say(b, 'conn( Connecting -> Disconnecting ) [receive-disconnect]')
    standAlone(world, [a, b])
    return
  }
  for (const end of [a, b]) {
    const { peer } = end
    peer.state = 'Connected'
    peer.replication = 'Established'
    peer.discardMyData = false
    delete peer.connectAt
    delete peer.lossAt
    say(end, `conn( Connecting -> Connected ) peer( Unknown -> ${end === a ? b.resource.role : a.resource.role} ) [${end === a ? 'connected' : 'remote'}]`)
  }
  plan?.()
  catchUp(a, b)
}

/** Secret, algorithm or node id do not fit: nothing is agreed on. */
function strangerLine(a: End, b: End): string | undefined {
  const secret = (end: End): string => `${end.peer.netOptions['cram-hmac-alg'] ?? ''} ${end.peer.netOptions['shared-secret'] ?? ''}`
  if (secret(a) !== secret(b)) return 'Authentication of peer failed'
  if (a.resource.nodeId !== b.peer.nodeId) return `Peer presented a node_id of ${a.resource.nodeId} instead of ${b.peer.nodeId}`
  if (b.resource.nodeId !== a.peer.nodeId) return `Peer presented a node_id of ${b.resource.nodeId} instead of ${a.peer.nodeId}`
  return undefined
}

/** A Primary that comes back to where another one is. */
function twoPrimaries(world: World, a: End, b: End): boolean {
  const primaryOfA = primaryBeside(world.state, a, b.host.name)
  const primaryOfB = primaryBeside(world.state, b, a.host.name)
  return primaryOfA !== undefined && primaryOfB !== undefined && primaryOfA.host !== primaryOfB.host
}

/** What this node has recorded of a peer that left in order, or came back. */
export function recordLeave(end: End, outdated: boolean): void {
  end.peer.leftInOrder = outdated
  const meta = attachedMetadata(end.host, end.resource)
  if (meta !== undefined) peerMetadata(meta, end.peer.nodeId).outdated = outdated
}
