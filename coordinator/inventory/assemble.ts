import { resolve } from 'node:path'
import { HiveError } from '../../proto/errors.ts'
import { formatNetwork4, gwbridgeV6, parseNetwork4, splitInternal } from './addresses.ts'
import { type Allocations, allocate, portKey } from './allocations.ts'
import { exportInventory } from './ansible-inventory.ts'
import { type BuiltInContext, derivedVariables, extraVariables } from './built-in-variables.ts'
import { Converter } from './convert.ts'
import { type NetworkDefinition, readServices, type ServiceDefinition, serviceVariables } from './definitions.ts'
import { byStrength, type Groups, groupsOfMembers, makeGroups } from './groups.ts'
import { hostSettings } from './host-settings.ts'
import { motherName, motherVariables, type PlannedHost, planHosts } from './hosts.ts'
import { makeLookup } from './lookups.ts'
import { mountVariables } from './mounts.ts'
import { portVariable } from './port-definition.ts'
import type { Findings } from './problems.ts'
import { checkPublishedPorts } from './published-ports.ts'
import {
  collectVolumes,
  defaultNetworkName,
  imageName,
  imageVariables,
  networkVariables,
  resolveImage,
  resolveNetwork,
  resolveVolume,
  type VolumeDefinition,
  volumeName,
  volumeVariables,
} from './resolve-resources.ts'
import { resolveService, type ServiceContext } from './resolve-service.ts'
import { roleCheck } from './roles.ts'
import type { Settings } from './settings.ts'
import { type Host, type Site, type StageName, stageNames } from './site.ts'
import { readSources, type Sources } from './sources.ts'
import { describe, isMapping, isStageName, type Mapping, readStage, type StageDefinition } from './stages.ts'
import { didYouMean } from './suggest.ts'
import { VariableError, Variables } from './variables.ts'
import { adoptPlace, keyAt, startOf, valueAt } from './yaml-source.ts'

export interface AssembleInput {
  readonly root: string
  readonly stage: StageName
  readonly inventoryPath: string
  readonly contextDir: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly settings: Settings
  readonly remembered: Allocations
  readonly tagMapping: ReadonlyMap<string, string>
  readonly registryPassword: () => string
  readonly runCommands: boolean
  readonly newPassword: (path: string) => void
  readonly findings: Findings
}

/** Everything of the definition files, before any variable is rendered. */
interface Definitions {
  readonly name: string
  readonly stages: readonly StageDefinition[]
  readonly current: StageDefinition
  readonly hosts: readonly PlannedHost[]
  readonly services: readonly ServiceDefinition[]
  readonly networks: readonly NetworkDefinition[]
  readonly volumes: ReadonlyMap<string, VolumeDefinition>
  readonly sources: Sources
  readonly hiveFile: string
}

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

const readDefinitions = (input: AssembleInput, sources: Sources): Definitions | undefined => {
  const { findings } = input
  const services = new Map<string, ServiceDefinition>()
  const networks = new Map<string, NetworkDefinition>()
  for (const source of sources.services) readServices(source.file, source.content, services, networks, findings)
  if (!networks.has(defaultNetworkName) && sources.services.length > 0) {
    networks.set(defaultNetworkName, {
      name: defaultNetworkName,
      file: sources.services[0]?.file ?? '',
      path: `networks.${defaultNetworkName}`,
      source: {},
      stages: stageNames,
    })
  }
  const volumes = collectVolumes([...services.values()], findings)
  const hive = sources.hives[0]
  if (hive === undefined) return undefined
  const content = hive.content
  const allowed = ['plugin', 'name', 'stages']
  for (const key of Object.keys(content))
    if (!allowed.includes(key)) findings.problem(keyAt(content, key), key, `unknown key '${key}'`, didYouMean(key, allowed))
  const name = content['name']
  if (typeof name !== 'string' || !/^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(name)) {
    const at = name === undefined ? startOf(content) : valueAt(content, 'name')
    findings.problem(
      at,
      'name',
      name === undefined ? "the key 'name' is missing" : `${describe(name)} is no domain name`,
      'write name: the name of the site, as example.com',
    )
  }
  const siteName = typeof name === 'string' ? name : 'site'
  const stages = readStages(content, siteName, input, findings)
  const firstHive = firstHiveIndex(input)
  const hosts = stages.flatMap((stage) => planHosts(stage, siteName, stage.stage === input.stage ? firstHive : 0, findings))
  const current = stages.find((stage) => stage.stage === input.stage)
  if (current === undefined) return undefined
  const hives = hosts.filter((host) => host.stage === input.stage && host.isHive)
  if (!hives.some((host) => host.isFirstHive)) {
    findings.problem(
      startOf(current.source),
      current.path,
      `first_hive is ${firstHive}, but the stage has ${hives.length} hive hosts`,
      'set first_hive to the index of a hive host',
    )
  }
  return { name: siteName, stages, current, hosts, services: [...services.values()], networks: [...networks.values()], volumes, sources, hiveFile: hive.path }
}

