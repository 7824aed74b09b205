import { HiveError } from '../../proto/errors.ts'
import { formatNetwork4, gwbridgeV6, parseNetwork4, splitInternal } from './addresses.ts'
import { type Allocations, allocate } from './allocations.ts'
import { exportInventory } from './ansible-inventory.ts'
import { backupSettings } from './backup-settings.ts'
import { type BuiltInContext, extraVariables } from './built-in-variables.ts'
import { checkBackupNames } from './check-backup-names.ts'
import { checkMirroredVolumes } from './check-mirrored-volumes.ts'
import { Converter } from './convert.ts'
import type { NetworkDefinition, ServiceDefinition } from './definitions.ts'
import { type Groups, groupsOfMembers, makeGroups } from './groups.ts'
import { hostSettings } from './host-settings.ts'
import type { PlannedHost } from './hosts.ts'
import { logSettings } from './log-settings.ts'
import { describe, isMapping } from './mapping.ts'
import { monitoringSettings } from './monitoring-settings.ts'
import type { Findings } from './problems.ts'
import { checkPublishedPorts } from './published-ports.ts'
import { type AssembleInput, type Definitions, readDefinitions } from './read-definitions.ts'
import { defaultNetworkName, imageName, resolveImage, resolveNetwork, resolveVolume } from './resolve-resources.ts'
import { resolveService, type ServiceContext } from './resolve-service.ts'
import { roleCheck } from './roles.ts'
import type { Host, Site, StageName } from './site.ts'
import { makeVariables } from './site-variables.ts'
import { readSources, type Sources } from './sources.ts'
import type { StageDefinition } from './stages.ts'
import { didYouMean } from './suggest.ts'
import { VariableError, type Variables } from './variables.ts'
import { startOf, valueAt } from './yaml-source.ts'
import { zabbixOf, zabbixSecrets } from './zabbix.ts'

/** Makes the site of the files' contents; writes nothing. Throws InventoryError with all mistakes. */
export const assemble = (input: AssembleInput): { readonly site: Site; readonly allocations: Allocations } => {
  const { findings } = input
  const sources = readSources(input.root, input.inventoryPath, findings)
  const definitions = readDefinitions(input, sources)
  if (definitions === undefined) {
    findings.throwIfAny()
    throw new Error('an inventory without a stage was not reported')
  }
  const allocations = allocate(definitions.services, input.remembered, input.stage, findings)
  tellLeftVolumes(input, definitions, findings)
  const groups = makeGroups(
    definitions.hosts,
    definitions.stages.map((stage) => stage.stage),
    definitions.name,
    definitions.services,
    definitions.networks,
    definitions.volumes.values(),
  )
  tellUnusedVariables(sources, groups, findings)
  const site = resolveSite(input, definitions, groups, allocations)
  findings.throwIfAny()
  return { site, allocations }
}

const tellUnusedVariables = (sources: Sources, groups: Groups, findings: Findings): void => {
  for (const name of sources.groupVars.keys()) {
    if (!groups.has(name) && name !== 'ungrouped') findings.notice(`group_vars/${name}: there is no such group; ${didYouMean(name, groups.keys())}`)
  }
  const members = new Set(groups.get('all'))
  for (const name of sources.hostVars.keys())
    if (!members.has(name)) findings.notice(`host_vars/${name}: there is no such host, service, image, volume or network`)
}

/** Nothing is deleted because it is not written any more. */
const tellLeftVolumes = (input: AssembleInput, definitions: Definitions, findings: Findings): void => {
  for (const [name, id] of Object.entries(input.remembered.devices)) {
    if (!definitions.volumes.has(name))
      findings.notice(
        `the volume '${name}' (device id ${id}) is not in the inventory any more and stays as it is; \`hivecoord volume delete ${name}\` removes it`,
      )
  }
}

