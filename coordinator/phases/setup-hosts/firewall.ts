/** What hosts let in from where, as far as a site has an opinion on it; the rules themselves are made on the host. */
import type { Step } from '#gen/hive/v1/step.ts'
import type { ClusterPorts, EnsureFirewall } from '#gen/hive/v1/steps_network.ts'
import type { Host, Site } from '../../inventory/site.ts'
import { hostStep } from './host-step.ts'

/** Published ports from here on are internal, as hive-builder's rules for clouds have it. */
export const internalFrom = 10_000

/** After docker, whose chains it is called from, and after the users, one of whom could log in by then; before others join the swarm here. */
export function firewall(site: Site, host: Host): Step {
  const { firewall: wanted } = host.settings
  const title = wanted ? "ports of the cluster are the site's own" : 'no firewall of hivecoord'
  return hostStep(host, 'firewall', title, 'ensureFirewall', wanted ? rulesFor(site, host) : none, { after: ['packages', 'users', 'sshd', 'docker'] })
}

const none: EnsureFirewall = {
  absent: true,
  hosts: [],
  internal: [],
  sshPort: 0,
  sshSources: [],
  agentPort: 0,
  agentSources: [],
  cluster: [],
  internalFrom: 0,
  published: [],
}

const rulesFor = (site: Site, host: Host): EnsureFirewall => ({
  absent: false,
  hosts: site.hosts.map(({ address }) => address),
  internal: [site.cidr],
  sshPort: host.settings.sshdPort,
  sshSources: [...host.settings.sshSources],
  agentPort: host.settings.agentPort,
  agentSources: [...host.settings.agentSources],
  cluster: [...(host.isHive ? hivePorts : []), ...(host.isRepository ? logPorts(site) : [])],
  internalFrom,
  published: host.isHive ? publishedPorts(site) : [],
})

const hivePorts: readonly ClusterPorts[] = [
  { name: 'swarm', protocol: 'tcp', ports: ['2377', '7946'] },
  { name: 'swarm', protocol: 'udp', ports: ['4789', '7946'] },
  { name: 'drbd', protocol: 'tcp', ports: ['7000:7999'] },
]

const logPorts = ({ logs }: Site): readonly ClusterPorts[] => [
  { name: 'logs', protocol: 'tcp', ports: [String(logs.port), String(logs.relayPort)] },
  { name: 'logs', protocol: 'udp', ports: [String(logs.port)] },
]

const publishedPorts = (site: Site): string[] =>
  [
    ...new Set(
      site.services
        .filter(({ stages }) => stages.includes(site.stage))
        .flatMap(({ ports }) => ports)
        .filter(({ published }) => published >= internalFrom)
        .map(({ protocol, published }) => `${protocol} ${published}`),
    ),
  ].sort()
