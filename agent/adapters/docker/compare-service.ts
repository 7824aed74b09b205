/**
 * Compares service specs by what they mean: defaults that docker fills in or leaves out, the order of variables,
 * labels, ports, mounts and constraints, and ids instead of network names make no difference.
 */
import type { FileReference, ServiceSpec, TaskSpec, UpdateConfig } from './api-types.ts'
import { familiar, parseReference } from './images.ts'
import { withoutPasswords } from './passwords.ts'
import { capability, imageDigestLabel } from './service-spec.ts'

/** Field → one comparable text. Variables are parted by NUL, which none can contain. */
export type Canonical = ReadonlyMap<string, string>

const imageDigest = 'image digest'

/** Changes of these leave running tasks alone. */
const quietFields = new Set(['labels', 'replicas', 'update policy', 'rollback policy'])

export interface FieldDifference {
  readonly field: string
  /** Fit for people: values of environment variables are never in it. */
  readonly before: string
  readonly after: string
  readonly restarts: boolean
}

/** `networkNames`: network id → name. */
export function canonicalService(spec: ServiceSpec, networkNames: ReadonlyMap<string, string>): Canonical {
  const networks = spec.TaskTemplate.Networks ?? spec.Networks ?? []
  const ports = (spec.EndpointSpec?.Ports ?? []).map(
    (port) => `${port.PublishedPort ?? 0}:${port.TargetPort ?? 0}/${port.Protocol ?? 'tcp'} ${port.PublishMode ?? 'ingress'}`,
  )
  return new Map([
    ...canonicalTask({ ...spec.TaskTemplate, Networks: networks }, networkNames),
    ['labels', pairs(spec.Labels)],
    ['mode', spec.Mode?.Global === undefined ? 'replicated' : 'global'],
    ['replicas', spec.Mode?.Global === undefined ? String(spec.Mode?.Replicated?.Replicas ?? 1) : ''],
    ['endpoint mode', spec.EndpointSpec?.Mode ?? 'vip'],
    ['ports', sorted(ports)],
    ['update policy', canonicalPolicy(spec.UpdateConfig)],
    ['rollback policy', canonicalPolicy(spec.RollbackConfig)],
  ])
}

/** What of a spec makes tasks; a task carries a copy of it, so this also tells old tasks from new ones. */
export function canonicalTask(spec: TaskSpec, networkNames: ReadonlyMap<string, string>): Canonical {
  const container = spec.ContainerSpec ?? {}
  const restart = spec.RestartPolicy ?? {}
  const limits = spec.Resources?.Limits ?? {}
  const reservations = spec.Resources?.Reservations ?? {}
  return new Map([
    ['image', canonicalImage(container.Image ?? '')],
    [imageDigest, container.Labels?.[imageDigestLabel] ?? ''],
    ['entrypoint', JSON.stringify(container.Command ?? [])],
    ['command', JSON.stringify(container.Args ?? [])],
    ['hostname', container.Hostname ?? ''],
    ['environment', sorted(container.Env ?? [], '\0')],
    ['working directory', container.Dir ?? ''],
    ['user', container.User ?? ''],
    ['mounts', sorted((container.Mounts ?? []).map(canonicalMount))],
    ['stop grace period', nanoseconds(container.StopGracePeriod ?? 10e9)],
    ['health check', canonicalHealthcheck(container.Healthcheck)],
    ['hosts', sorted((container.Hosts ?? []).map((entry) => entry.trim().split(/\s+/).join(' ')))],
    ['dns', (container.DNSConfig?.Nameservers ?? []).join(', ')],
    ['sysctls', pairs(container.Sysctls)],
    ['added capabilities', sorted((container.CapabilityAdd ?? []).map(capability))],
    ['dropped capabilities', sorted((container.CapabilityDrop ?? []).map(capability))],
    ['secrets', sorted((container.Secrets ?? []).map((one) => canonicalFile(one, one.SecretName)))],
    ['configs', sorted((container.Configs ?? []).map((one) => canonicalFile(one, one.ConfigName)))],
    ['cpu limit', String((limits.NanoCPUs ?? 0) / 1e9)],
    ['memory limit', String(limits.MemoryBytes ?? 0)],
    ['cpu reservation', String((reservations.NanoCPUs ?? 0) / 1e9)],
    ['memory reservation', String(reservations.MemoryBytes ?? 0)],
    [
      'restart policy',
      `${restart.Condition || 'any'} after ${nanoseconds(restart.Delay ?? 5e9)}, attempts ${restart.MaxAttempts ?? 0}, window ${nanoseconds(restart.Window ?? 0)}`,
    ],
    ['constraints', sorted((spec.Placement?.Constraints ?? []).map((constraint) => constraint.replace(/\s*(==|!=)\s*/, ' $1 ').trim()))],
    ['preferences', (spec.Placement?.Preferences ?? []).map((preference) => preference.Spread?.SpreadDescriptor ?? '').join(', ')],
    ['networks', sorted((spec.Networks ?? []).map(({ Target }) => networkNames.get(Target ?? '') ?? Target ?? ''))],
    ['logging', [spec.LogDriver?.Name ?? '', pairs(spec.LogDriver?.Options)].join(' ').trim()],
    ['forced restarts', String(spec.ForceUpdate ?? 0)],
  ])
}