const readStages = (content: Mapping, siteName: string, input: AssembleInput, findings: Findings): readonly StageDefinition[] => {
  const stages = content['stages']
  if (!isMapping(stages)) {
    const at = stages === undefined ? startOf(content) : valueAt(content, 'stages')
    findings.problem(
      at,
      'stages',
      stages === undefined ? "the key 'stages' is missing" : `must be a mapping, but is ${describe(stages)}`,
      'write stages: {private: {provider: …, cidr: …}}',
    )
    return []
  }
  const read = Object.entries(stages).flatMap(([name, body]) => {
    if (!isStageName(name)) {
      findings.problem(keyAt(stages, name), `stages.${name}`, `unknown stage '${name}'`, didYouMean(name, stageNames))
      return []
    }
    if (!isMapping(body)) {
      findings.problem(
        valueAt(stages, name),
        `stages.${name}`,
        `a stage must be a mapping, but is ${describe(body)}`,
        'write provider:, cidr: and so on below it',
      )
      return []
    }
    return readStage(name, body, siteName, findings) ?? []
  })
  if (!(input.stage in stages)) {
    findings.problem(
      keyAt(content, 'stages'),
      'stages',
      `there is no stage '${input.stage}' in this site`,
      `define it, or choose one of: ${Object.keys(stages).join(', ')}`,
    )
  }
  return read
}

const firstHiveIndex = (input: AssembleInput): number => {
  const index = Number(input.env['HIVE_FIRST_HIVE'] ?? input.settings.get('first_hive') ?? 0)
  return Number.isInteger(index) && index >= 0 ? index : 0
}

const tellUnusedVariables = (sources: Sources, groups: Groups, findings: Findings): void => {
  for (const name of sources.groupVars.keys()) {
    if (!groups.has(name) && name !== 'ungrouped') findings.notice(`group_vars/${name}: there is no such group; ${didYouMean(name, groups.keys())}`)
  }
  const members = new Set(groups.get('all'))
  for (const name of sources.hostVars.keys())
    if (!members.has(name)) findings.notice(`host_vars/${name}: there is no such host, service, image, volume or network`)
}

/** Variables that the definitions give to hosts and pseudo-hosts. */
const definedVariables = (definitions: Definitions, allocations: Allocations): ReadonlyMap<string, Mapping> => {
  const variables = new Map<string, Mapping>()
  for (const host of definitions.hosts) variables.set(host.name, host.variables)
  for (const stage of definitions.stages) variables.set(motherName(stage.stage, definitions.name), motherVariables(stage, definitions.name))
  for (const service of definitions.services) {
    const values = serviceVariables(service)
    if (service.ports.length > 0) {
      values['hive_ports'] = service.ports.map((port) => portVariable(port, port.published ?? allocations.ports[portKey(service.name, port.target)] ?? 0))
      adoptPlace(values, 'hive_ports', service.source, 'ports')
    }
    const mounts = mountVariables(service)
    if (mounts !== undefined) values['hive_volumes'] = mounts
    adoptPlace(values, 'hive_volumes', service.source, 'volumes')
    variables.set(service.name, values)
    if (service.image?.kind === 'built') variables.set(imageName(service.name), imageVariables(service))
  }
  for (const volume of definitions.volumes.values()) variables.set(volumeName(volume.name), volumeVariables(volume, allocations.devices[volume.name]))
  for (const network of definitions.networks) variables.set(network.name, networkVariables(network))
  return variables
}

