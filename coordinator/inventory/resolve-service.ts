import { portKey } from './allocations.ts'
import { backupScriptsOf } from './backup-scripts.ts'
import { Converter, textOf } from './convert.ts'
import type { ServiceDefinition } from './definitions.ts'
import { describe, isMapping } from './mapping.ts'
import { mountsOf } from './mounts.ts'
import { patternMistake } from './patterns.ts'
import type { Findings } from './problems.ts'
import { bytesOf } from './quantities.ts'
import { serviceFilesOf } from './service-files.ts'
import type { Service, ServicePort, UpdatePolicy } from './site.ts'
import { didYouMean } from './suggest.ts'
import type { Variables } from './variables.ts'
import { startOf } from './yaml-source.ts'

export interface ServiceContext {
  readonly variables: Variables
  readonly findings: Findings
  readonly networkNames: readonly string[]
  readonly tagMapping: ReadonlyMap<string, string>
  readonly ports: Readonly<Record<string, number>>
  /** REGISTRY:PORT */
  readonly registry: string
  checkRoles(roles: readonly string[], at: Converter, variable: string): void
}

export const standaloneCapabilities = ['NET_ADMIN', 'SYS_ADMIN', 'SYSLOG', 'SYS_PTRACE', 'AUDIT_CONTROL']
const standaloneCommand = ['sh', '-c', 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec /sbin/init']

/** One service of the stage: its pseudo-host's variables rendered, checked and typed. */
export const resolveService = (definition: ServiceDefinition, context: ServiceContext): Service => {
  const read = new Converter(context.variables, context.findings, definition.name, definition.path, startOf(definition.source))
  const standalone = read.flag('hive_standalone', false)
  const mode = read.oneOf('hive_mode', ['replicated', 'global'], 'replicated')
  const replicas = read.wholeNumber('hive_replicas')
  if (mode === 'global' && replicas !== undefined) read.wrong('hive_replicas', 'a global service has no replicas', 'remove replicas, or mode: global')
  const placement = placementOf(read)
  const initializeRoles = rolesOf(read, 'hive_initialize_roles')
  context.checkRoles(initializeRoles, read, 'hive_initialize_roles')
  return {
    name: definition.name,
    stages: definition.stages,
    ...imageOf(definition, read, context),
    command: read.words('hive_command') ?? (standalone ? standaloneCommand : undefined),
    entrypoint: read.words('hive_entrypoint'),
    environment: environmentOf(read, 'hive_environment'),
    dns: read.texts('hive_dns') ?? [],
    hosts: textMap(read, 'hive_hosts'),
    // Manuals write it in upper case.
    endpointMode: read.oneOf('hive_endpoint_mode', ['vip', 'dnsrr', 'VIP', 'DNSRR'], 'vip').toLowerCase() === 'dnsrr' ? 'dnsrr' : 'vip',
    mode,
    replicas,
    ...placement,
    ports: portsOf(definition, read, context.ports),
    mounts: mountsOf(definition, read, standalone),
    networks: networksOf(read, context.networkNames),
    labels: labelsOf(read, standalone),
    logging: loggingOf(read),
    healthcheck: healthcheckOf(read),
    restart: restartOf(read),
    stopGracePeriodNs: read.duration('hive_stop_grace_period', read.value('hive_stop_grace_period')),
    user: read.text('hive_user'),
    workingDir: read.text('hive_working_dir'),
    capAdd: standalone ? [...new Set([...standaloneCapabilities, ...(read.texts('hive_cap_add') ?? [])])] : (read.texts('hive_cap_add') ?? []),
    capDrop: read.texts('hive_cap_drop') ?? [],
    sysctls: textMap(read, 'hive_sysctls'),
    cpuLimit: read.number('hive_cpu_limit'),
    memoryLimitBytes: memoryOf(read, 'hive_mem_limit'),
    update: updatePolicyOf(read, 'hive_update_config', ['pause', 'continue', 'rollback']),
    rollback: updatePolicyOf(read, 'hive_rollback_config', ['pause', 'continue']),
    secrets: serviceFilesOf(read, 'hive_secrets', (text) => context.variables.rememberSecret(text)),
    configs: serviceFilesOf(read, 'hive_configs', () => undefined),
    cpuReservation: read.number('hive_cpu_reservation'),
    memoryReservationBytes: memoryOf(read, 'hive_mem_reservation'),
    standalone,
    initializeRoles,
    backupScripts: backupScriptsOf(read),
    monitorError: patternsOf(read, 'hive_monitor_error'),
    ignoreError: patternsOf(read, 'hive_ignore_error'),
  }
}

const imageOf = (definition: ServiceDefinition, read: Converter, context: ServiceContext): Pick<Service, 'image' | 'mappedReference'> => {
  const built = read.text('hive_image_name')
  if (built !== undefined && definition.image?.kind === 'built') {
    const repository = `${context.registry}/${built}`
    return { image: { kind: 'built', image: built }, mappedReference: context.tagMapping.get(`${repository}:latest`) ?? context.tagMapping.get(repository) }
  }
  const reference = read.text('hive_image')
  if (reference === undefined && definition.source['image'] === undefined)
    read.wrong('hive_image', "the attribute 'image' is missing", 'add image: name:tag, or image: {from: …, roles: […]}')
  const own = imageReferredTo(reference ?? '', context.registry)
  return { image: { kind: 'reference', reference: context.tagMapping.get(reference ?? '') ?? own ?? reference ?? '' }, mappedReference: undefined }
}

/** A reference to an image that this site builds for another service stays as it is: `latest` is pushed with every build. */
const imageReferredTo = (reference: string, registry: string): string | undefined =>
  reference.startsWith(`${registry}/image_`) && !/:[^/]+$/.test(reference.slice(registry.length)) ? `${reference}:latest` : undefined

export const rolesOf = (read: Converter, variable: string): readonly string[] =>
  read.list(variable).map((role) => (isMapping(role) ? String(role['role'] ?? role['name'] ?? '') : textOf(role)))

const placementOf = (read: Converter): { constraints: readonly string[]; preferences: readonly string[] } => {
  const placement = read.mapping('hive_placement') ?? {}
  for (const key of Object.keys(placement)) {
    if (!['constraints', 'preferences', 'replicas_max_per_node'].includes(key)) {
      read.wrong('hive_placement', `unknown placement key '${key}'`, didYouMean(key, ['constraints', 'preferences']), read.within('hive_placement', key))
    }
  }
  const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : value === undefined || value === null ? [] : [value])
  const constraints = listOf(placement['constraints']).map(textOf)
  constraints.forEach((constraint, index) => {
    if (!/^\s*\S+\s*(?:==|!=)\s*\S.*$/.test(constraint)) {
      const at = read.within('hive_placement', 'constraints', index)
      read.wrong('hive_placement', `'${constraint}' is no constraint`, 'write it as node.labels.NAME == true', at)
    }
  })
  const preferences = listOf(placement['preferences']).map((preference) =>
    isMapping(preference) ? String(preference['spread'] ?? '') : textOf(preference).replace(/^spread=/, ''),
  )
  return { constraints, preferences }
}

