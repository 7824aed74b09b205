/**
 * Lists that many checks of one plan need at the same moment are asked for once. A list is shared while it is under
 * way and for 500 ms after; any request that may have changed it forgets it.
 */
import { HiveError } from '../../../proto/errors.ts'
import { dockerGet, onMutation } from '../docker.ts'
import type { DaemonInfo, Network, Node, Service } from './api-types.ts'

const keepMilliseconds = 500
const deadline = 30_000

interface Entry {
  readonly startedAt: number
  readonly answer: Promise<unknown>
}
const entries = new Map<string, Entry>()
/** Service name → when it was last written to; a list asked for before that does not know it. */
const written = new Map<string, number>()
let clock = 0

// A service that is written does not spoil the list for the others (`serviceWritten`), or making 200 services would
// list 200 times.
onMutation((path) => {
  clock += 1
  if (!path.startsWith('/services')) entries.clear()
})

function shared<T>(path: string, query: Record<string, unknown> = {}): Entry & { readonly answer: Promise<T> } {
  const known = entries.get(path)
  if (known !== undefined) return known as Entry & { readonly answer: Promise<T> }
  const answer = dockerGet<T>(path, { query, timeout: deadline })
  const entry = { startedAt: clock, answer }
  entries.set(path, entry)
  const forget = (): void => {
    if (entries.get(path) === entry) entries.delete(path)
  }
  answer.then(() => setTimeout(forget, keepMilliseconds).unref(), forget)
  return entry
}

/** Waits for what is shared with others, but no longer than the caller's own signal lets it. */
async function awaited<T>(answer: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return answer
  let stop: (() => void) | undefined
  const stopped = new Promise<never>((_resolve, reject) => {
    stop = () => reject(new HiveError('cancelled', 'stopped while docker was asked'))
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([answer, stopped])
  } finally {
    if (stop !== undefined) signal.removeEventListener('abort', stop)
  }
}

export const recentInfo = (signal?: AbortSignal): Promise<DaemonInfo> => awaited(shared<DaemonInfo>('/info').answer, signal)
export const recentNetworks = (signal?: AbortSignal): Promise<readonly Network[]> => awaited(shared<readonly Network[]>('/networks').answer, signal)
export const recentNodes = (signal?: AbortSignal): Promise<readonly Node[]> => awaited(shared<readonly Node[]>('/nodes').answer, signal)

/** All services with how many of their tasks run; those written since the list was asked for are not to be trusted. */
export const recentServices = (signal?: AbortSignal): Promise<readonly Service[]> =>
  awaited(shared<readonly Service[]>('/services', { status: 'true' }).answer, signal)

/** Tells that a service of this name was made or changed, so that the shared list is not asked about it. */
export function serviceWritten(name: string): void {
  clock += 1
  written.set(name, clock)
}

/** The service of this name, from the shared list unless it was written since. */
export async function recentService(name: string, signal?: AbortSignal): Promise<Service | undefined> {
  const entry = shared<readonly Service[]>('/services', { status: 'true' })
  if ((written.get(name) ?? -1) > entry.startedAt) {
    const found = await dockerGet<readonly Service[]>('/services', { query: { filters: { name: [name] }, status: 'true' }, ...(signal ? { signal } : {}) })
    return found.find((service) => service.Spec.Name === name)
  }
  const services = await awaited(entry.answer, signal)
  return services.find((service) => service.Spec.Name === name)
}