const makeVariables = (input: AssembleInput, definitions: Definitions, groups: Groups, allocations: Allocations, builtIn: BuiltInContext): Variables => {
  const { sources } = definitions
  const defined = definedVariables(definitions, allocations)
  const groupNames = groupsOfMembers(groups)
  const stageOf = new Map(definitions.stages.map((stage) => [stage.stage, stage]))
  const derived = derivedVariables(builtIn)
  const extra = extraVariables(builtIn)
  const groupsObject = Object.fromEntries(groups)
  const fileOf = new Map(
    definitions.services.flatMap((service) => [service.name, imageName(service.name)].map((name) => [name, resolve(input.root, service.file)] as const)),
  )
  const layers = (name: string): readonly Mapping[] => {
    const all = groupNames.get(name) ?? []
    // A pseudo-host is in the groups of all its stages; only the stage at hand speaks.
    const mine = all.includes(input.stage) ? all.filter((group) => !isStageName(group) || group === input.stage) : all
    const stage = mine.find(isStageName)
    const definition = stage === undefined ? undefined : stageOf.get(stage)
    const plugin: Record<string, unknown> = { hive_name: definitions.name }
    if (definition !== undefined) Object.assign(plugin, { hive_provider: definition.provider, hive_custom_hostname: definition.customHostname })
    if (all.includes('hives')) plugin['hive_swarm_master'] = definitions.hosts.findLast((host) => host.isFirstHive)?.name
    return [
      derived,
      plugin,
      ...byStrength(['all', ...mine]).flatMap((group) => sources.groupVars.get(group) ?? []),
      defined.get(name) ?? {},
      ...(sources.hostVars.get(name) ?? []),
      {
        inventory_hostname: name,
        inventory_hostname_short: name.split('.')[0],
        inventory_dir: sources.folder,
        inventory_file: fileOf.get(name) ?? definitions.hiveFile,
        playbook_dir: input.root,
        groups: groupsObject,
        group_names: all,
      },
      extra,
    ]
  }
  const lookup = makeLookup({
    root: input.root,
    env: input.env,
    runCommands: input.runCommands,
    newPassword: input.newPassword,
    notice: (text) => input.findings.notice(text),
  })
  return new Variables(groups.get('all') ?? [], layers, lookup)
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
    checkRoles: roleCheck(String(input.settings.get('roles_path')).split(':')),
  }
  const services = ofStage.map((service) => resolveService(service, context))
  checkPublishedPorts(ofStage, services, findings)
  const internal = current.internal !== undefined && current.internal.prefix <= 25 ? splitInternal(current.internal) : undefined
  const memberships = groupsOfMembers(groups)
  const hosts = mine.map((host): Host => toHost(host, memberships.get(host.name) ?? [], effectiveProvider, variables, findings))
  const hiveNames = mine.filter((host) => host.isHive).map((host) => host.name)
  const resolvedNetworks = networks.map((network) => resolveNetwork(network, variables, findings, internal))
  checkNetworkOverlap(networks, resolvedNetworks, findings)
  const password = input.registryPassword()
  variables.rememberSecret(password)
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
    registry: { host: repositoryHost, port: registryPort, user: ofRepository.text('hive_docker_login_user') ?? 'hive', password },
    externalRegistries: externalRegistries(ofRepository),
    dockerNetworks: {
      bridgeAddress: internal?.bridgeAddress,
      gwbridge: internal === undefined ? undefined : { subnet: internal.gwbridge, subnetV6: internalV6(current, findings)?.gwbridge },
      ingress: internal?.ingress,
    },
    groups,
    variable: (name, variable) => readVariable(variables, name, variable),
    isSecret: (text) => variables.isSecret(text),
    ansibleInventory: () => exportInventory(variables, groups, extraVariables(builtIn)),
    notices: findings.notices,
  }
  return site
}

const readVariable = (variables: Variables, name: string, variable: string): unknown => {
  try {
    const value = variables.get(name, variable)
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
  read.list('hive_ext_repositories').flatMap((entry) => {
    if (!isMapping(entry)) {
      read.wrong('hive_ext_repositories', `an entry must be a mapping, but is ${describe(entry)}`, 'write {repository: …, login_user: …, password: …}')
      return []
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
