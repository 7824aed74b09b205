/** Who can reach whom, and what a change makes visible: the ground on which the parts of the fake DRBD stand. */
import {
  attachedMetadata,
  type ClusterState,
  type Device,
  type HostState,
  isClientByConfiguration,
  type Metadata,
  type Peer,
  pairKey,
  peersOf,
  type Resource,
} from './state.ts'

export interface World {
  readonly state: ClusterState
  /** a line of the kernel's log on that host. */
  log(host: HostState, text: string): void
  /** a "call helper" line of events2 on that host. */
  helper(host: HostState, resource: Resource, name: string, peer?: Peer): void
  /** compares each host's view with the last one and writes the events of the difference: called between two states that both are to be seen. */
  observe(): void
}

/** One end of a connection. */
export interface End {
  host: HostState
  resource: Resource
  peer: Peer
}

export const reachable = (state: ClusterState, a: string, b: string): boolean =>
  state.hosts[a]?.powered === true && state.hosts[b]?.powered === true && !state.cuts.includes(pairKey(a, b))

/** The other end of a connection: the resource whose path is this one's mirrored, wherever packets can reach it or not. */
export function otherEnd(state: ClusterState, end: End): End | undefined {
  const { path } = end.peer
  if (path === undefined) return undefined
  const others = Object.values(state.hosts).filter((host) => host !== end.host)
  // Nearly always it has the same name there: asked for at every step, it is not searched for among all.
  for (const host of others) {
    const resource = host.resources[end.resource.name]
    const peer = resource === undefined ? undefined : peerAt(resource, path)
    if (resource !== undefined && peer !== undefined) return { host, resource, peer }
  }
  for (const host of others)
    for (const resource of Object.values(host.resources)) {
      const peer = peerAt(resource, path)
      if (peer !== undefined) return { host, resource, peer }
    }
  return undefined
}

const peerAt = ({ peers }: Resource, { local, remote }: NonNullable<Peer['path']>): Peer | undefined =>
  Object.values(peers).find(({ path }) => path?.local === remote && path.remote === local)

/** The other end where packets pass and both are connected. */
export function liveEnd(state: ClusterState, end: End): End | undefined {
  if (end.peer.state !== 'Connected') return undefined
  const other = otherEnd(state, end)
  return other !== undefined && other.peer.state === 'Connected' && reachable(state, end.host.name, other.host.name) ? other : undefined
}

export function* allEnds(state: ClusterState): Generator<End> {
  for (const host of Object.values(state.hosts)) {
    if (!host.powered) continue
    for (const resource of Object.values(host.resources)) for (const peer of peersOf(resource)) yield { host, resource, peer }
  }
}

export interface Member {
  host: HostState
  resource: Resource
}

/** All that hang together by live connections, this one first. */
export function component(state: ClusterState, start: Member, without?: string): Member[] {
  const found = [start]
  for (const member of found) {
    for (const peer of peersOf(member.resource)) {
      const other = liveEnd(state, { ...member, peer })
      if (other !== undefined && other.host.name !== without && !found.some((one) => one.host === other.host))
        found.push({ host: other.host, resource: other.resource })
    }
  }
  return found
}

/** A Primary among those who hang together with `start` once the connection to `without` is left aside. */
export const primaryBeside = (state: ClusterState, start: Member, without: string): Member | undefined =>
  component(state, start, without).find((member) => member.resource.role === 'Primary')

/** A node between which and the Primary there is no connection of its own. One whose own Primary is silent has not noticed yet. */
export function seesPrimaryOnlyThroughOthers(state: ClusterState, member: Member): boolean {
  const primary = component(state, member).find((one) => one.resource.role === 'Primary')
  if (primary === undefined || primary.host === member.host) return false
  return !peersOf(member.resource).some((peer) => peer.state === 'Connected' && otherEnd(state, { ...member, peer })?.host === primary.host)
}

export const hasDisk = (device: Device | undefined): device is Device => device !== undefined && device.disk !== 'Diskless' && device.disk !== 'Failed'

/** Node ids of peers with a vote that do not have the current data by a live connection. */
export const absentVoters = (resource: Resource): number[] =>
  peersOf(resource)
    .filter(
      (peer) =>
        !isClientByConfiguration(peer) &&
        !peer.client &&
        (peer.state !== 'Connected' || peer.disk === 'Diskless' || peer.disk === 'Failed' || peer.disk === 'DUnknown'),
    )
    .map((peer) => peer.nodeId)

export interface Copy extends Member {
  device: Device
  meta: Metadata
}

/** The copies that take a Primary's writes: its own and those of its connected peers. */
export function copiesOf(state: ClusterState, primary: Member): Copy[] {
  const members = [primary, ...peersOf(primary.resource).flatMap((peer) => liveEnd(state, { ...primary, peer }) ?? [])]
  return members.flatMap(({ host, resource }) => {
    const meta = attachedMetadata(host, resource)
    return meta === undefined || !hasDisk(resource.device) ? [] : [{ host, resource, device: resource.device, meta }]
  })
}

export const peerName = (peer: Peer): string => peer.netOptions['_name'] ?? ''
export const label = (resource: Resource, peer?: Peer): string => {
  const device = resource.device === undefined ? '' : `/${resource.device.volume} drbd${resource.device.minor}`
  return `drbd ${resource.name}${device}${peer === undefined ? '' : ` ${peerName(peer)}`}`
}
export const connectionLabel = (resource: Resource, peer: Peer): string => `drbd ${resource.name} ${peerName(peer)}`
