/** Swarm services; answered by managers. */
import type { RegistryAuth } from '#gen/hive/v1/steps_docker.ts'
import { HiveError } from '../../../proto/errors.ts'
import { dockerDelete, dockerGet, dockerPost, isNotFound } from '../docker.ts'
import type { Service, ServiceSpec, Task } from './api-types.ts'
import { serviceWritten } from './recent.ts'
import { isOutOfSequence } from './swarm.ts'
import { pause } from './wait.ts'

const updateAttempts = 10

/** By its exact name, straight from docker; without the numbers of its tasks, which cost docker a search. */
export async function findService(name: string, signal: AbortSignal): Promise<Service | undefined> {
  const found = await dockerGet<readonly Service[]>('/services', { query: { filters: { name: [name] } }, signal })
  return found.find((service) => service.Spec.Name === name)
}

export interface WriteOptions {
  readonly auth?: RegistryAuth | undefined
  readonly signal: AbortSignal
  /** Docker puts its definition before the last change in place; what `edit` answers is not heeded. */
  readonly rollback?: boolean
}

/** Answers the new service's id. */
export async function createService(spec: ServiceSpec, options: WriteOptions): Promise<string> {
  serviceWritten(spec.Name)
  try {
    return (await dockerPost<{ ID: string }>('/services/create', { body: spec, auth: options.auth, signal: options.signal })).ID
  } finally {
    serviceWritten(spec.Name)
  }
}

/** Updates with what `edit` makes of the service as it is now; again where somebody else changed it in between. */
export async function updateService(name: string, edit: (existing: Service) => ServiceSpec, options: WriteOptions): Promise<void> {
  serviceWritten(name)
  try {
    for (let attempt = 1; ; attempt += 1) {
      const existing = await findService(name, options.signal)
      if (existing === undefined) throw new HiveError('not-found', `there is no service ${name}`)
      try {
        const query = { version: String(existing.Version.Index), ...(options.rollback === true ? { rollback: 'previous' } : {}) }
        await dockerPost(`/services/${existing.ID}/update`, { query, body: edit(existing), auth: options.auth, signal: options.signal })
        return
      } catch (error) {
        if (!isOutOfSequence(error) || attempt >= updateAttempts) throw error
        await pause(100 * attempt, options.signal)
      }
    }
  } finally {
    serviceWritten(name)
  }
}

/** Nothing happens when it is not there. */
export async function removeService(name: string, signal: AbortSignal): Promise<void> {
  serviceWritten(name)
  try {
    await dockerDelete(`/services/${encodeURIComponent(name)}`, { signal })
  } catch (error) {
    if (!isNotFound(error)) throw error
  } finally {
    serviceWritten(name)
  }
}

/** Tasks of these services (all when empty), those of the past included. */
export const listTasks = (
  services: readonly string[],
  signal?: AbortSignal,
  filters: Readonly<Record<string, readonly string[]>> = {},
): Promise<readonly Task[]> =>
  dockerGet<readonly Task[]>('/tasks', {
    query: { filters: { ...filters, ...(services.length === 0 ? {} : { service: services }) } },
    timeout: 30_000,
    ...(signal ? { signal } : {}),
  })
