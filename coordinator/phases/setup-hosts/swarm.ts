/** The swarm of all hive hosts, one after the other, with the networks it needs of itself. */
import type { Step } from '#gen/hive/v1/step.ts'
import { Disruption } from '#gen/hive/v1/step.ts'
import type { EnsureNetwork } from '#gen/hive/v1/steps_docker.ts'
import type { Host, Site } from '../../inventory/site.ts'
import { swarmRole } from '../swarm-role.ts'
import { hostStep, idOf } from './host-step.ts'

const managementPort = 2377

/** Docker makes this network at the first join with addresses of its own choice: it must be there before. */
export const gatewayBridge = (site: Site, host: Host): Step => {
  const wanted = site.dockerNetworks.gwbridge
  const subnets = [wanted?.subnet, wanted?.subnetV6].filter((subnet) => subnet !== undefined)
  const value = network('docker_gwbridge', {
    driver: 'bridge',
    hostLocal: true,
    ipam: subnets.map((subnet) => ({ subnet, gateway: '', ipRange: '' })),
    ipv6: wanted?.subnetV6 !== undefined,
    options: {
      'com.docker.network.bridge.name': 'docker_gwbridge',
      'com.docker.network.bridge.enable_icc': 'false',
      'com.docker.network.bridge.enable_ip_masquerade': 'true',
    },
  })
  return hostStep(host, 'gateway-bridge', 'network docker_gwbridge', 'ensureNetwork', value, { after: ['docker'] })
}

/**
 * The first hive makes the swarm, unless another manager has it; the others join it at those that come before them.
 * `previous`: hive hosts before this one in the inventory.
 */
export const swarmMember = (site: Site, host: Host, previous: readonly Host[]): Step => {
  const managers = site.hosts.filter((other) => other.isHive && other.name !== host.name && swarmRole(other) === 'manager')
  const reachedAt = host.isFirstHive ? managers : managers.filter((other) => other.isFirstHive || previous.includes(other))
  const value = {
    advertiseAddress: host.address,
    init: host.isFirstHive,
    role: swarmRole(host),
    remoteAddresses: reachedAt.map((other) => `${other.address}:${managementPort}`),
    joinToken: '',
    dataPathPort: 0,
  }
  const title = host.isFirstHive ? 'the swarm' : `member of the swarm (${value.role})`
  // A new host gets in where the firewalls of the others know it.
  const needs = previous.flatMap((other) => [idOf('swarm', other), idOf('ingress', other), idOf('firewall', other)])
  return hostStep(host, 'swarm', title, 'ensureSwarmMember', value, { after: ['docker', 'gateway-bridge'], needs })
}

/** Before the others join, while no service can use the old one. */
export const ingress = (site: Site, host: Host): Step => {
  const wanted = site.dockerNetworks.ingress
  const value = network('apiarist-ingress', {
    driver: 'overlay',
    ingress: true,
    ipam: wanted === undefined ? [] : [{ subnet: wanted.subnet, gateway: wanted.gateway, ipRange: '' }],
  })
  return hostStep(host, 'ingress', 'network apiarist-ingress', 'ensureNetwork', value, { after: ['swarm'], disruption: Disruption.RESTART })
}

/** Ansible's groups as labels, for placement constraints. Set by one manager for all. */
export const nodeLabels = (manager: Host, hives: readonly Host[]): Step => {
  const nodes = hives.map((hive) => ({ node: hive.shortName, labels: Object.fromEntries([...hive.groups].sort().map((group) => [group, 'true'])) }))
  return hostStep(manager, 'labels', "labels of the swarm's nodes", 'ensureNodeLabels', { nodes }, { needs: hives.map((hive) => idOf('swarm', hive)) })
}

/** Who of these sets labels: the first hive, or where it is not among them another manager. */
export const labelling = (hives: readonly Host[]): Host | undefined =>
  hives.find((hive) => hive.isFirstHive) ?? hives.find((hive) => swarmRole(hive) === 'manager')

const network = (name: string, given: Partial<EnsureNetwork>): EnsureNetwork => ({
  name,
  driver: '',
  attachable: false,
  ingress: false,
  ipam: [],
  ipamDriver: '',
  options: {},
  ipamOptions: {},
  ipv6: false,
  hostLocal: false,
  ...given,
})
