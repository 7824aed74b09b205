import { type InternalNetworks, parseNetwork4 } from './addresses.ts'
import { Converter, textOf } from './convert.ts'
import type { NetworkDefinition, ServiceDefinition } from './definitions.ts'
import { describe, isMapping, type Mapping } from './mapping.ts'
import type { Findings, Position } from './problems.ts'
import { volumeBytes } from './quantities.ts'
import { environmentOf, rolesOf, type ServiceContext } from './resolve-service.ts'
import type { Image, Network, StageName, Volume } from './site.ts'
import { didYouMean } from './suggest.ts'
import type { Variables } from './variables.ts'
import type { VolumeUse } from './volume-definition.ts'
import { adoptPlace, startOf, valueAt } from './yaml-source.ts'

export const defaultNetworkName = 'hive_default_network'
const filesystems = ['xfs', 'ext4']

export const imageName = (service: string): string => `image_${service}`
export const volumeName = (volume: string): string => `volume_${volume}`

/** The image a service builds, rendered in the context of its own pseudo-host. */
export const resolveImage = (definition: ServiceDefinition, stage: StageName, context: ServiceContext): Image => {
  const name = imageName(definition.name)
  const source = definition.image?.kind === 'built' ? definition.image.source : {}
  const read = new Converter(context.variables, context.findings, name, `${definition.path}.image`, startOf(source))
  const roles = rolesOf(read, 'hive_roles')
  context.checkRoles(roles, read, 'hive_roles')
  if (read.value('hive_roles') === undefined) read.wrong('hive_roles', "the key 'roles' is missing", 'add roles: the roles that make the image')
  const from = read.text('hive_from') ?? ''
  const standalone = read.flag('hive_standalone', false)
  const pullOn = read.texts('hive_pull_on') ?? []
  const pullFrom = pullOn.includes(stage) ? read.text('hive_pull_from') : undefined
  return {
    name,
    service: definition.name,
    stages: definition.stages,
    from: context.tagMapping.get(from) ?? from,
    roles,
    environment: environmentOf(read, 'hive_env'),
    stopSignal: read.text('hive_stop_signal'),
    user: read.text('hive_user'),
    workingDir: read.text('hive_working_dir'),
    standalone,
    privileged: standalone || read.flag('hive_privileged', false),
    entrypoint: read.words('hive_entrypoint'),
    command: read.words('hive_command'),
    expose: read.texts('hive_expose') ?? [],
    pullFrom: pullFrom === undefined ? undefined : (context.tagMapping.get(pullFrom) ?? pullFrom),
    repository: `${context.registry}/${name}`,
  }
}

/** Members of a definition as `hive_KEY` variables that know where they are written. */
const prefixed = (source: Mapping): Record<string, unknown> => {
  const variables: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(source)) {
    variables[`hive_${key}`] = value
    adoptPlace(variables, `hive_${key}`, source, key)
  }
  return variables
}

/** The variables of an image's pseudo-host. */
export const imageVariables = (definition: ServiceDefinition): Record<string, unknown> => {
  const source = definition.image?.kind === 'built' ? definition.image.source : {}
  const variables = prefixed(source)
  if (definition.standalone) {
    variables['hive_standalone'] ??= true
    variables['hive_privileged'] ??= true
  }
  return variables
}

/** A volume with all that the services say of it. */
export interface VolumeDefinition {
  readonly name: string
  readonly kind: 'driver' | 'drbd' | 'nfs'
  readonly stages: readonly StageName[]
  readonly use: VolumeUse
  readonly file: string
}

/** Brings the definitions of a volume by several services together; they must agree. */
export const collectVolumes = (services: readonly ServiceDefinition[], findings: Findings): ReadonlyMap<string, VolumeDefinition> => {
  const volumes = new Map<string, VolumeDefinition>()
  for (const service of services) {
    for (const use of service.volumes) {
      if (use.definition === undefined) continue
      const before = volumes.get(use.source)
      const next: VolumeDefinition = {
        name: use.source,
        kind: use.definition.kind,
        stages: before === undefined ? use.definition.stages : [...new Set([...before.stages, ...use.definition.stages])],
        use,
        file: service.file,
      }
      if (before !== undefined && essence(before.use) !== essence(use)) {
        const { file, line } = before.use.at
        findings.problem(
          use.at,
          use.path,
          `the volume '${use.source}' is defined differently at ${file}:${line}`,
          'define it once; other services name only source, target and type',
        )
      }
      volumes.set(use.source, next)
    }
  }
  return volumes
}

const essence = (use: VolumeUse): string => {
  const { definition } = use
  if (definition === undefined) return ''
  const { available_on: _, device_id: __, ...rest } = definition.source
  const what = definition.kind === 'driver' ? { driver: rest['driver'], driver_opts: rest['driver_opts'] } : rest
  return `${definition.kind} ${JSON.stringify(Object.entries(what).sort(([a], [b]) => a.localeCompare(b)))}`
}

