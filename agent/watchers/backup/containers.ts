/** Containers of this host that hold the data of services. */
import { HiveError } from '../../../proto/errors.ts'
import type { ContainerListed } from '../../adapters/docker/api-types.ts'
import { dockerGet } from '../../adapters/docker.ts'

const serviceLabel = 'com.docker.swarm.service.name'
const taskNameLabel = 'com.docker.swarm.task.name'

export interface ServiceContainer {
  readonly id: string
  readonly service: string
  /** 0: a global service's. */
  readonly slot: number
}

/** Running ones of all services, by service and slot. */
export async function serviceContainers(signal: AbortSignal): Promise<readonly ServiceContainer[]> {
  const query = { filters: { label: [serviceLabel], status: ['running'] } }
  const listed = await dockerGet<readonly ContainerListed[]>('/containers/json', { query, signal })
  return listed
    .map(({ Id, Labels }) => ({ id: Id, service: Labels?.[serviceLabel] ?? '', slot: slotOf(Labels?.[taskNameLabel] ?? '') }))
    .sort((a, b) => a.service.localeCompare(b.service) || a.slot - b.slot)
}

/** SERVICE.SLOT.ID; of a global service SERVICE.NODE.ID. */
export const slotOf = (taskName: string): number => Number(/\.(\d+)\.[^.]+$/.exec(taskName)?.[1] ?? 0)

/** Throws HiveError 'not-found' where the service has none. */
export async function containerOf(service: string, signal: AbortSignal): Promise<string> {
  const found = (await serviceContainers(signal)).find((container) => container.service === service)
  if (found === undefined) throw new HiveError('not-found', `${service} has no running container on this host`)
  return found.id
}