/** Where they differ, in the fields' order. */
export function differences(before: Canonical, after: Canonical): FieldDifference[] {
  const found: FieldDifference[] = []
  for (const [field, wanted] of after) {
    const actual = before.get(field) ?? ''
    if (actual === wanted) continue
    // A service that somebody else made tells none, and where nobody can say what the tag means now, it stays.
    if (field === imageDigest && (actual === '' || wanted === '')) continue
    const shown = field === 'environment' ? changedVariables(actual, wanted) : { before: withoutPasswords(actual), after: withoutPasswords(wanted) }
    found.push({ field, ...shown, restarts: !quietFields.has(field) })
  }
  return found
}

/** Names only: a variable's value may be a password. */
function changedVariables(before: string, after: string): { before: string; after: string } {
  const old = variables(before)
  const fresh = variables(after)
  const removed = [...old.keys()].filter((name) => !fresh.has(name))
  const added = [...fresh.keys()].filter((name) => !old.has(name))
  const changed = [...fresh.keys()].filter((name) => old.has(name) && old.get(name) !== fresh.get(name))
  return {
    before: [...changed, ...removed].join(', '),
    after: [...changed.map((name) => `${name} (other value)`), ...added.map((name) => `${name} (new)`), ...removed.map((name) => `${name} (gone)`)].join(', '),
  }
}

const variables = (text: string): Map<string, string> =>
  new Map(
    text
      .split('\0')
      .filter((entry) => entry !== '')
      .map((entry) => [entry.replace(/=[\s\S]*$/, ''), entry]),
  )

/** A digest that docker's own command line pinned beside the tag does not make another image. */
function canonicalImage(reference: string): string {
  const { repository, tag, digest } = parseReference(reference)
  return tag === '' ? `${familiar(repository)}@${digest}` : `${familiar(repository)}:${tag}`
}

function canonicalMount(mount: NonNullable<NonNullable<TaskSpec['ContainerSpec']>['Mounts']>[number]): string {
  const driver = mount.VolumeOptions?.DriverConfig
  return [
    `${mount.Type ?? 'bind'} ${mount.Source ?? ''}:${mount.Target ?? ''}`,
    ...(mount.ReadOnly === true ? ['read only'] : []),
    ...(driver?.Name ? [`driver ${driver.Name}`] : []),
    ...(driver?.Options && Object.keys(driver.Options).length > 0 ? [pairs(driver.Options)] : []),
  ].join(' ')
}

const canonicalFile = ({ File }: FileReference, object: string | undefined): string =>
  `${object ?? ''} as ${File?.Name ?? ''} ${File?.UID || '0'}:${File?.GID || '0'} ${(File?.Mode ?? 0o444).toString(8)}`

/** Docker's defaults where it says nothing. */
function canonicalPolicy(config: UpdateConfig | null | undefined): string {
  const { Parallelism = 1, Delay = 0, FailureAction, Monitor, MaxFailureRatio = 0, Order } = config ?? {}
  const times = `after ${nanoseconds(Delay)}, watched for ${nanoseconds(Monitor || 5e9)}`
  return `${Parallelism} at a time ${times}, on failure ${FailureAction || 'pause'} above ${MaxFailureRatio}, ${Order || 'stop-first'}`
}

function canonicalHealthcheck(check: NonNullable<TaskSpec['ContainerSpec']>['Healthcheck']): string {
  if (check === undefined || check === null) return ''
  const numbers = [check.Interval, check.Timeout, check.StartPeriod].map((value) => nanoseconds(value ?? 0))
  return `${JSON.stringify(check.Test ?? [])} every ${numbers[0]}, timeout ${numbers[1]}, start period ${numbers[2]}, retries ${check.Retries ?? 0}`
}

const nanoseconds = (value: number): string => `${value / 1e9} s`
const sorted = (items: readonly string[], separator = ', '): string => [...items].sort().join(separator)
const pairs = (map: Readonly<Record<string, string>> | null | undefined): string => sorted(Object.entries(map ?? {}).map(([key, value]) => `${key}=${value}`))
