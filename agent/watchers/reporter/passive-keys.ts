/**
 * Keys of passive checks: those of zabbix-agent that say who it is, and those that hive-builder's sites have in templates of their own.
 * They are answered from what the agent last found; what only swarm's managers know is asked of them at that moment.
 */

import { serviceSamples } from './collect/swarm.ts'
import type { MonitoringConfiguration } from './configuration.ts'
import { newRound } from './round.ts'
import { keyOf } from './value.ts'

export interface KeyContext {
  readonly configuration: MonitoringConfiguration
  /** Ends the swarm's keys: `.NAME`. */
  readonly suffix: string
  readonly version: string
  readonly latest: ReadonlyMap<string, string>
  readonly now: number
}

/** Milliseconds for a question to docker: Zabbix waits for 3 seconds by default. */
const patience = 2_500

type Row = Readonly<Record<string, string>>

/** Undefined: there is no such key here, or nothing was found of it. */
export async function answerKey(key: string, context: KeyContext): Promise<string | undefined> {
  const parsed = parseKey(key)
  if (parsed === undefined) return undefined
  const { name, parameters } = parsed
  const { configuration, latest } = context
  const own = (wanted: string): string | undefined => latest.get(`${configuration.host}\n${wanted}`)
  const [first = '', second = ''] = parameters
  switch (name) {
    case 'agent.ping':
      return '1'
    case 'agent.version':
      return context.version
    case 'agent.hostname':
      return configuration.host
    case 'user.discovery.drbd-resource':
      return renamed(own('hive.drbd.discovery'), { '{#RESOURCE}': '{#RESOURCE_NAME}' })
    case 'drbd-resource':
      return own(keyOf('hive.drbd.disk', first))
    case 'systemd.service.discovery':
      return renamed(own('hive.unit.discovery'), { '{#UNIT}': '{#SERVICE}' })
    case 'systemd.service.restart':
      return own(keyOf('hive.unit.restarted', first.replace(/\.service$/, '')))
    case 'systemd.service.failed.count':
      return own('hive.units.failed.count')
    case 'ausearch':
      return own('hive.selinux.denials')
  }
  const ending = `.${context.suffix}`
  return context.suffix !== '' && name.endsWith(ending) ? answerOfSwarm(name.slice(0, -ending.length), first, second, context) : undefined
}

async function answerOfSwarm(name: string, service: string, path: string, context: KeyContext): Promise<string | undefined> {
  const { configuration, latest } = context
  if (configuration.swarmHost === '') return undefined
  /** Of the service's tasks on this host: the swarm's own averages are Zabbix'. */
  const tasks = (key: string, last?: string): readonly number[] => valuesOf(latest, configuration.swarmHost, key, service, last)
  const average = (key: string): string | undefined => {
    const values = tasks(key)
    return values.length === 0 ? undefined : String(values.reduce((sum, value) => sum + value, 0) / values.length)
  }
  switch (name) {
    case 'docker.swarm.service.cpu':
      return average('hive.task.cpu')
    case 'docker.swarm.service.memory':
      return average('hive.task.memory')
    case 'docker.swarm.service.memory.percent':
      return average('hive.task.memory.percent')
    case 'docker.swarm.service.memory.limit':
      return average('hive.task.memory.limit')
    case 'docker-volume':
      return greatest(tasks('hive.volume.pused', path))
    case 'docker-failed-innerservice-count':
      return greatest(tasks('hive.inner.failed.count'))
    case 'docker-innerservice-uptime':
      return least(tasks('hive.inner.uptime', path.replace(/\.service$/, '')))
    case 'user.discovery.docker-innerservice':
      return renamed(latest.get(`${configuration.swarmHost}\nhive.inner.discovery`), {})
  }
  return name in swarmKeys ? swarmKeys[name]?.(await readSwarm(context), service) : undefined
}

type SwarmRows = {
  readonly values: ReadonlyMap<string, string>
  readonly services: readonly Row[]
  readonly standalone: readonly Row[]
  readonly volumes: readonly Row[]
}