const resolveSite = (input: AssembleInput, definitions: Definitions, groups: Groups, allocations: Allocations): Site => {
  const { findings, stage } = input
  const { current } = definitions
  const mine = definitions.hosts.filter((host) => host.stage === stage)
  const repositoryHost = mine.at(-1)?.name ?? ''
  const fallsBack = current.provider === 'vagrant'
  if (fallsBack) findings.notice(`the stage ${stage} is written for vagrant; its hosts are made with nspawn`)
  const effectiveProvider = fallsBack ? 'nspawn' : current.provider
  const builtIn: BuiltInContext = {
    stage,
    provider: effectiveProvider,
    contextDir: input.contextDir,
    root: input.root,
    inventoryPath: input.inventoryPath,
    repositoryHost,
    sharedRepository: isMapping(current.source['shared_repository']),
    hosts: mine,
    settings: input.settings,
    allServices: definitions.services.map((service) => service.name),
    get: (name, variable) => variables.get(name, variable),
  }
  const variables: Variables = makeVariables(input, definitions, groups, allocations, builtIn)
  const ofStage = definitions.services.filter((service) => service.stages.includes(stage) && !isBodiless(service, variables, findings))
  const ofRepository = new Converter(variables, findings, repositoryHost, repositoryHost, startOf(current.source))
  const registryPort = ofRepository.wholeNumber('hive_registry_port') ?? 5000
  const networks = networksOf(definitions, ofStage, stage)
  const context: ServiceContext = {
    variables,
    findings,
    networkNames: networks.map((network) => network.name),
    tagMapping: input.tagMapping,
    ports: allocations.ports,
    registry: `${repositoryHost}:${registryPort}`,
    checkRoles: roleCheck(input.root, String(input.settings.get('roles_path')).split(':')),
  }
  const services = ofStage.map((service) => resolveService(service, context))
  checkPublishedPorts(ofStage, services, findings)
  checkBackupNames(ofStage, services, findings)
  const internal = current.internal !== undefined && current.internal.prefix <= 25 ? splitInternal(current.internal) : undefined
  const memberships = groupsOfMembers(groups)
  const hosts = mine.map((host): Host => toHost(host, memberships.get(host.name) ?? [], effectiveProvider, variables, findings))
  // A volume of several stages names the hosts of all of them.
  const hiveNames = definitions.hosts.filter((host) => host.isHive).map((host) => host.name)
  const resolvedNetworks = networks.map((network) => resolveNetwork(network, variables, findings, internal))
  checkNetworkOverlap(networks, resolvedNetworks, findings)
  const password = ofRepository.text('hive_registry_password') ?? input.registryPassword()
  checkRegistryPassword(password, ofRepository)
  variables.rememberSecret(password)
  const zabbix = zabbixOf(ofRepository, definitions.name, input.stageSecret)
  for (const text of zabbixSecrets(zabbix)) variables.rememberSecret(text)
  const site: Site = {
    name: definitions.name,
    stage,
    provider: current.provider,
    effectiveProvider,
    root: input.root,
    contextDir: input.contextDir,
    cidr: formatNetwork4(current.network),
    internalCidr: current.internal === undefined ? undefined : formatNetwork4(current.internal),
    internalCidrV6: internalV6(current, findings)?.written,
    attributes: current.source,
    hosts,
    networks: resolvedNetworks,
    volumes: [...definitions.volumes.values()]
      .filter((volume) => volume.stages.includes(stage))
      .map((volume) => resolveVolume(volume, variables, findings, hiveNames)),
    images: ofStage.filter((service) => service.image?.kind === 'built').map((service) => resolveImage(service, stage, context)),
    services,
    registry: {
      host: repositoryHost,
      port: registryPort,
      user: ofRepository.text('hive_docker_login_user') ?? 'hive',
      password,
      image: ofRepository.text('hive_registry_image') ?? 'registry:2',
      inContainer: ofRepository.flag('hive_registry_container', false),
      ...upkeepOf(ofRepository),
      cache: cacheOf(ofRepository, registryPort),
      pulledFrom: pulledFrom(definitions.services, variables),
    },
    logs: logSettings(ofRepository),
    zabbix,
    backups: backupSettings(ofRepository),
    monitoring: monitoringSettings(ofRepository),
    externalRegistries: externalRegistries(ofRepository),
    dockerNetworks: {
      bridgeAddress: internal?.bridgeAddress,
      gwbridge: internal === undefined ? undefined : { subnet: internal.gwbridge, subnetV6: internalV6(current, findings)?.gwbridge },
      ingress: internal?.ingress,
      zabbix: internal?.zabbix,
    },
    groups,
    variable: (name, variable) => readVariable(variables, name, variable),
    isSecret: (text) => variables.isSecret(text),
    secretTexts: () => variables.secretTexts,
    ansibleInventory: () => exportInventory(variables, groups, extraVariables(builtIn)),
    notices: findings.notices,
  }
  checkMirroredVolumes(site, definitions.volumes, definitions.services, findings)
  return { ...site, notices: findings.notices }
}

