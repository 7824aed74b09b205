import { formatNetwork4, type Network4, parseNetwork4 } from './addresses.ts'
import { describe, isMapping, type Mapping } from './mapping.ts'
import type { Findings } from './problems.ts'
import { type StageName, stageNames } from './site.ts'
import { StageReader } from './stage-reader.ts'
import { checkKeys, checkNested, checkProviderRules } from './stage-rules.ts'
import { didYouMean } from './suggest.ts'
import { startOf, valueAt } from './yaml-source.ts'

export const providerNames = ['vagrant', 'aws', 'azure', 'gcp', 'openstack', 'prepared', 'kickstart', 'nspawn'] as const

const standInNetwork: Network4 = { base: 0x0a000000, prefix: 8 }

/** Far beyond what a swarm or a mirrored volume takes. */
const mostHosts = 1000

export interface SubnetDefinition {
  readonly source: Mapping
  readonly network: Network4
  readonly name: string | undefined
  readonly zone: string | undefined
}

/** The attributes of a stage that are read before any template, validated. */
export interface StageDefinition {
  readonly stage: StageName
  readonly source: Mapping
  readonly path: string
  readonly provider: string
  readonly network: Network4
  readonly separateRepository: boolean
  readonly numberOfHosts: number
  readonly subnets: readonly SubnetDefinition[]
  readonly addresses: readonly string[]
  readonly customHostname: string
  readonly region: string | undefined
  readonly zoneSuffixes: readonly string[]
  readonly internal: Network4 | undefined
}

/** Checks one stage of the hive definition. Where it is wrong, something else stands in, so that all else can be checked at once. */
export const readStage = (stage: StageName, source: Mapping, siteName: string, findings: Findings): StageDefinition => {
  const path = `stages.${stage}`
  const reader = new StageReader(source, path, findings)
  reader.checkKinds()
  const provider = readProvider(reader, source, path, findings)
  checkProviderRules(reader, source, provider)
  checkNested(reader, source, path, findings)
  if (!reader.has('cidr')) findings.problem(startOf(source), path, "the attribute 'cidr' is missing", 'add cidr: 192.168.0.0/24 (the network of all hosts)')
  const network = reader.network('cidr')
  const internal = reader.network('internal_cidr')
  if (internal !== undefined && internal.prefix > 25) {
    reader.wrong(
      'internal_cidr',
      `${formatNetwork4(internal)} is too small to be split into six networks`,
      'use a network of /25 or larger, as 172.31.252.0/22',
    )
  }
  const customHostname = reader.text('custom_hostname') ?? 'hive'
  if (!/^[a-z0-9][a-z0-9-]*[a-z0-9]$/.test(customHostname)) {
    reader.wrong('custom_hostname', `'${customHostname}' is no host name`, 'use at least two lower-case letters, digits and hyphens, no hyphen at either end')
  } else if (customHostname.length + siteName.length >= 55) {
    reader.wrong(
      'custom_hostname',
      `custom_hostname and the site's name have ${customHostname.length + siteName.length} characters together`,
      'keep them below 55',
    )
  }
  const separateRepository = reader.flag('separate_repository', true)
  if (reader.has('shared_repository') && !separateRepository) {
    reader.wrong('shared_repository', 'a shared repository needs separate_repository: True', 'remove separate_repository: False or shared_repository')
  }
  const addresses = readAddresses(reader, source, path, findings)
  const subnets = readSubnets(source, path, findings)
  const fewest = separateRepository ? 2 : 1
  const usual = separateRepository ? 4 : 3
  const written = addresses.length > 0 ? addresses.length : (reader.count('number_of_hosts') ?? usual)
  const countKey = addresses.length > 0 ? 'ip_address_list' : 'number_of_hosts'
  if (addresses.length > 0 && reader.has('number_of_hosts') && reader.count('number_of_hosts') !== addresses.length) {
    findings.noticeAt(valueAt(source, 'number_of_hosts'), `${path}.number_of_hosts`, `is ignored: ip_address_list names ${addresses.length} hosts`)
  }
  if (written < fewest) {
    reader.wrong(
      countKey,
      `${written} hosts are too few`,
      separateRepository ? 'write at least 2 (the last is the repository server), or separate_repository: False' : 'write at least 1',
    )
  } else if (written > mostHosts) reader.wrong(countKey, `${written} hosts are too many`, `write at most ${mostHosts}`)
  return {
    stage,
    source,
    path,
    provider: provider ?? 'prepared',
    network: network ?? standInNetwork,
    separateRepository,
    numberOfHosts: written < fewest || written > mostHosts ? usual : written,
    subnets,
    addresses,
    customHostname,
    region: reader.text('region'),
    zoneSuffixes: reader.has('az_suffix_list') ? reader.list('az_suffix_list').map(String) : ['-a', '-b', '-c'],
    internal,
  }
}

