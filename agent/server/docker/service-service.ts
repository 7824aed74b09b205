/** Swarm services and their tasks; answered by managers. */
import { ServiceServiceService } from '#gen/hive/v1/docker.ts'
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
      async list(_request, { signal }) {
        const services = await dockerGet<readonly Service[]>('/services', { query: { status: 'true' }, signal })
        return { services: services.map(toMessage).sort((left, right) => (left.name < right.name ? -1 : 1)) }
      },

      async tasks({ service: name, runningOnly }, { signal }) {
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
      },

      ensure: (request, { signal }) => context.operate({ spec: { kind: { $case: 'ensureService', value: request } } }, signal),

      async remove({ name }, { signal }) {
        if ((await findService(name, signal)) === undefined) return { changed: false, reason: 'does not exist' }
        await removeService(name, signal)
        return { changed: true, reason: 'removed' }
      },

      async restart({ name }, { signal }) {
        if ((await findService(name, signal)) === undefined) throw new HiveError('not-found', `there is no service ${name}`)
        await updateService(name, ({ Spec }) => ({ ...Spec, TaskTemplate: { ...Spec.TaskTemplate, ForceUpdate: (Spec.TaskTemplate.ForceUpdate ?? 0) + 1 } }), {
          signal,
        })
        return { changed: true, reason: 'its tasks are replaced' }
      },
    },
    healthy,
  )

const toMessage = ({ ID, Spec, ServiceStatus, UpdatedAt, UpdateStatus }: Service) => ({
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
})
