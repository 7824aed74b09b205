/** Swarm services and their tasks; answered by managers. */
import { type ListServicesResponse, type ListTasksRequest, type ListTasksResponse, ServiceServiceService } from '#gen/hive/v1/docker.ts'
import { HiveError } from '../../../proto/errors.ts'
import type { Service } from '../../adapters/docker/api-types.ts'
import { findService, listTasks, removeService, updateService } from '../../adapters/docker/services.ts'
import { listNodes } from '../../adapters/docker/swarm.ts'
import { dockerGet } from '../../adapters/docker.ts'
import type { ServerContext } from '../context.ts'
import { type ServiceRegistration, service } from '../service.ts'

export const serviceService = (context: ServerContext, healthy: (signal: AbortSignal) => Promise<boolean>): ServiceRegistration =>
  service(
    ServiceServiceService,
    {
      list: (_request, { signal }) => listServices(signal),

      tasks: (request, { signal }) => tasksOf(request, signal),

      ensure: (request, { signal }) => context.operate({ spec: { kind: { $case: 'ensureService', value: request } } }, signal),

      async remove({ name }, { signal }) {
        if ((await findService(name, signal)) === undefined) return { changed: false, reason: 'does not exist' }
        await removeService(name, signal)
        return { changed: true, reason: 'removed' }
      },

      async restart({ name }, { signal }) {
        await existing(name, signal)
        await updateService(name, ({ Spec }) => ({ ...Spec, TaskTemplate: { ...Spec.TaskTemplate, ForceUpdate: (Spec.TaskTemplate.ForceUpdate ?? 0) + 1 } }), {
          signal,
        })
        return { changed: true, reason: 'its tasks are replaced' }
      },

      async scale({ name, replicas }, { signal }) {
        const found = await existing(name, signal)
        if (found.Spec.Mode?.Replicated === undefined)
          throw new HiveError('invalid-input', `${name} runs on each host that fits, and has no number of replicas`)
        const before = found.Spec.Mode.Replicated.Replicas ?? 1
        if (before === replicas) return { changed: false, reason: `has ${replicas} already` }
        await updateService(name, ({ Spec }) => ({ ...Spec, Mode: { Replicated: { Replicas: replicas } } }), { signal })
        return { changed: true, reason: `${replicas} instead of ${before}` }
      },

      async rollback({ name }, { signal }) {
        const { PreviousSpec } = await existing(name, signal)
        if (PreviousSpec === undefined || PreviousSpec === null)
          throw new HiveError('not-found', `docker knows no definition of ${name} before this one`, {
            hint: `a service that was rolled back, or never changed, has none; \`hivecoord images rollback ${name}\` goes back to an earlier build`,
          })
        await updateService(name, ({ Spec }) => Spec, { signal, rollback: true })
        return { changed: true, reason: 'is as before its last change' }
      },
    },
    healthy,
  )

export async function listServices(signal: AbortSignal): Promise<ListServicesResponse> {
  const services = await dockerGet<readonly Service[]>('/services', { query: { status: 'true' }, signal })
  return { services: services.map(toMessage).sort((left, right) => (left.name < right.name ? -1 : 1)) }
}

export async function tasksOf({ service: name, runningOnly }: ListTasksRequest, signal: AbortSignal): Promise<ListTasksResponse> {
  const filters = runningOnly ? { 'desired-state': ['running'] } : {}
  const [tasks, services, nodes] = await Promise.all([
    listTasks(name === '' ? [] : [name], signal, filters),
    dockerGet<readonly Service[]>('/services', { signal }),
    listNodes({ signal }),
  ])
  const names = new Map(services.map((found) => [found.ID, found.Spec.Name]))
  const hosts = new Map(nodes.map((node) => [node.ID, node.Description.Hostname]))
  const found = tasks.map((task) => ({
    id: task.ID,
    service: names.get(task.ServiceID) ?? task.ServiceID,
    slot: task.Slot ?? 0,
    node: hosts.get(task.NodeID ?? '') ?? task.NodeID ?? '',
    state: task.Status.State,
    desiredState: task.DesiredState,
    error: task.Status.Err ?? '',
    containerId: task.Status.ContainerStatus?.ContainerID ?? '',
    image: task.Spec.ContainerSpec?.Image ?? '',
    since: new Date(task.Status.Timestamp),
  }))
  // The filter of docker takes prefixes of names too.
  return {
    tasks: found
      .filter((task) => (name === '' || task.service === name) && (!runningOnly || task.state === 'running'))
      .sort((left, right) => (left.service === right.service ? right.since.getTime() - left.since.getTime() : left.service < right.service ? -1 : 1)),
  }
}

/** Throws HiveError 'not-found'. */
async function existing(name: string, signal: AbortSignal): Promise<Service> {
  const found = await findService(name, signal)
  if (found === undefined) throw new HiveError('not-found', `there is no service ${name}`)
  return found
}

const toMessage = ({ ID, Spec, PreviousSpec, ServiceStatus, UpdatedAt, UpdateStatus }: Service) => ({
  id: ID,
  name: Spec.Name,
  image: Spec.TaskTemplate.ContainerSpec?.Image ?? '',
  mode: Spec.Mode?.Global === undefined ? 'replicated' : 'global',
  running: ServiceStatus?.RunningTasks ?? 0,
  desired: ServiceStatus?.DesiredTasks ?? 0,
  ports: (Spec.EndpointSpec?.Ports ?? []).map((port) => ({
    target: port.TargetPort ?? 0,
    published: port.PublishedPort ?? 0,
    protocol: port.Protocol ?? 'tcp',
    mode: port.PublishMode ?? 'ingress',
  })),
  labels: { ...Spec.Labels },
  updated: new Date(UpdatedAt),
  updateState: UpdateStatus?.State ?? '',
  previousImage: PreviousSpec?.TaskTemplate.ContainerSpec?.Image ?? '',
  constraints: [...(Spec.TaskTemplate.Placement?.Constraints ?? [])],
  volumes: (Spec.TaskTemplate.ContainerSpec?.Mounts ?? []).flatMap(({ Type, Source = '' }) => (Type === 'volume' && Source !== '' ? [Source] : [])),
})