/** `environment` and `env`: a mapping, or a list of mappings with one key each, or of texts as NAME=value. */
export const environmentOf = (read: Converter, variable: string): Readonly<Record<string, string>> => {
  const value = read.value(variable)
  if (value === undefined) return {}
  const parts: readonly unknown[] = Array.isArray(value) ? value : [value]
  const environment: Record<string, string> = {}
  for (const part of parts) {
    if (!isMapping(part)) {
      const text = textOf(part)
      const [key = '', ...rest] = text.split('=')
      if (/^[A-Za-z_][\w.-]*=/.test(text)) environment[key] = rest.join('=')
      else read.wrong(variable, `must be a mapping, but has the entry ${describe(part)}`, 'write NAME: value')
      continue
    }
    for (const [key, member] of Object.entries(part)) {
      if (member === null || member === undefined) continue
      if (typeof member === 'boolean') read.notice(variable, `${key} is read as the boolean ${textOf(member)}; quote it if other text is meant`)
      environment[key] = typeof member === 'object' ? JSON.stringify(member) : textOf(member)
    }
  }
  return environment
}

export const textMap = (read: Converter, variable: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(read.mapping(variable) ?? {})
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([key, value]) => [key, typeof value === 'object' ? JSON.stringify(value) : textOf(value)]),
  )

