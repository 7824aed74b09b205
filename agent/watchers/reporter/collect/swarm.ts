/** The swarm as its leader knows it: hosts, services, tasks, and what is to be found where. */
import type { Node, Service, Task } from '../../../adapters/docker/api-types.ts'
import type { Collector } from '../collector.ts'
import type { SwarmPicture } from '../round.ts'
import { discovered, keyOf, type Sample } from '../value.ts'

export const swarm: Collector = {
  name: 'the swarm',
  every: 60,
  concerns: ({ swarmHost }) => swarmHost !== '',
  async collect({ round, configuration, now }) {
    const picture = await round.swarm()
    if (picture === undefined) return []
    const onSwarm = [...nodeCounts(picture.nodes), ...serviceSamples(picture, now), ...findings(picture)]
    return [
      ...onSwarm.map((sample) => ({ ...sample, host: configuration.swarmHost })),
      ...picture.nodes.flatMap((node) => nodeSamples(node, hostInZabbix(node.Description.Hostname, configuration.host))),
    ]
  },
}

/** What of a service's task its host and the leader both know: its number, or the host's name where it runs on all. */
export const taskName = (slot: number | undefined, nodeName: string): string => (slot === undefined || slot === 0 ? nodeName : String(slot))

export function nodeCounts(nodes: readonly Node[]): readonly Sample[] {
  const managers = nodes.flatMap(({ ManagerStatus }) => (ManagerStatus === undefined ? [] : [ManagerStatus]))
  return [
    { key: 'hive.swarm.leader', value: nodes.find(({ ManagerStatus }) => ManagerStatus?.Leader === true)?.Description.Hostname ?? '' },
    { key: 'hive.swarm.nodes', value: nodes.length },
    { key: 'hive.swarm.nodes.down', value: nodes.filter(({ Status }) => Status.State !== 'ready').length },
    { key: 'hive.swarm.nodes.inactive', value: nodes.filter(({ Spec }) => Spec.Availability !== 'active').length },
    { key: 'hive.swarm.managers', value: managers.length },
    { key: 'hive.swarm.managers.reachable', value: managers.filter(({ Reachability }) => Reachability === 'reachable').length },
  ]
}

/** A node has the first label of a host's name; the rest is the same for all hosts of a site. */
export const hostInZabbix = (node: string, own: string): string => (node.includes('.') || !own.includes('.') ? node : `${node}${own.slice(own.indexOf('.'))}`)

/** On the host's own name: it can't tell this itself where swarm does not reach it. */
const nodeSamples = ({ Status, Spec, ManagerStatus }: Node, host: string): readonly Sample[] => {
  return [
    { host, key: 'hive.swarm.node.ready', value: Status.State === 'ready' ? 1 : 0 },
    { host, key: 'hive.swarm.node.availability', value: Spec.Availability },
    { host, key: 'hive.swarm.node.role', value: ManagerStatus?.Leader === true ? 'leader' : Spec.Role },
  ]
}

/**
 * Swarm's own count of a service's tasks has those of a dead host in it, whose last word was that they run. `tasks`: those that should run.
 */
export function serviceSamples({ services, tasks, nodes }: SwarmPicture, now: number): readonly Sample[] {
  const ready = new Set(nodes.filter(({ Status }) => Status.State === 'ready').map(({ ID }) => ID))
  return services.flatMap(({ ID, Spec, UpdatedAt }) => {
    const wanted = tasks.filter((task) => task.ServiceID === ID)
    const running = wanted.filter(({ Status, NodeID = '' }) => Status.State === 'running' && ready.has(NodeID))
    const count = running.length
    const desired = Spec.Mode?.Replicated === undefined ? wanted.length : (Spec.Mode.Replicated.Replicas ?? 0)
    const youngest = Math.max(...running.map(({ Status }) => Date.parse(Status.Timestamp)))
    const seconds = (since: number): number => Math.max(0, Math.round((now - since) / 1000))
    return [
      { key: keyOf('hive.service.replicas.running', Spec.Name), value: count },
      { key: keyOf('hive.service.replicas.desired', Spec.Name), value: desired },
      { key: keyOf('hive.service.replicas', Spec.Name), value: desired === 0 ? 100 : (count / desired) * 100 },
      ...(running.length === 0 ? [] : [{ key: keyOf('hive.service.uptime', Spec.Name), value: seconds(youngest) }]),
      { key: keyOf('hive.service.age', Spec.Name), value: seconds(Date.parse(UpdatedAt)) },
    ]
  })
}

/** What there is of services, tasks, volumes and inner units. Only tasks that run: the others have nothing to look at. */
function findings({ services, tasks, nodes }: SwarmPicture): readonly Sample[] {
  const names = new Map(nodes.map(({ ID, Description }) => [ID, Description.Hostname]))
  const byId = new Map(services.map((service) => [service.ID, service]))
  const running = tasks.flatMap((task) => {
    const service = byId.get(task.ServiceID)
    if (service === undefined || task.Status.State !== 'running') return []
    return [{ service, task, name: taskName(task.Slot, names.get(task.NodeID ?? '') ?? task.NodeID ?? '') }]
  })
  const ofTask = ({ service, name }: { readonly service: Service; readonly name: string }) => ({ '{#SERVICE_NAME}': service.Spec.Name, '{#TASK}': name })
  return [
    {
      key: 'hive.service.discovery',
      value: discovered(services.map(({ Spec }) => ({ '{#SERVICE_NAME}': Spec.Name, '{#STANDALONE}': isStandalone(Spec) ? '1' : '0' }))),
    },
    { key: 'hive.task.discovery', value: discovered(unlike(running.map(ofTask))) },
    {
      key: 'hive.volume.discovery',
      value: discovered(
        unlike(running.flatMap((one) => volumesOf(one.task).map(({ source, target }) => ({ ...ofTask(one), '{#PATH}': target, '{#VOLUME}': source })))),
      ),
    },
    { key: 'hive.standalone.discovery', value: discovered(unlike(running.filter(({ service }) => isStandalone(service.Spec)).map(ofTask))) },
  ]
}

const isStandalone = ({ Labels }: Service['Spec']): boolean => Labels?.['HIVE_STANDALONE']?.toLowerCase() === 'true'

const volumesOf = ({ Spec }: Task): readonly { readonly source: string; readonly target: string }[] =>
  (Spec.ContainerSpec?.Mounts ?? []).flatMap(({ Type, Source = '', Target = '' }) => (Type === 'volume' ? [{ source: Source, target: Target }] : []))

/** Each once, and in the same order each time, so that what has not changed is seen to be the same. */
const unlike = <T extends Readonly<Record<string, string>>>(entries: readonly T[]): readonly T[] =>
  [...new Map(entries.map((entry) => [Object.values(entry).join('\n'), entry])).entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry)
