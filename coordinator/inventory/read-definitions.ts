import type { Allocations } from './allocations.ts'
import { checkAwsStage } from './aws-stage.ts'
import { type NetworkDefinition, readServices, type ServiceDefinition } from './definitions.ts'
import { type PlannedHost, planHosts } from './hosts.ts'
import { describe, isMapping, type Mapping } from './mapping.ts'
import type { Findings } from './problems.ts'
import { collectVolumes, defaultNetworkName, type VolumeDefinition } from './resolve-resources.ts'
import type { Settings } from './settings.ts'
import { type StageName, stageNames } from './site.ts'
import type { Sources } from './sources.ts'
import { isStageName, readStage, type StageDefinition } from './stages.ts'
import { didYouMean } from './suggest.ts'
import { emptyAt, keyAt, startOf, valueAt } from './yaml-source.ts'
import type { StageSecret } from './zabbix.ts'

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
  readonly stageSecret: StageSecret
  readonly runCommands: boolean
  readonly needSecrets: boolean
  readonly newPassword: (path: string) => void
  readonly findings: Findings
}

/** Everything of the definition files, before any variable is rendered. */
export interface Definitions {
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

/** Reads the hive definition and the services; undefined when the stage at hand can't be known. Mistakes go to the input's findings. */
export const readDefinitions = (input: AssembleInput, sources: Sources): Definitions | undefined => {
  const { findings } = input
  const services = new Map<string, ServiceDefinition>()
  const networks = new Map<string, NetworkDefinition>()
  for (const source of sources.services) readServices(source.file, source.content, services, networks, findings)
  if (!networks.has(defaultNetworkName) && sources.services.length > 0) {
    networks.set(defaultNetworkName, {
      name: defaultNetworkName,
      file: sources.services[0]?.file ?? '',
      path: `networks.${defaultNetworkName}`,
      source: emptyAt({ file: sources.services[0]?.file ?? '', line: 1, column: 1 }),
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
  if (current.provider === 'aws') checkAwsStage(current, sources, findings)
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
    return readStage(name, body, siteName, findings)
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
