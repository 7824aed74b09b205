/** CPU and memory of the tasks on this host, against their limits. */
import { availableParallelism, totalmem } from 'node:os'
import { dockerGet, orUndefined } from '../../../adapters/docker.ts'
import { type Collector, ratesOf } from '../collector.ts'
import { keyOf, type Sample } from '../value.ts'
import { ownContainers } from './service-containers.ts'

/** What docker's stats tell, as far as it is used here. */
export interface ContainerStats {
  readonly cpu_stats?: { readonly cpu_usage?: { readonly total_usage?: number } }
  readonly memory_stats?: {
    readonly usage?: number
    readonly stats?: { readonly inactive_file?: number; readonly total_inactive_file?: number }
  }
}

/** Of a container; it keeps them for its life. */
export interface Limits {
  /** Cores; the host's where it has no limit. */
  readonly cores: number
  /** Bytes; the host's where it has no limit. */
  readonly memory: number
}

export function tasks(): Collector {
  const rate = ratesOf()
  const limits = new Map<string, Limits>()
  return {
    name: 'tasks',
    every: 60,
    concerns: ({ swarmHost }) => swarmHost !== '',
    async collect(context) {
      const { signal, configuration } = context
      const containers = await ownContainers(context)
      for (const id of limits.keys()) if (!containers.some((container) => container.id === id)) limits.delete(id)
      const all: Sample[] = []
      for (const { id, service, task } of containers) {
        // One that ended meanwhile has nothing to tell.
        const stats = await orUndefined(
          dockerGet<ContainerStats>(`/containers/${id}/stats`, { query: { stream: 'false', 'one-shot': 'true' }, signal, timeout: 10_000 }),
        )
        const limit = limits.get(id) ?? (await orUndefined(limitsOf(id, signal)))
        if (stats === undefined || limit === undefined) continue
        limits.set(id, limit)
        const spent = stats.cpu_stats?.cpu_usage?.total_usage
        const cores = spent === undefined ? undefined : rate(id, spent / 1e9)
        all.push(...taskSamples(service, task, stats, limit, cores))
      }
      return all.map((sample) => ({ ...sample, host: configuration.swarmHost }))
    },
  }
}

/** `cores`: that were busy with it. */
export function taskSamples(service: string, task: string, stats: ContainerStats, limit: Limits, cores: number | undefined): readonly Sample[] {
  const of = (what: string, value: number): Sample => ({ key: keyOf(`hive.task.${what}`, service, task), value })
  const memory = memoryUsed(stats)
  return [
    ...(cores === undefined ? [] : [of('cpu', (cores / limit.cores) * 100)]),
    ...(memory === undefined ? [] : [of('memory', memory), of('memory.percent', (memory / limit.memory) * 100)]),
    of('memory.limit', limit.memory),
  ]
}

/** As `docker stats` has it: without pages of files that were not used lately. Undefined where there is no account of memory. */
export function memoryUsed({ memory_stats: { usage, stats } = {} }: ContainerStats): number | undefined {
  if (usage === undefined) return undefined
  const inactive = stats?.total_inactive_file ?? stats?.inactive_file ?? 0
  return inactive < usage ? usage - inactive : usage
}

async function limitsOf(id: string, signal: AbortSignal): Promise<Limits> {
  const { HostConfig } = await dockerGet<{ readonly HostConfig?: { readonly NanoCpus?: number; readonly Memory?: number } }>(`/containers/${id}/json`, {
    signal,
    timeout: 10_000,
  })
  return { cores: (HostConfig?.NanoCpus ?? 0) / 1e9 || availableParallelism(), memory: HostConfig?.Memory || totalmem() }
}