/** What bcrypt and the header of a log-in can hold. */
const checkRegistryPassword = (password: string, read: Converter): void => {
  if (password.length < 8) read.wrong('hive_registry_password', 'is shorter than 8 characters', 'make it longer, or leave it out: one is generated')
  else if (!/^[\x20-\x7e]{1,72}$/.test(password))
    read.wrong('hive_registry_password', 'must be at most 72 printable ASCII characters', 'write another one, or leave it out')
}

const upkeepOf = (read: Converter): Pick<Site['registry'], 'keep' | 'upkeepAt'> => {
  const keep = read.wholeNumber('hive_registry_keep') ?? 5
  if (keep === 0) read.wrong('hive_registry_keep', 'must be 1 or more', 'write how many of the newest builds of each image stay')
  const at = read.value('hive_registry_upkeep') ?? '03:30'
  if (at === false || at === '') return { keep, upkeepAt: undefined }
  if (typeof at === 'string' && /^([01]?\d|2[0-3]):[0-5]\d$/.test(at)) return { keep, upkeepAt: at }
  read.wrong('hive_registry_upkeep', `${typeof at === 'string' ? `'${at}'` : describe(at)} is no time of day`, 'write "HH:MM" in quotes, or False')
  return { keep, upkeepAt: undefined }
}

/** True is Docker's own registry, whose images are named without one: the only one that dockerd asks mirrors for. */
const cacheOf = (read: Converter, registryPort: number): Site['registry']['cache'] => {
  const value = read.value('hive_registry_cache')
  if (value === undefined || value === false || value === '') return undefined
  const port = read.wholeNumber('hive_registry_cache_port') ?? 5001
  if (port === registryPort) read.wrong('hive_registry_cache_port', `${port} is the registry's own port`, 'choose another one')
  if (value === true) return { url: 'https://registry-1.docker.io', port }
  if (typeof value === 'string' && /^https?:\/\/[^\s/@]+\/?$/.test(value)) return { url: value.replace(/\/$/, ''), port }
  return read.wrong('hive_registry_cache', 'must be True or the address of a registry', 'write True, or https://HOST[:PORT] of a mirror of Docker’s registry')
}

/** Of all stages: this stage's registry may be where another one pulls from. What only that stage can render is left out. */
const pulledFrom = (services: readonly ServiceDefinition[], variables: Variables): readonly string[] =>
  services.flatMap((service) => {
    if (service.image?.kind !== 'built') return []
    try {
      const reference = variables.get(imageName(service.name), 'hive_pull_from')
      return typeof reference === 'string' ? [reference] : []
    } catch (thrown) {
      if (thrown instanceof VariableError) return []
      throw thrown
    }
  })

const readVariable = (variables: Variables, name: string, variable: string): unknown => {
  try {
    const value = variables.getWhole(name, variable)
    return typeof value === 'symbol' ? undefined : value
  } catch (thrown) {
    if (!(thrown instanceof VariableError)) throw thrown
    const at = thrown.at === undefined ? '' : `${thrown.at.file}:${thrown.at.line}:${thrown.at.column}: `
    throw new HiveError('invalid-input', `${at}${variable} of ${name}: ${thrown.message}`, { hint: thrown.instead, cause: thrown })
  }
}

