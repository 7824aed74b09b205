import { readStages } from './available-on.ts'
import { type ImageSource, readImage } from './image-definition.ts'
import { describe, isMapping, type Mapping } from './mapping.ts'
import { type PortDefinition, readPorts } from './port-definition.ts'
import type { Findings } from './problems.ts'
import { type StageName, stageNames } from './site.ts'
import { didYouMean } from './suggest.ts'
import { readVolumes, type VolumeUse } from './volume-definition.ts'
import { adoptPlace, emptyAt, joined, keyAt, startOf, valueAt } from './yaml-source.ts'

/** One service as its file says, structure checked, nothing rendered. */
export interface ServiceDefinition {
  readonly name: string
  readonly file: string
  readonly path: string
  readonly source: Mapping
  readonly stages: readonly StageName[]
  readonly image: ImageSource | undefined
  readonly ports: readonly PortDefinition[]
  readonly volumes: readonly VolumeUse[]
  readonly standalone: boolean
  /** The name stands alone, without a body. */
  readonly isEmpty: boolean
}

export interface NetworkDefinition {
  readonly name: string
  readonly file: string
  readonly path: string
  readonly source: Mapping
  readonly stages: readonly StageName[]
}

export const serviceAttributes = [
  'available_on',
  'image',
  'command',
  'entrypoint',
  'environment',
  'dns',
  'hosts',
  'endpoint_mode',
  'mode',
  'replicas',
  'placement',
  'ports',
  'volumes',
  'networks',
  'labels',
  'logging',
  'healthcheck',
  'restart_config',
  'update_config',
  'rollback_config',
  'stop_grace_period',
  'user',
  'working_dir',
  'cap_add',
  'cap_drop',
  'sysctls',
  'cpu_limit',
  'mem_limit',
  'cpu_reservation',
  'secrets',
  'configs',
  'mem_reservation',
  'standalone',
  'initialize_roles',
  'backup_scripts',
  'monitor_error',
  'ignore_error',
] as const
export type ServiceAttribute = (typeof serviceAttributes)[number]

const renderedLater = new Set<string>(serviceAttributes.filter((name) => !['available_on', 'image', 'ports', 'volumes'].includes(name)))

/** Reads one hive_services file into `services` and `networks`. A name defined before is a mistake. */
export const readServices = (
  file: string,
  source: Mapping,
  services: Map<string, ServiceDefinition>,
  networks: Map<string, NetworkDefinition>,
  findings: Findings,
): void => {
  for (const key of Object.keys(source)) {
    if (!['plugin', 'services', 'networks', 'available_on'].includes(key)) {
      findings.problem(keyAt(source, key), key, `unknown key '${key}'`, didYouMean(key, ['plugin', 'services', 'networks', 'available_on']))
    }
  }
  const stages = readStages(source, '', findings) ?? stageNames
  const bodies = source['services']
  if (bodies === undefined && source['networks'] === undefined) {
    findings.problem(startOf(source), '', "the key 'services' is missing", 'add services: with one key a service')
  } else if (bodies !== undefined && bodies !== null && !isMapping(bodies)) {
    findings.problem(valueAt(source, 'services'), 'services', `must be a mapping, but is ${describe(bodies)}`, 'write one key a service')
  }
  for (const [name, body] of Object.entries(isMapping(bodies) ? bodies : {})) {
    const service = readService(name, file, body, bodies as Mapping, stages, findings)
    const before = services.get(name)
    if (before !== undefined) {
      findings.problem(keyAt(bodies as Mapping, name), service.path, `the service '${name}' is defined in ${before.file} too`, 'rename or remove one of them')
    }
    services.set(name, service)
  }
  readNetworks(file, source, stages, networks, findings)
}

