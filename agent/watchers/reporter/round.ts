/** One round of looks: what several collectors need is asked once, when the first one wants it. */
import type { ContainerListed, DaemonInfo, Node, Service, Task } from '../../adapters/docker/api-types.ts'
import { dockerGet } from '../../adapters/docker.ts'

/** Milliseconds for each question. No leader is an answer here, and is not waited for. */
const patience = { timeout: 10_000, electionPatience: 0 }

export interface Round {
  info(): Promise<DaemonInfo>
  /** Those that run. */
  containers(): Promise<readonly ContainerListed[]>
  /** Of the swarm; undefined where this host is none of its managers. */
  nodes(): Promise<readonly Node[] | undefined>
  /** Of the swarm; undefined where this host does not lead it. */
  swarm(): Promise<SwarmPicture | undefined>
  /** The same, undefined only where this host is none of its managers. */
  swarmAsManager(): Promise<SwarmPicture | undefined>
}

export interface SwarmPicture {
  readonly nodes: readonly Node[]
  readonly services: readonly Service[]
  readonly tasks: readonly Task[]
}

export function newRound(signal: AbortSignal): Round {
  const options = { signal, ...patience }
  const info = once(() => dockerGet<DaemonInfo>('/info', options))
  const nodes = once(async () => {
    const { Swarm } = await info()
    return Swarm.LocalNodeState === 'active' && Swarm.ControlAvailable ? await dockerGet<readonly Node[]>('/nodes', options) : undefined
  })
  const swarmAsManager = once(async () => {
    const all = await nodes()
    if (all === undefined) return undefined
    const [services, tasks] = await Promise.all([
      dockerGet<readonly Service[]>('/services', options),
      dockerGet<readonly Task[]>('/tasks', { query: { filters: { 'desired-state': ['running'] } }, ...options }),
    ])
    return { nodes: all, services, tasks }
  })
  return {
    info,
    nodes,
    swarmAsManager,
    containers: once(() => dockerGet<readonly ContainerListed[]>('/containers/json', options)),
    swarm: once(async () => {
      const { Swarm } = await info()
      const leads = (await nodes())?.find(({ ID }) => ID === Swarm.NodeID)?.ManagerStatus?.Leader === true
      return leads ? await swarmAsManager() : undefined
    }),
  }
}

function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined
  return () => {
    answer ??= ask()
    return answer
  }
}
