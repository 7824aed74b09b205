/** One look of the follower: what swarm says of services that ask something of hosts, and what this host has of it. */
import { connect } from 'node:net'
import { hasWishes } from '../../../proto/follower-labels.ts'
import type { DaemonInfo, Network, Node, Service, Task } from '../../adapters/docker/api-types.ts'
import { daemonInfo } from '../../adapters/docker/swarm.ts'
import { dockerGet, orUndefined } from '../../adapters/docker.ts'
import { readLinks } from '../../adapters/network/addresses.ts'
import { chainsOf, commentedRules, type Listing, listRules } from '../../adapters/network/iptables.ts'
import { bridge } from './desired.ts'
import type { HostSight, SwarmSight } from './picture.ts'

/** Comments of the follower's rules begin so, as hive-builder's do. */
export const commentPrefixes = ['hive_dnat_', 'hive_accept_', 'hive_snat_']

/** Milliseconds for each question. No leader is an answer here, and is not waited for. */
const patience = { timeout: 3_000, electionPatience: 0 }

export type SwarmAnswer =
  /** This host is in no swarm, or is a worker of it: managers follow. */
  { readonly kind: 'none' } | { readonly kind: 'sight'; readonly sight: SwarmSight }

/** Throws HiveError where swarm has no majority, or docker does not answer. */
export async function readSwarm(signal: AbortSignal): Promise<SwarmAnswer> {
  const options = { signal, ...patience }
  const { Swarm } = await daemonInfo(options)
  const { NodeID: nodeId = '' } = Swarm
  if (Swarm.LocalNodeState === 'inactive' || (Swarm.LocalNodeState === 'active' && !Swarm.ControlAvailable)) return { kind: 'none' }
  const [all, nodes] = await Promise.all([dockerGet<readonly Service[]>('/services', options), dockerGet<readonly Node[]>('/nodes', options)])
  const services = all.filter(({ Spec }) => hasWishes(Spec.Labels ?? {}))
  const tasks =
    services.length === 0
      ? []
      : await dockerGet<readonly Task[]>('/tasks', {
          query: { filters: { service: services.map(({ ID }) => ID), 'desired-state': ['running', 'ready'] } },
          ...options,
        })
  return { kind: 'sight', sight: toSight(nodeId, nodes, services, tasks) }
}

export const toSight = (nodeId: string, nodes: readonly Node[], services: readonly Service[], tasks: readonly Task[]): SwarmSight => ({
  nodeId,
  leads: nodes.some(({ ID, ManagerStatus }) => ID === nodeId && ManagerStatus?.Leader === true),
  nodes: nodes.map(({ ID, Description, Status, Spec }) => ({
    id: ID,
    name: Description.Hostname,
    // "unknown" is what a new leader says of nodes that it has not heard yet.
    dead: ['down', 'disconnected'].includes(Status.State),
    isManager: Spec.Role === 'manager',
    labels: Spec.Labels ?? {},
  })),
  services: services.map(({ ID, CreatedAt, Spec }) => ({ id: ID, name: Spec.Name, createdAt: CreatedAt, labels: Spec.Labels ?? {} })),
  tasks: tasks.flatMap(({ ID, ServiceID, NodeID = '', DesiredState, Status, Slot = 0, CreatedAt }) =>
    DesiredState !== 'running' && DesiredState !== 'ready'
      ? []
      : [
          {
            id: ID,
            serviceId: ServiceID,
            nodeId: NodeID,
            desired: DesiredState,
            runs: Status.State === 'running',
            slot: Slot,
            createdAt: CreatedAt,
            containerId: Status.ContainerStatus?.ContainerID ?? '',
          } as const,
        ],
  ),
})

/** `withRules`: something forwards, or may have been left behind that does. */
export async function readHost(signal: AbortSignal, withRules: boolean): Promise<HostSight> {
  const [links, containers, ...listings] = await Promise.all([
    readLinks(signal),
    withRules ? readContainers(signal) : new Map(),
    ...(withRules ? ([4, 6] as const).flatMap((family) => (['nat', 'filter'] as const).map((table) => listRules(family, table, signal))) : []),
  ])
  const known = listings.filter((listing): listing is Listing => listing !== undefined)
  return { links, containers, rules: known.flatMap((one) => commentedRules(one, commentPrefixes)), chains: new Set(known.flatMap(chainsOf)) }
}

/** Without docker there are none. */
async function readContainers(signal: AbortSignal): Promise<HostSight['containers']> {
  const network = await orUndefined(dockerGet<Network>(`/networks/${bridge}`, { signal, ...patience })).catch((error: unknown) => {
    if (signal.aborted) throw error
    return undefined
  })
  const plain = (address: string | undefined): string | undefined => (address === undefined || address === '' ? undefined : address.split('/')[0])
  return new Map(Object.entries(network?.Containers ?? {}).map(([id, { IPv4Address, IPv6Address }]) => [id, { 4: plain(IPv4Address), 6: plain(IPv6Address) }]))
}

/** How many managers of the swarm take connections, this host among them where it is one, of how many. Known without a leader. */
export async function managersInReach(signal: AbortSignal): Promise<{ readonly inReach: number; readonly managers: number }> {
  const { Swarm } = await daemonInfo({ signal, ...patience })
  const others = (Swarm.RemoteManagers ?? []).filter(({ NodeID }) => NodeID !== Swarm.NodeID)
  const own = Swarm.ControlAvailable ? 1 : 0
  const answers = await Promise.all(others.map(({ Addr }) => takesConnections(Addr)))
  return { inReach: own + answers.filter((answer) => answer).length, managers: own + others.length }
}

/** Milliseconds. */
const connectTime = 2_000

function takesConnections(at: NonNullable<DaemonInfo['Swarm']['RemoteManagers']>[number]['Addr']): Promise<boolean> {
  const colon = at.lastIndexOf(':')
  return new Promise((resolve) => {
    const socket = connect({ host: at.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(at.slice(colon + 1)), timeout: connectTime })
    const end = (answer: boolean) => (): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', end(true)).once('timeout', end(false)).once('error', end(false))
  })
}