const labelsOf = (read: Converter, standalone: boolean): Readonly<Record<string, string>> => {
  const labels: Record<string, string> = {}
  const value = read.value('hive_labels')
  const parts: readonly unknown[] = Array.isArray(value) ? value : value === undefined ? [] : [value]
  for (const part of parts) {
    if (!isMapping(part)) {
      read.wrong('hive_labels', `must be a mapping, but has the entry ${describe(part)}`, 'write NAME: value')
      continue
    }
    for (const [key, member] of Object.entries(part)) {
      if (member === null || member === undefined) continue
      labels[key] = typeof member === 'string' ? member : JSON.stringify(member)
    }
  }
  return { ...labels, HIVE_STANDALONE: standalone ? 'True' : 'False' }
}

const portsOf = (definition: ServiceDefinition, read: Converter, allocated: Readonly<Record<string, number>>): readonly ServicePort[] =>
  read.list('hive_ports').flatMap((port): ServicePort[] => {
    if (!isMapping(port)) {
      read.wrong('hive_ports', `a port must be a mapping, but is ${describe(port)}`, 'write {published_port: 8080, target_port: 80, protocol: tcp}')
      return []
    }
    const target = Number(port['target_port'])
    const published = Number(port['published_port'] ?? allocated[portKey(definition.name, target)])
    const protocol = port['protocol'] ?? 'tcp'
    if (!Number.isInteger(target) || !Number.isInteger(published) || (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp')) {
      read.wrong('hive_ports', 'a port needs target_port, published_port and protocol', 'write {published_port: 8080, target_port: 80, protocol: tcp}')
      return []
    }
    return [{ target, published, protocol, mode: port['mode'] === 'host' ? 'host' : 'ingress' }]
  })

const networksOf = (read: Converter, known: readonly string[]): readonly string[] => {
  const value = read.value('hive_networks')
  if (value === undefined) return known
  const names = read.list('hive_networks').map((network) => (isMapping(network) ? String(network['name'] ?? Object.keys(network)[0] ?? '') : textOf(network)))
  names.forEach((name, index) => {
    if (!known.includes(name)) read.wrong('hive_networks', `there is no network '${name}'`, didYouMean(name, known), read.within('hive_networks', index))
  })
  return names
}

const loggingOf = (read: Converter): Service['logging'] => {
  const logging = read.mapping('hive_logging')
  if (logging === undefined) return undefined
  const options = logging['options']
  return {
    driver: logging['driver'] === undefined || logging['driver'] === null ? 'json-file' : textOf(logging['driver']),
    options: isMapping(options) ? Object.fromEntries(Object.entries(options).map(([key, value]) => [key, textOf(value)])) : {},
  }
}

const secondsNs = (seconds: number): bigint => BigInt(seconds) * 1_000_000_000n

const wholeOf = (read: Converter, variable: string, key: string, value: unknown): number | undefined => {
  if (value === undefined || value === null) return undefined
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof number === 'number' && Number.isInteger(number) && number >= 0) return number
  return read.wrong(variable, `${key} must be a whole number, but is ${describe(value)}`, undefined, read.within(variable, key))
}

const healthcheckKeys = ['test', 'interval', 'timeout', 'start_period', 'retries'] as const
export type HealthcheckKey = (typeof healthcheckKeys)[number]
const restartKeys = ['condition', 'delay', 'max_attempts', 'window'] as const
export type RestartKey = (typeof restartKeys)[number]
const updateKeys = ['parallelism', 'delay', 'failure_action', 'monitor', 'max_failure_ratio', 'order'] as const
export type UpdateKey = (typeof updateKeys)[number]

