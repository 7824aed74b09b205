/**
 * Watches the tasks of many services with one request at a time for all of them, for as long as somebody waits.
 * Invariants: at most one poll is under way; a waiter sees only answers to requests that were sent after it came.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { dockerGet } from '../docker.ts'
import type { Network, Node, Service, Task } from './api-types.ts'
import { listTasks } from './services.ts'

export interface Sight {
  /** undefined: the service is gone. */
  readonly service: Service | undefined
  readonly tasks: readonly Task[]
  readonly nodes: readonly Node[]
  readonly networkNames: ReadonlyMap<string, string>
}

interface Waiter {
  readonly serviceId: string
  readonly see: (sight: Sight) => void
  readonly fail: (error: unknown) => void
}

const every = 400
const waiters = new Set<Waiter>()
let polling = false

/** The next sight of this service. Rejects with docker's error or the signal's reason. */
export function nextSight(serviceId: string, signal: AbortSignal): Promise<Sight> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason)
      return
    }
    const done = (settle: () => void) => () => {
      waiters.delete(waiter)
      signal.removeEventListener('abort', aborted)
      settle()
    }
    const waiter: Waiter = {
      serviceId,
      see: (sight) => done(() => resolve(sight))(),
      fail: (error) => done(() => reject(error))(),
    }
    const aborted = (): void => waiter.fail(signal.reason)
    signal.addEventListener('abort', aborted, { once: true })
    waiters.add(waiter)
    if (!polling) {
      polling = true
      void poll()
    }
  })
}

async function poll(): Promise<void> {
  while (waiters.size > 0) {
    const asked = [...waiters]
    try {
      const ids = [...new Set(asked.map((waiter) => waiter.serviceId))]
      const [services, tasks, nodes, networks] = await Promise.all([
        dockerGet<readonly Service[]>('/services', { query: ids.length > 20 ? {} : { filters: { id: ids } }, timeout: 30_000 }),
        listTasks(ids.length > 20 ? [] : ids),
        dockerGet<readonly Node[]>('/nodes', { timeout: 30_000 }),
        dockerGet<readonly Network[]>('/networks', { timeout: 30_000 }),
      ])
      const networkNames = new Map(networks.map((network) => [network.Id, network.Name]))
      const byService = Map.groupBy(tasks, (task) => task.ServiceID)
      const byId = new Map(services.map((service) => [service.ID, service]))
      for (const waiter of asked) waiter.see({ service: byId.get(waiter.serviceId), tasks: byService.get(waiter.serviceId) ?? [], nodes, networkNames })
    } catch (error) {
      for (const waiter of asked) waiter.fail(error)
    }
    await delay(every)
  }
  polling = false
}