/** A service without a body may get its image from its pseudo-host's variables; else there is nothing to run. */
const isBodiless = (service: ServiceDefinition, variables: Variables, findings: Findings): boolean => {
  if (!service.isEmpty || Object.hasOwn(variables.raw(service.name), 'hive_image')) return false
  findings.notice(`${service.file}: ${service.path} has no body and is left out`)
  return true
}

const toHost = (host: PlannedHost, groups: readonly string[], provider: string, variables: Variables, findings: Findings): Host => ({
  name: host.name,
  shortName: host.shortName,
  index: host.index,
  address: host.address,
  netmask: String(host.variables['hive_netmask']),
  prefixLength: host.network.prefix,
  subnet: host.subnet,
  zone: host.zone === undefined ? undefined : String(host.zone),
  groups,
  isHive: host.isHive,
  isRepository: host.isRepository,
  isFirstHive: host.isFirstHive,
  settings: hostSettings(host.name, provider, variables, findings),
})

/** The networks of the stage, and those of other stages that a service of this one names. */
const networksOf = (definitions: Definitions, services: readonly ServiceDefinition[], stage: StageName): readonly NetworkDefinition[] => {
  const named = new Set(services.flatMap((service) => (Array.isArray(service.source['networks']) ? service.source['networks'].map(networkNameOf) : [])))
  return definitions.networks.filter((network) => network.stages.includes(stage) || network.name === defaultNetworkName || named.has(network.name))
}

const networkNameOf = (network: unknown): string => (isMapping(network) ? String(network['name'] ?? Object.keys(network)[0]) : String(network))

const checkNetworkOverlap = (definitions: readonly NetworkDefinition[], networks: Site['networks'], findings: Findings): void => {
  const seen: { readonly name: string; readonly first: number; readonly last: number }[] = []
  networks.forEach((network, index) => {
    for (const { subnet } of network.ipam) {
      const parsed = subnet === undefined ? undefined : parseNetwork4(subnet)
      if (parsed?.ok !== true) continue
      const first = parsed.value.base
      const last = first + 2 ** (32 - parsed.value.prefix) - 1
      const other = seen.find((one) => one.first <= last && first <= one.last)
      const definition = definitions[index]
      if (other !== undefined && definition !== undefined) {
        findings.problem(
          startOf(definition.source),
          definition.path,
          `its subnet ${subnet} overlaps that of ${other.name}`,
          'give each network a subnet of its own',
        )
      }
      seen.push({ name: network.name, first, last })
    }
  })
}

const internalV6 = (stage: StageDefinition, findings: Findings): { readonly written: string; readonly gwbridge: string } | undefined => {
  const written = stage.source['internal_cidr_v6']
  if (typeof written !== 'string') return undefined
  const parsed = gwbridgeV6(written)
  if (parsed.ok) return { written, gwbridge: parsed.value }
  findings.problem(valueAt(stage.source, 'internal_cidr_v6'), `${stage.path}.internal_cidr_v6`, parsed.message, parsed.instead)
  return undefined
}

const externalRegistries = (read: Converter): Site['externalRegistries'] =>
  read.list('hive_ext_repositories').flatMap((entry, index) => {
    if (!isMapping(entry)) {
      read.wrong('hive_ext_repositories', `an entry must be a mapping, but is ${describe(entry)}`, 'write {repository: …, login_user: …, password: …}')
      return []
    }
    const lacking = ['login_user', 'password'].filter((key) => entry[key] === undefined || entry[key] === null || entry[key] === '')
    if (lacking.length > 0) {
      const at = read.within('hive_ext_repositories', index)
      read.wrong('hive_ext_repositories', `an entry has no ${lacking.join(' and no ')}`, 'leave the entry out where the registry asks for no log-in', at)
    }
    // Without a server, docker's own registry is meant.
    return [
      {
        server: String(entry['repository'] ?? 'https://index.docker.io/v1/'),
        user: String(entry['login_user'] ?? ''),
        password: String(entry['password'] ?? ''),
      },
    ]
  })
