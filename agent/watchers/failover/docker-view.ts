/** What docker of this host, and the swarm as far as it answers, know of containers and volumes. */
import { HiveError, messageOf } from '../../../proto/errors.ts'
import type { ContainerListed, DaemonInfo, Node, Service, Task, Volume } from '../../adapters/docker/api-types.ts'
import { daemonInfo, isWithoutLeader } from '../../adapters/docker/swarm.ts'
import { dockerGet } from '../../adapters/docker.ts'
import type { ContainerView, DockerView, SwarmView, TaskView } from './picture.ts'

/** Milliseconds for each question. No leader is an answer here, and is not waited for. */
const patience = { timeout: 8_000, electionPatience: 0 }
/** Swarm's words for a task that it wants to run. */
const wantedStates = ['running', 'ready']

/** Without the swarm. Undefined where docker does not answer. */
export async function readDocker(signal: AbortSignal): Promise<DockerView | undefined> {
  try {
    const [containers, { Volumes }] = await Promise.all([
      dockerGet<readonly ContainerListed[]>('/containers/json', { query: { all: 'true' }, signal, ...patience }),
      dockerGet<{ Volumes?: readonly Volume[] | null }>('/volumes', { signal, ...patience }),
    ])
    return {
      containers: containers.map(toContainer),
      volumes: new Map((Volumes ?? []).map(({ Name, Mountpoint, Options }) => [Name, { folder: Mountpoint, device: Options?.['device'] ?? '' }])),
      swarm: { kind: 'unknown' },
    }
  } catch (error) {
    if (error instanceof HiveError && ['unreachable', 'timeout', 'command-failed'].includes(error.code)) return undefined
    throw error
  }
}

/** What swarm wants, and whether it can want anything. Only a manager knows. */
export async function readSwarm(signal: AbortSignal): Promise<SwarmView> {
  try {
    const { Swarm } = await daemonInfo({ signal, ...patience })
    if (Swarm.LocalNodeState !== 'active' || !Swarm.ControlAvailable) return { kind: 'unknown' }
    return await asManager(Swarm, signal)
  } catch (error) {
    if (signal.aborted) throw error
    return { kind: 'unknown' }
  }
}

async function asManager({ NodeID }: DaemonInfo['Swarm'], signal: AbortSignal): Promise<SwarmView> {
  try {
    const options = { signal, ...patience }
    const [services, tasks, nodes] = await Promise.all([
      dockerGet<readonly Service[]>('/services', options),
      dockerGet<readonly Task[]>('/tasks', options),
      dockerGet<readonly Node[]>('/nodes', options),
    ])
    return NodeID === undefined || NodeID === '' ? { kind: 'unknown' } : { kind: 'majority', nodeId: NodeID, tasks: tasksWithVolumes(services, tasks, nodes) }
  } catch (error) {
    // A question that only takes too long says nothing of the majority: docker's own word for it does.
    return isWithoutLeader(error) && !(error instanceof HiveError && error.code === 'timeout')
      ? { kind: 'no-majority', said: messageOf(error) }
      : { kind: 'unknown' }
  }
}

const toContainer = ({ Id, Names, State, Created, Mounts }: ContainerListed): ContainerView => ({
  id: Id,
  name: (Names[0] ?? '').replace(/^\//, ''),
  state: State,
  created: Created * 1000,
  volumes: (Mounts ?? []).flatMap(({ Type, Name }) => (Type === 'volume' && Name !== undefined ? [Name] : [])),
  folders: (Mounts ?? []).flatMap(({ Source }) => (Source === undefined || Source === '' ? [] : [Source])),
})

/** A service that is gone has no tasks that are wanted; a task's own spec is what it was started with. */
export function tasksWithVolumes(services: readonly Service[], tasks: readonly Task[], nodes: readonly Node[]): readonly TaskView[] {
  const names = new Map(services.map(({ ID, Spec }) => [ID, Spec.Name]))
  const hosts = new Map(nodes.map(({ ID, Description }) => [ID, Description.Hostname]))
  return tasks.flatMap(({ ServiceID, NodeID = '', DesiredState, Status, Spec }) => {
    const volumes = (Spec.ContainerSpec?.Mounts ?? []).flatMap(({ Type, Source }) => (Type === 'volume' && Source !== undefined ? [Source] : []))
    if (volumes.length === 0) return []
    return [
      {
        service: names.get(ServiceID) ?? ServiceID,
        volumes,
        nodeId: NodeID,
        nodeName: hosts.get(NodeID) ?? NodeID,
        wanted: wantedStates.includes(DesiredState),
        state: Status.State,
        error: Status.Err ?? '',
        at: Date.parse(Status.Timestamp),
      },
    ]
  })
}