const readService = (name: string, file: string, body: unknown, parent: Mapping, fileStages: readonly StageName[], findings: Findings): ServiceDefinition => {
  const path = `services.${name}`
  checkServiceName(name, parent, path, findings)
  const source: Mapping = isMapping(body) ? body : emptyAt(keyAt(parent, name))
  if (!isMapping(body) && body !== null) {
    findings.problem(valueAt(parent, name), path, `a service must be a mapping, but is ${describe(body)}`, 'write image:, environment: and so on below it')
  }
  for (const key of Object.keys(source)) {
    if (!serviceAttributes.some((attribute) => attribute === key)) {
      findings.problem(keyAt(source, key), joined(path, key), `unknown service attribute '${key}'`, didYouMean(key, serviceAttributes))
    }
  }
  const stages = readStages(source, path, findings) ?? fileStages
  const standalone = source['standalone'] === true
  return {
    name,
    file,
    path,
    source,
    stages,
    standalone,
    isEmpty: !isMapping(body),
    image: readImage(source, path, findings),
    ports: readPorts(source, path, findings),
    volumes: readVolumes(source, path, stages, findings),
  }
}

const checkServiceName = (name: string, parent: Mapping, path: string, findings: Findings): void => {
  // Docker allows underscores, and sites use them, although a host name with one is not resolved by every program.
  if (!/^[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?$/.test(name) || name.length > 63) {
    const proposal = name.replace(/[^A-Za-z0-9-]+/g, '-').replace(/^-+|-+$/g, '')
    findings.problem(
      keyAt(parent, name),
      path,
      `'${name}' is no service name: it is a host name too`,
      `use at most 63 letters, digits and hyphens${proposal === '' ? '' : `, as ${proposal}`}`,
    )
  } else if (name.includes('_')) {
    findings.noticeAt(keyAt(parent, name), path, 'the name is a host name too, and some programs refuse those with an underscore')
  } else if (name.startsWith('hive-')) {
    findings.problem(keyAt(parent, name), path, "service names that start with 'hive-' are reserved", `rename it, as ${name.slice(5) || 'service'}`)
  }
}

export const networkAttributes = ['driver', 'ipam', 'driver_opts'] as const
export type NetworkAttribute = (typeof networkAttributes)[number]

const readNetworks = (file: string, source: Mapping, stages: readonly StageName[], networks: Map<string, NetworkDefinition>, findings: Findings): void => {
  const bodies = source['networks']
  if (bodies === undefined || bodies === null) return
  if (!isMapping(bodies)) {
    findings.problem(valueAt(source, 'networks'), 'networks', `must be a mapping, but is ${describe(bodies)}`, 'write one key a network')
    return
  }
  for (const [name, body] of Object.entries(bodies)) {
    const path = `networks.${name}`
    if (!isMapping(body) && body !== null) {
      findings.problem(valueAt(bodies, name), path, `a network must be a mapping, but is ${describe(body)}`, 'leave it empty or write ipam:, driver_opts:')
      continue
    }
    if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name)) {
      findings.problem(keyAt(bodies, name), path, `'${name}' is no network name`, 'use letters, digits, underscores, dots and hyphens')
    }
    const content = body ?? emptyAt(keyAt(bodies, name))
    const allowed: readonly string[] = networkAttributes
    for (const key of Object.keys(content)) {
      if (!allowed.includes(key)) findings.problem(keyAt(content, key), joined(path, key), `unknown network attribute '${key}'`, didYouMean(key, allowed))
    }
    const ipam = content['ipam']
    for (const key of isMapping(ipam) ? Object.keys(ipam) : []) {
      const keys = ['driver', 'config', 'options']
      if (!keys.includes(key)) findings.problem(keyAt(ipam as Mapping, key), `${path}.ipam.${key}`, `unknown ipam key '${key}'`, didYouMean(key, keys))
    }
    networks.set(name, { name, file, path, source: content, stages })
  }
}

/** The service's attributes as variables of its pseudo-host: `hive_ATTRIBUTE`. */
export const serviceVariables = (service: ServiceDefinition): Record<string, unknown> => {
  const variables: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(service.source)) {
    if (!renderedLater.has(key)) continue
    variables[`hive_${key}`] = value
    adoptPlace(variables, `hive_${key}`, service.source, key)
  }
  if (service.image?.kind === 'reference') {
    variables['hive_image'] = service.image.reference
    adoptPlace(variables, 'hive_image', service.source, 'image')
  }
  if (service.image?.kind === 'built') variables['hive_image_name'] = `image_${service.name}`
  return variables
}
