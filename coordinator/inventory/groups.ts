import type { NetworkDefinition, ServiceDefinition } from './definitions.ts'
import { motherName, type PlannedHost } from './hosts.ts'
import { imageName, type VolumeDefinition, volumeName } from './resolve-resources.ts'
import { type StageName, stageNames } from './site.ts'

export type Groups = ReadonlyMap<string, readonly string[]>

/** How deep a group lies in the tree: variables of deeper groups win. */
const depths: Readonly<Record<string, number>> = { all: 0, hosts: 1, servers: 2, mother: 2, hives: 3, repository: 3 }

/** Groups from the weakest to the strongest, as Ansible orders them: depth, then name. */
export const byStrength = (groups: readonly string[]): readonly string[] =>
  [...groups].sort((a, b) => (depths[a] ?? 1) - (depths[b] ?? 1) || (a < b ? -1 : a > b ? 1 : 0))

/** The groups of hive-builder's plugins, with the hosts and pseudo-hosts of all stages. */
export const makeGroups = (
  hosts: readonly PlannedHost[],
  stages: readonly StageName[],
  siteName: string,
  services: readonly ServiceDefinition[],
  networks: readonly NetworkDefinition[],
  volumes: Iterable<VolumeDefinition>,
): Groups => {
  const groups = new Map<string, string[]>()
  const add = (name: string, ...to: readonly string[]): void => {
    for (const group of ['all', ...to]) {
      const members = groups.get(group) ?? []
      if (!members.includes(name)) members.push(name)
      groups.set(group, members)
    }
  }
  for (const name of ['all', ...stageNames, 'hives', 'repository', 'servers', 'mother', 'hosts', 'first_hive']) groups.set(name, [])
  for (const name of ['services', 'images', 'volumes', 'drbd_volumes', 'nfs_volumes', 'networks']) groups.set(name, [])
  for (const host of hosts) {
    const roles = [...(host.isHive ? ['hives'] : []), ...(host.isRepository ? ['repository'] : []), ...(host.isFirstHive ? ['first_hive'] : [])]
    add(host.name, host.stage, 'servers', 'hosts', ...roles)
  }
  for (const stage of stages) add(motherName(stage, siteName), stage, 'mother', 'hosts')
  for (const service of services) {
    add(service.name, 'services', ...service.stages)
    if (service.image?.kind === 'built') add(imageName(service.name), 'images', ...service.stages)
  }
  for (const volume of volumes) {
    const group = { drbd: 'drbd_volumes', nfs: 'nfs_volumes', driver: 'volumes' }[volume.kind]
    add(volumeName(volume.name), group, ...volume.stages)
  }
  for (const network of networks) add(network.name, 'networks', ...network.stages)
  return groups
}

/** Group names of every member, without `all`, in the order of their names. */
export const groupsOfMembers = (groups: Groups): ReadonlyMap<string, readonly string[]> => {
  const names = new Map<string, string[]>()
  for (const [group, members] of groups) {
    if (group === 'all') continue
    for (const member of members) {
      const known = names.get(member)
      if (known === undefined) names.set(member, [group])
      else known.push(group)
    }
  }
  for (const list of names.values()) list.sort()
  return names
}
