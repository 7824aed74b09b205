/** Units inside containers whose first process is systemd. */
import { readFile } from 'node:fs/promises'
import { runInside } from '../../../adapters/docker/run-inside.ts'
import { dockerGet, orUndefined } from '../../../adapters/docker.ts'
import { writable } from '../../../adapters/gate.ts'
import type { Collector } from '../collector.ts'
import { discovered, keyOf, type Sample } from '../value.ts'
import { ownContainers } from './service-containers.ts'
import { failedOf, parseShown, type ShownUnit, shortName, shownPatterns, shownProperties, staysUp } from './units.ts'

interface Standalone {
  readonly standalone: boolean
  /** Seconds of the machine's monotonic clock. */
  readonly started: number
}

/** What the count of failed units is where systemd in the container does not answer. */
const unknown = 99
/** Seconds after its container's start that systemd gets to answer. */
const startTime = 120
/** Milliseconds for one container. */
const patience = 10_000

export function innerUnits(): Collector {
  const known = new Map<string, Standalone>()
  return {
    name: 'units in standalone services',
    every: 60,
    deadline: 45_000,
    concerns: ({ swarmHost }) => swarmHost !== '',
    async collect(context) {
      const { signal, configuration } = context
      const containers = await ownContainers(context)
      for (const id of known.keys()) if (!containers.some((container) => container.id === id)) known.delete(id)
      const samples: Sample[] = []
      const found: Record<string, string>[] = []
      for (const { id, service, task } of containers) {
        const container = known.get(id) ?? (await inspect(id, signal))
        known.set(id, container)
        if (!container.standalone) continue
        const clock = Number((await readFile('/proc/uptime', 'utf8')).split(' ')[0])
        const shown = await askInside(id, signal)
        // Its systemd is only starting.
        if (shown === undefined && clock - container.started < startTime) continue
        samples.push(...innerSamples(service, task, shown, clock, container.started))
        for (const { name } of (shown ?? []).filter(staysUp)) found.push({ '{#SERVICE_NAME}': service, '{#TASK}': task, '{#INNER}': shortName(name) })
      }
      const discovery = found.length === 0 ? [] : [{ key: 'hive.inner.discovery', value: discovered(found) }]
      return [...discovery, ...samples].map((sample) => ({ ...sample, host: configuration.swarmHost }))
    },
  }
}

/** `shown`: undefined where systemd does not answer. */
export function innerSamples(
  service: string,
  task: string,
  shown: readonly ShownUnit[] | undefined,
  clock: number,
  containerStarted: number,
): readonly Sample[] {
  const of = (what: string, value: string | number, ...unit: readonly string[]): Sample => ({ key: keyOf(`hive.inner.${what}`, service, task, ...unit), value })
  if (shown === undefined) return [of('failed.count', unknown), of('failed', 'systemd in the container does not answer')]
  const failed = failedOf(shown)
  return [
    of('failed.count', failed.length),
    of('failed', failed.join(' ')),
    ...shown
      .filter((unit) => staysUp(unit) && unit.active === 'active' && unit.activeSince > 0)
      .flatMap(({ name, activeSince }) => [
        of('uptime', Math.max(0, Math.round(clock - activeSince)), shortName(name)),
        of('lag', Math.max(0, Math.round(activeSince - containerStarted)), shortName(name)),
      ]),
  ]
}

async function askInside(id: string, signal: AbortSignal): Promise<readonly ShownUnit[] | undefined> {
  const command = ['systemctl', 'show', '--no-pager', `--property=${shownProperties}`, '--', ...shownPatterns]
  try {
    // It changes nothing, but docker takes it as a request that may.
    const { code, stdout } = await writable(() => runInside(id, command, AbortSignal.any([signal, AbortSignal.timeout(patience)])))
    return code === 0 ? parseShown(stdout) : undefined
  } catch (error) {
    if (signal.aborted) throw error
    return undefined
  }
}

/** A container's first process does not change, and swarm makes new containers rather than starting one again. */
async function inspect(id: string, signal: AbortSignal): Promise<Standalone> {
  const found = await orUndefined(
    dockerGet<{ readonly State?: { readonly Pid?: number; readonly StartedAt?: string } }>(`/containers/${id}/json`, { signal, timeout: 10_000 }),
  )
  const pid = found?.State?.Pid ?? 0
  if (pid === 0) return { standalone: false, started: 0 }
  const [name, uptime] = await Promise.all([readFile(`/proc/${pid}/comm`, 'utf8').catch(() => ''), readFile('/proc/uptime', 'utf8')])
  const age = (Date.now() - Date.parse(found?.State?.StartedAt ?? '')) / 1000
  return { standalone: name.trim() === 'systemd', started: Number(uptime.split(' ')[0]) - age }
}