const swarmKeys: Readonly<Record<string, (swarm: SwarmRows, service: string) => string | undefined>> = {
  'user.discovery.docker-service': ({ services }) => JSON.stringify(services),
  'docker.swarm.service.discovery': ({ services }) => JSON.stringify(services),
  'user.discovery.docker-standalone-service': ({ standalone }) => JSON.stringify(standalone),
  'user.discovery.docker-volume': ({ volumes }) => JSON.stringify(volumes),
  'docker-service-uptime': ({ values, services }, service) => values.get(keyOf('hive.service.uptime', service)) ?? (knows(services, service) ? '-1' : '0'),
  'docker-service-replicas': ({ values }, service) => values.get(keyOf('hive.service.replicas', service)) ?? '0',
  'docker.swarm.service.replicas.running': ({ values }, service) => values.get(keyOf('hive.service.replicas.running', service)),
  'docker.swarm.service.replicas.desired': ({ values }, service) => values.get(keyOf('hive.service.replicas.desired', service)),
}

const knows = (services: readonly Row[], service: string): boolean => services.some((row) => row['{#SERVICE_NAME}'] === service)

/** Rejects where this host is no manager: no other one can answer. */
async function readSwarm({ now }: KeyContext): Promise<SwarmRows> {
  const round = newRound(AbortSignal.timeout(patience))
  const picture = await round.swarmAsManager()
  if (picture === undefined) throw new Error('this host is no manager of the swarm')
  const named = (services: typeof picture.services): readonly Row[] => services.map(({ Spec }) => ({ '{#SERVICE_NAME}': Spec.Name }))
  return {
    values: new Map(serviceSamples(picture, now).map(({ key, value }) => [key, String(value)])),
    services: named(picture.services),
    standalone: named(picture.services.filter(({ Spec }) => Spec.Labels?.['HIVE_STANDALONE'] === 'True')),
    volumes: picture.services.flatMap(({ Spec }) =>
      (Spec.TaskTemplate.ContainerSpec?.Mounts ?? []).flatMap(({ Type, Source = '', Target = '' }) =>
        Type === 'volume' ? [{ '{#SERVICE_NAME}': Spec.Name, '{#VOLUME_NAME}': Source, '{#VOLUME_PATH}': Target, '{#PATH}': Target }] : [],
      ),
    ),
  }
}

/** Numbers of all keys `KEY[SERVICE,TASK]`, or `KEY[SERVICE,TASK,LAST]`. */
function valuesOf(latest: ReadonlyMap<string, string>, host: string, key: string, service: string, last?: string): readonly number[] {
  const start = `${host}\n${key}[`
  return [...latest].flatMap(([name, value]) => {
    if (!name.startsWith(start)) return []
    const { parameters = [] } = parseKey(name.slice(host.length + 1)) ?? {}
    return parameters[0] === service && (last === undefined ? parameters.length === 2 : parameters[2] === last) ? [Number(value)] : []
  })
}

const greatest = (values: readonly number[]): string | undefined => (values.length === 0 ? undefined : String(Math.max(...values)))
const least = (values: readonly number[]): string | undefined => (values.length === 0 ? undefined : String(Math.min(...values)))

/** The same rows with other macros. */
function renamed(discovery: string | undefined, names: Readonly<Record<string, string>>): string | undefined {
  if (discovery === undefined) return undefined
  const rows = JSON.parse(discovery) as readonly Row[]
  return JSON.stringify(rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [names[name] ?? name, value]))))
}

/** NAME or NAME[a,"b, c",d]. Undefined for what is no key. */
export function parseKey(key: string): { readonly name: string; readonly parameters: readonly string[] } | undefined {
  const [, name, , rest] = /^([\w.-]+)(\[(.*)\])?$/s.exec(key) ?? []
  if (name === undefined) return undefined
  if (rest === undefined) return { name, parameters: [] }
  const parameters: string[] = []
  for (let at = 0; at <= rest.length; at++) {
    const quoted = /^\s*"((?:[^"\\]|\\.)*)"\s*(?=,|$)/.exec(rest.slice(at))
    const found = quoted ?? /^[^,]*/.exec(rest.slice(at))
    const [whole = '', inner] = found ?? []
    parameters.push(quoted === null ? whole.trim() : (inner ?? '').replaceAll('\\"', '"'))
    at += whole.length
  }
  return { name, parameters }
}