const healthcheckOf = (read: Converter): Service['healthcheck'] => {
  const check = read.mapping('hive_healthcheck')
  if (check === undefined) return undefined
  const allowed: readonly string[] = healthcheckKeys
  for (const key of Object.keys(check))
    if (!allowed.includes(key))
      read.wrong('hive_healthcheck', `unknown healthcheck key '${key}'`, didYouMean(key, allowed), read.within('hive_healthcheck', key))
  const test = check['test']
  return {
    test: typeof test === 'string' ? ['CMD-SHELL', test] : Array.isArray(test) ? test.map(textOf) : ['NONE'],
    intervalNs: read.duration('hive_healthcheck', check['interval'], read.within('hive_healthcheck', 'interval')) ?? secondsNs(30),
    timeoutNs: read.duration('hive_healthcheck', check['timeout'], read.within('hive_healthcheck', 'timeout')) ?? secondsNs(30),
    startPeriodNs: read.duration('hive_healthcheck', check['start_period'], read.within('hive_healthcheck', 'start_period')) ?? 0n,
    retries: wholeOf(read, 'hive_healthcheck', 'retries', check['retries']) ?? 3,
  }
}

const restartOf = (read: Converter): Service['restart'] => {
  const restart = read.mapping('hive_restart_config')
  if (restart === undefined) return undefined
  const allowed: readonly string[] = restartKeys
  for (const key of Object.keys(restart))
    if (!allowed.includes(key))
      read.wrong('hive_restart_config', `unknown restart_config key '${key}'`, didYouMean(key, allowed), read.within('hive_restart_config', key))
  const condition = textOf(restart['condition'] ?? 'any')
  if (!['none', 'on-failure', 'any'].includes(condition))
    read.wrong(
      'hive_restart_config',
      `unknown condition '${condition}'`,
      didYouMean(condition, ['none', 'on-failure', 'any']),
      read.within('hive_restart_config', 'condition'),
    )
  return {
    condition,
    delayNs: read.duration('hive_restart_config', restart['delay'], read.within('hive_restart_config', 'delay')),
    maxAttempts: wholeOf(read, 'hive_restart_config', 'max_attempts', restart['max_attempts']),
    windowNs: read.duration('hive_restart_config', restart['window'], read.within('hive_restart_config', 'window')),
  }
}

const memoryOf = (read: Converter, variable: string): bigint | undefined => {
  const value = read.value(variable)
  const bytes = value === undefined ? undefined : bytesOf(value)
  return value === undefined ? undefined : (bytes ?? read.wrong(variable, `${describe(value)} is no size`, 'write it as 512M or 2G'))
}

/** What is not written is docker's own default. */
const updatePolicyOf = (read: Converter, variable: string, failureActions: readonly string[]): UpdatePolicy | undefined => {
  const config = read.mapping(variable)
  if (config === undefined) return undefined
  const allowed: readonly string[] = updateKeys
  const name = variable.replace(/^hive_/, '')
  for (const key of Object.keys(config))
    if (!allowed.includes(key)) read.wrong(variable, `unknown ${name} key '${key}'`, didYouMean(key, allowed), read.within(variable, key))
  const oneOf = (key: string, choices: readonly string[]): string => {
    const text = textOf(config[key] ?? choices[0])
    if (!choices.includes(text)) read.wrong(variable, `unknown ${key} '${text}'`, didYouMean(text, choices), read.within(variable, key))
    return text
  }
  const ratio = Number(config['max_failure_ratio'] ?? 0)
  if (!(ratio >= 0 && ratio <= 1))
    read.wrong(
      variable,
      `max_failure_ratio must be from 0 to 1, but is ${describe(config['max_failure_ratio'])}`,
      undefined,
      read.within(variable, 'max_failure_ratio'),
    )
  return {
    parallelism: wholeOf(read, variable, 'parallelism', config['parallelism']) ?? 1,
    delayNs: read.duration(variable, config['delay'], read.within(variable, 'delay')) ?? 0n,
    failureAction: oneOf('failure_action', failureActions),
    monitorNs: read.duration(variable, config['monitor'], read.within(variable, 'monitor')) ?? secondsNs(5),
    maxFailureRatio: ratio,
    order: oneOf('order', ['stop-first', 'start-first']),
  }
}

const patternsOf = (read: Converter, variable: string): readonly string[] => {
  const patterns = read.texts(variable) ?? []
  patterns.forEach((pattern, index) => {
    const mistake = patternMistake(pattern)
    if (mistake !== undefined)
      read.wrong(variable, `'${pattern}' is no regular expression: ${mistake}`, 'escape the special characters with a backslash', read.within(variable, index))
  })
  return patterns
}