const readProvider = (reader: StageReader, source: Mapping, path: string, findings: Findings): string | undefined => {
  const provider = reader.text('provider')
  if (provider === undefined) {
    if (!reader.has('provider'))
      findings.problem(startOf(source), path, "the attribute 'provider' is missing", `add provider: one of ${providerNames.join(', ')}`)
    return undefined
  }
  if (!providerNames.some((name) => name === provider)) {
    reader.wrong('provider', `unknown provider '${provider}'`, didYouMean(provider, providerNames))
    return undefined
  }
  return provider
}

const readAddresses = (reader: StageReader, source: Mapping, path: string, findings: Findings): readonly string[] => {
  const list = source['ip_address_list']
  if (!Array.isArray(list)) return []
  const seen = new Set<string>()
  const addresses: string[] = []
  list.forEach((item: unknown, index) => {
    const text = String(item)
    const parsed = parseNetwork4(text)
    if (!parsed.ok || text.includes('/')) {
      findings.problem(valueAt(list, index), `${path}.ip_address_list[${index}]`, `${describe(item)} is not an IPv4 address`, 'write it as 192.168.0.4')
    } else if (seen.has(text)) {
      findings.problem(
        valueAt(list, index),
        `${path}.ip_address_list[${index}]`,
        `the address ${text} is listed twice`,
        'give every host an address of its own',
      )
    }
    seen.add(text)
    addresses.push(text)
  })
  if (list.length === 0) reader.wrong('ip_address_list', 'the list is empty', 'list one address a host, or remove ip_address_list')
  return addresses
}

const readSubnets = (source: Mapping, path: string, findings: Findings): readonly SubnetDefinition[] => {
  const list = source['subnets']
  if (!Array.isArray(list)) return []
  const subnets: SubnetDefinition[] = []
  list.forEach((item: unknown, index) => {
    const itemPath = `${path}.subnets[${index}]`
    if (!isMapping(item)) {
      findings.problem(valueAt(list, index), itemPath, `a subnet must be a mapping, but is ${describe(item)}`, 'write {cidr: …, name: …, available_zone: …}')
      return
    }
    checkKeys(item, ['cidr', 'name', 'available_zone'], itemPath, findings)
    const cidr = item['cidr']
    if (typeof cidr !== 'string') {
      findings.problem(valueAt(item, 'cidr'), itemPath, "the key 'cidr' is missing", 'add cidr: the subnet, as 192.168.0.0/26')
      return
    }
    const parsed = parseNetwork4(cidr)
    if (!parsed.ok) {
      findings.problem(valueAt(item, 'cidr'), `${itemPath}.cidr`, parsed.message, parsed.instead)
      return
    }
    const name = item['name']
    const zone = item['available_zone']
    subnets.push({
      source: item,
      network: parsed.value,
      name: name === undefined || name === null ? undefined : String(name),
      zone: zone === undefined || zone === null ? undefined : String(zone),
    })
  })
  return subnets
}

export const isStageName = (text: unknown): text is StageName => stageNames.some((name) => name === text)
