/** What the agent beside the registry needs to keep it tidy. */
import type { Step } from '#gen/hive/v1/step.ts'
import { siteArchives } from '../../ansible/archives.ts'
import { namedReferences } from '../../images/named-references.ts'
import type { Host, Site } from '../../inventory/site.ts'
import { managersOf } from '../swarm-role.ts'
import { hostStep } from './host-step.ts'

/** Throws as siteArchives does. */
export async function registryUpkeep(site: Site, host: Host): Promise<Step> {
  const { registry, hosts } = site
  const server = `${registry.host}:${registry.port}`
  const archived = (await siteArchives(site)).flatMap(({ references }) => references)
  const paths = archived.map(({ registryReference }) => registryReference.slice(server.length + 1, registryReference.lastIndexOf(':')))
  const managers = managersOf(hosts).flatMap((name) => hosts.filter((candidate) => candidate.name === name))
  const value = {
    server,
    user: registry.user,
    password: registry.password,
    at: registry.upkeepAt ?? '',
    keep: registry.keep,
    used: [...namedReferences(site)],
    repositories: [...new Set(paths)].sort(),
    managers: managers.map(({ name, address, settings }) => ({ host: name, address, port: settings.agentPort })),
  }
  return hostStep(host, 'registry-upkeep', 'upkeep of the registry', 'ensureRegistryUpkeep', value, { after: ['registry'] })
}
