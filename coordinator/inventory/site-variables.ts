import { resolve } from 'node:path'
import { type Allocations, portKey } from './allocations.ts'
import { type BuiltInContext, derivedVariables, extraVariables } from './built-in-variables.ts'
import { serviceVariables } from './definitions.ts'
import { byStrength, type Groups, groupsOfMembers } from './groups.ts'
import { motherName, motherVariables } from './hosts.ts'
import { makeLookup } from './lookups.ts'
import type { Mapping } from './mapping.ts'
import { mountVariables } from './mounts.ts'
import { portVariable } from './port-definition.ts'
import type { AssembleInput, Definitions } from './read-definitions.ts'
import { imageName, imageVariables, networkVariables, volumeName, volumeVariables } from './resolve-resources.ts'
import { isStageName } from './stages.ts'
import { Variables } from './variables.ts'
import { adoptPlace } from './yaml-source.ts'

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

/** Puts the variables of every host and pseudo-host in layers, from what hive derives to what its command line says. */
export const makeVariables = (input: AssembleInput, definitions: Definitions, groups: Groups, allocations: Allocations, builtIn: BuiltInContext): Variables => {
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
    needSecrets: input.needSecrets,
    newPassword: input.newPassword,
    notice: (text) => input.findings.notice(text),
  })
  return new Variables(groups.get('all') ?? [], layers, lookup, (text) => input.findings.notice(text))
}
