/** setup-hosts: from a host with an agent to a member of the site. */
import type { Step } from '#gen/hive/v1/step.ts'
import { hookSteps } from '../ansible/host-roles.ts'
import { mirrorsHere } from '../inventory/mirrored-volumes.ts'
import type { Host, Site } from '../inventory/site.ts'
import { reportTarget } from '../zabbix/zabbix-here.ts'
import type { Blob, Phase, PhaseInput, PhaseSteps } from './phase.ts'
import { sshd, users } from './setup-hosts/access.ts'
import { backups } from './setup-hosts/backups.ts'
import {
  agentTrust,
  cgroupMount,
  hostname,
  hostsFile,
  kernelSettings,
  locale,
  noAutomaticUpdates,
  noFirewalld,
  noOldFollower,
  packages,
  selinux,
  siteCertificates,
  timezone,
} from './setup-hosts/base-system.ts'
import { docker, dockerConfig } from './setup-hosts/docker.ts'
import { readFacts, type SetupHostsFacts } from './setup-hosts/facts.ts'
import { firewall } from './setup-hosts/firewall.ts'
import { idOf, phase, when } from './setup-hosts/host-step.ts'
import { logCollection } from './setup-hosts/log-collection.ts'
import { mirroring } from './setup-hosts/mirroring.ts'
import { monitoring } from './setup-hosts/monitoring.ts'
import { packageSources } from './setup-hosts/package-sources.ts'
import { registry } from './setup-hosts/registry.ts'
import { registryCache } from './setup-hosts/registry-cache.ts'
import { registryUpkeep } from './setup-hosts/registry-upkeep.ts'
import { gatewayBridge, ingress, labelling, nodeLabels, swarmMember } from './setup-hosts/swarm.ts'
import { timeServers } from './setup-hosts/time-sync.ts'
import { zabbix } from './setup-hosts/zabbix.ts'

const base = (site: Site, host: Host, facts: SetupHostsFacts): readonly Step[] => [
  agentTrust(host, facts),
  hostname(host),
  hostsFile(site, host),
  kernelSettings(host),
  selinux(host),
  noFirewalld(host),
  noAutomaticUpdates(host),
  ...when(host.isHive, noOldFollower(host)),
  ...when(host.isHive, cgroupMount(host)),
  packageSources(host),
  dockerConfig(site, host, facts),
  packages(site, host),
  siteCertificates(site, host, facts),
  ...when(host.settings.timezone !== undefined, timezone(host)),
  ...when(host.settings.locale !== undefined, locale(host)),
  ...when(host.settings.ntpServers.length > 0, ...timeServers(host)),
  users(host, facts),
  ...sshd(host),
]

/**
 * `previous`: hive hosts that are in the swarm before this one, first of all the one that makes it. Each waits until those are back
 * in the swarm before its own docker restarts.
 */
const containers = (site: Site, host: Host, previous: readonly Host[]): readonly Step[] => [
  docker(host, host.isHive ? previous.map((other) => idOf('swarm', other)) : []),
  ...when(host.isHive && site.dockerNetworks.gwbridge !== undefined, gatewayBridge(site, host)),
  ...when(host.isHive, swarmMember(site, host, previous)),
  ...when(host.isFirstHive && site.dockerNetworks.ingress !== undefined, ingress(site, host)),
]

export const setupHosts: Phase<SetupHostsFacts> = {
  name: phase,

  gather: async ({ site }) => readFacts(site),

  async steps({ site, limit, facts, reapplyRoles, allow }: PhaseInput<SetupHostsFacts>): Promise<PhaseSteps> {
    const hosts = site.hosts.filter((host) => limit.hosts?.has(host.name) !== false)
    const hives = hosts.filter((host) => host.isHive).sort((a, b) => Number(b.isFirstHive) - Number(a.isFirstHive))
    const steps: Step[] = []
    const blobs = new Map<string, readonly Blob[]>()
    const notices: string[] = []
    const target = await reportTarget(site)
    for (const host of hosts) {
      const first = base(site, host, facts)
      const addon = await hookSteps(site, phase, host, 'addon', { needs: idsOf(first), always: reapplyRoles === true })
      const mirrors = when(host.isHive && mirrorsHere(site), ...mirroring(site, host, allow))
      const store = host.isRepository ? await registry(site, host) : { steps: [], blobs: [] }
      const upkeep = host.isRepository ? [...(await registryCache(site, host)), await registryUpkeep(site, host)] : []
      const watch = host.isRepository ? await zabbix(site, host) : { steps: [], blobs: [], notices: [] }
      notices.push(...watch.notices)
      const later = [
        ...logCollection(site, host),
        ...mirrors,
        ...containers(site, host, hives.slice(0, Math.max(0, hives.indexOf(host)))),
        firewall(site, host),
        ...store.steps,
        ...upkeep,
        ...watch.steps,
        ...(await backups(site, host)),
      ]
      const labels = labelling(hives) === host ? [nodeLabels(host, hives)] : []
      const all = [...first, ...addon.steps, ...later, ...labels, monitoring(site, host, target)]
      const addon2 = await hookSteps(site, phase, host, 'addon2', { needs: idsOf(all), always: reapplyRoles === true })
      steps.push(...all, ...addon2.steps)
      blobs.set(host.name, distinct([...addon.blobs, ...store.blobs, ...watch.blobs, ...addon2.blobs]))
    }
    return { steps: withKnownNeeds(steps), blobs, notices }
  },
}

const idsOf = (steps: readonly Step[]): readonly string[] => steps.map((step) => step.id)

const distinct = (blobs: readonly Blob[]): readonly Blob[] => [...new Map(blobs.map((blob) => [blob.sha256, blob])).values()]

/** Each id once (both hooks bring Ansible along), and needs only of what is in the list. */
function withKnownNeeds(steps: readonly Step[]): Step[] {
  const byId = new Map<string, Step>()
  for (const step of steps) if (!byId.has(step.id)) byId.set(step.id, step)
  return [...byId.values()].map((step) => ({ ...step, needs: step.needs.filter((need) => byId.has(need)) }))
}