/** `hive_volume` of a volume's pseudo-host. */
export const volumeVariables = (volume: VolumeDefinition, deviceId: number | undefined): Record<string, unknown> => {
  const { definition } = volume.use
  const source = definition?.source ?? {}
  switch (volume.kind) {
    case 'drbd':
      return { hive_volume: { name: volume.name, drbd: { ...source, device_id: deviceId } } }
    case 'nfs':
      return { hive_volume: { name: volume.name, nfs: { ...source } } }
    case 'driver':
      return {
        hive_volume: { name: volume.name, driver: source['driver'], ...(source['driver_opts'] === undefined ? {} : { driver_options: source['driver_opts'] }) },
      }
  }
}

/** Where a key of the volume's definition stands, else its use. */
export const placeOf = (use: VolumeUse, key: string): Position =>
  use.definition !== undefined && key in use.definition.source ? valueAt(use.definition.source, key) : use.at

/** A volume of the stage, from the variables of its pseudo-host. `hosts`: those that a `diskless` list may name. */
export const resolveVolume = (volume: VolumeDefinition, variables: Variables, findings: Findings, hosts: readonly string[]): Volume => {
  const { use } = volume
  const read = new Converter(variables, findings, volumeName(volume.name), use.path, use.at)
  const whole = read.mapping('hive_volume') ?? {}
  const member = (key: string): Mapping => (isMapping(whole[key]) ? whole[key] : {})
  const mirrored = member(volume.kind)
  const size = mirrored['size'] === undefined ? undefined : textOf(mirrored['size'])
  const fstype = mirrored['fstype'] === undefined ? undefined : textOf(mirrored['fstype'])
  const wrong = (key: string, message: string, instead: string): void =>
    findings.problem(placeOf(use, key), `${use.path}.${volume.kind}.${key}`, message, instead)
  const sizeBytes = size === undefined ? undefined : volumeBytes(size)
  if (size !== undefined && sizeBytes === undefined) wrong('size', `${describe(mirrored['size'])} is no size`, 'write a number with a unit, as 500M or 20G')
  if (volume.kind === 'drbd' && fstype !== undefined && !filesystems.includes(fstype))
    wrong('fstype', `unknown file system '${fstype}'`, didYouMean(fstype, filesystems))
  const diskless = Array.isArray(mirrored['diskless']) ? mirrored['diskless'].map(textOf) : []
  if (mirrored['diskless'] !== undefined && !Array.isArray(mirrored['diskless'])) wrong('diskless', 'must be a list of hosts', 'write diskless: [HOST, …]')
  for (const host of diskless) if (!hosts.includes(host)) wrong('diskless', `there is no host '${host}'`, didYouMean(host, hosts))
  const options = member('driver_options')
  return {
    name: volume.name,
    kind: volume.kind,
    stages: volume.stages,
    driver: whole['driver'] === undefined ? undefined : textOf(whole['driver']),
    driverOptions: Object.fromEntries(Object.entries(options).map(([key, value]) => [key, textOf(value)])),
    deviceId: volume.kind === 'drbd' ? Number(mirrored['device_id']) : undefined,
    size,
    sizeBytes,
    fstype,
    diskless,
    volumeGroup: mirrored['vgname'] === undefined ? undefined : textOf(mirrored['vgname']),
  }
}

export const networkVariables = (definition: NetworkDefinition): Record<string, unknown> => prefixed(definition.source)

export const resolveNetwork = (definition: NetworkDefinition, variables: Variables, findings: Findings, internal: InternalNetworks | undefined): Network => {
  const read = new Converter(variables, findings, definition.name, definition.path, startOf(definition.source))
  const ipam = read.mapping('hive_ipam') ?? {}
  const config: readonly unknown[] = Array.isArray(ipam['config']) ? ipam['config'] : []
  if (ipam['config'] !== undefined && !Array.isArray(ipam['config']))
    read.wrong('hive_ipam', 'ipam.config must be a list', 'write config: [{subnet: 10.0.5.0/24}]')
  const text = (value: unknown): string | undefined => (value === undefined || value === null ? undefined : textOf(value))
  const pools = config.filter(isMapping).map((pool) => {
    const subnet = text(pool['subnet'])
    const parsed = subnet === undefined || subnet.includes(':') ? undefined : parseNetwork4(subnet)
    if (parsed?.ok === false) read.wrong('hive_ipam', parsed.message, parsed.instead)
    return { subnet, gateway: text(pool['gateway']), ipRange: text(pool['iprange'] ?? pool['ip_range']) }
  })
  const own = definition.name === defaultNetworkName && pools.length === 0 && internal !== undefined
  const ipamPools = own ? [{ subnet: internal.defaultNetwork, gateway: undefined, ipRange: undefined }] : pools
  const texts = (value: unknown): Record<string, string> =>
    isMapping(value) ? Object.fromEntries(Object.entries(value).map(([key, member]) => [key, textOf(member)])) : {}
  return {
    name: definition.name,
    subnet: ipamPools[0]?.subnet,
    gateway: ipamPools[0]?.gateway,
    attachable: read.flag('hive_network_attachable', true),
    ipamDriver: text(ipam['driver']),
    ipam: ipamPools,
    ipamOptions: texts(ipam['options']),
    driverOptions: texts(read.mapping('hive_driver_opts')),
  }
}
