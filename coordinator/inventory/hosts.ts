import { formatIPv4, formatNetwork4, hostRange, type Network4, netmaskOf } from './addresses.ts'
import type { Mapping } from './mapping.ts'
import type { Findings } from './problems.ts'
import type { StageName } from './site.ts'
import type { StageDefinition } from './stages.ts'
import { adoptPlace, valueAt } from './yaml-source.ts'

/** A server of a stage with what the hive definition says of it; variables are not rendered yet. */
export interface PlannedHost {
  readonly name: string
  readonly shortName: string
  readonly stage: StageName
  readonly index: number
  readonly address: string
  readonly network: Network4
  readonly subnet: string
  readonly zone: string | number | undefined
  readonly isHive: boolean
  readonly isRepository: boolean
  readonly isFirstHive: boolean
  readonly variables: Readonly<Record<string, unknown>>
}

export const stagePrefix = (stage: StageName): string => ({ private: 'p-', staging: 's-', production: '' })[stage]
export const motherName = (stage: StageName, siteName: string): string => `${stagePrefix(stage)}mother.${siteName}`

interface Pool {
  readonly network: Network4
  readonly name: string
  readonly zone: string | undefined
  next(): string | undefined
  readonly size: number
}

// The first addresses of a network are left to the provider's router and services.
const skippedAlone = 3
const skippedInSubnet = 4

const poolOf = (network: Network4, name: string, zone: string | undefined, skip: number): Pool => {
  const { first, last } = hostRange(network)
  let cursor = first + skip
  return { network, name, zone, size: Math.max(0, last - first + 1 - skip), next: () => (cursor <= last ? formatIPv4(cursor++) : undefined) }
}

const poolsOf = (stage: StageDefinition, siteName: string): readonly Pool[] => {
  if (stage.subnets.length > 0) {
    return stage.subnets.map((subnet, index) =>
      poolOf(subnet.network, subnet.name ?? `${stagePrefix(stage.stage)}subnet${index}`, subnet.zone, skippedInSubnet),
    )
  }
  if (stage.addresses.length === 0) return [poolOf(stage.network, `${siteName}-default`, undefined, skippedAlone)]
  const listed = stage.addresses.values()
  return [{ network: stage.network, name: `${siteName}-default`, zone: undefined, size: stage.addresses.length, next: () => listed.next().value }]
}

const zoneOf = (stage: StageDefinition, pool: Pool, index: number): string | number | undefined => {
  if (stage.region === undefined) return undefined
  if (pool.zone !== undefined) return pool.zone
  if (stage.provider === 'azure') return (index % 3) + 1
  return `${stage.region}${stage.zoneSuffixes[index % stage.zoneSuffixes.length] ?? ''}`
}

/** Names, addresses, zones and variables of a stage's servers, in their order. The last one is the repository server. */
export const planHosts = (stage: StageDefinition, siteName: string, firstHive: number, findings: Findings): readonly PlannedHost[] => {
  const pools = poolsOf(stage, siteName)
  const hosts: PlannedHost[] = []
  const taken = new Set<string>()
  let isExhausted = false
  for (let index = 0; index < stage.numberOfHosts; index++) {
    const pool = pools[index % pools.length] as Pool
    const given = pool.next()
    // Nothing is made of a site with mistakes: the address only stands in, so that all else can be checked.
    const address = given ?? '0.0.0.0'
    if (given === undefined && !isExhausted) {
      isExhausted = true
      const key = stage.subnets.length > 0 ? 'subnets' : 'cidr'
      findings.problem(
        valueAt(stage.source, key),
        `${stage.path}.${key}`,
        `${formatNetwork4(pool.network)} has ${pool.size} addresses for hosts, too few for ${stage.numberOfHosts} hosts`,
        `use a larger network or fewer hosts; the first ${stage.subnets.length > 0 ? skippedInSubnet : skippedAlone} addresses are not given to hosts`,
      )
    }
    if (given !== undefined && taken.has(address) && stage.addresses.length === 0) {
      findings.problem(
        valueAt(stage.source, 'subnets'),
        `${stage.path}.subnets`,
        `the address ${address} would be given to two hosts`,
        'let the subnets not overlap',
      )
    }
    taken.add(address)
    const shortName = `${stagePrefix(stage.stage)}${stage.customHostname}${index}`
    const isRepository = index === stage.numberOfHosts - 1
    const isHive = !isRepository || !stage.separateRepository
    const zone = zoneOf(stage, pool, index)
    hosts.push({
      name: `${shortName}.${siteName}`,
      shortName,
      stage: stage.stage,
      index,
      address,
      network: pool.network,
      subnet: pool.name,
      zone,
      isHive,
      isRepository,
      isFirstHive: index === firstHive && isHive,
      variables: placed(
        defined({
          hive_private_ip: address,
          hive_netmask: netmaskOf(pool.network),
          hive_subnet: pool.name,
          hive_available_zone: zone,
          ...attributeVariables(stage.source, isHive, isRepository),
        }),
        stage.source,
      ),
    })
  }
  return hosts
}

const defined = (values: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== null))

/** Lets mistakes in a host's variables point at the stage's attributes they come from. */
const placed = (variables: Record<string, unknown>, source: Mapping): Record<string, unknown> => {
  for (const [name, value] of Object.entries(variables)) {
    const attribute = name.slice('hive_'.length)
    const written = [attribute, `repository_${attribute}`].find((one) => source[one] === value)
    if (written !== undefined) adoptPlace(variables, name, source, written)
  }
  return variables
}

const attributeVariables = (source: Mapping, isHive: boolean, isRepository: boolean): Record<string, unknown> => {
  const of = (attribute: string): unknown => {
    const own = isHive ? source[attribute] : undefined
    return isRepository ? (source[`repository_${attribute}`] ?? own) : own
  }
  return {
    hive_instance_type: of('instance_type'),
    hive_disk_size: of('disk_size'),
    hive_disk_encrypted: of('disk_encrypted'),
    hive_memory_size: of('memory_size'),
    hive_cpus: of('cpus'),
    hive_mirrored_disk_size: isHive ? source['mirrored_disk_size'] : undefined,
    hive_mirrored_disk_encrypted: isHive ? source['mirrored_disk_encrypted'] : undefined,
    hive_vm_image_name: source['image_name'],
    hive_kms_key_id: source['kms_key_id'],
    hive_root_password: source['root_password'],
    hive_kernel_version: source['kernel_version'],
    hive_drbd_download_url: source['drbd_download_url'],
    hive_internal_cidr: source['internal_cidr'],
    hive_internal_cidr_v6: source['internal_cidr_v6'],
    hive_shared_repository: source['shared_repository'],
  }
}

/** Variables of the machine the coordinator runs on, for one stage. */
export const motherVariables = (stage: StageDefinition, siteName: string): Readonly<Record<string, unknown>> =>
  defined({
    ansible_connection: 'local',
    hive_cidr: stage.source['cidr'],
    hive_region: stage.source['region'],
    hive_subnets: Array.isArray(stage.source['subnets']) ? stage.source['subnets'] : [{ cidr: stage.source['cidr'], name: `${siteName}-default` }],
    hive_bridge: stage.source['bridge'] ?? '',
    hive_dev: stage.source['dev'] ?? '',
    hive_kickstart_config: stage.source['kickstart_config'],
    hive_filestore_cidr: stage.source['filestore_cidr'],
    hive_shared_repository: stage.source['shared_repository'],
    hive_prepared_resource_group: stage.source['prepared_resource_group'],
    hive_not_support_az: stage.source['not_support_az'],
  })
