/** Docker networks: what is asked for against what is there. */
import type { EnsureNetwork } from '#gen/hive/v1/steps_docker.ts'
import { dockerDelete, dockerGet, dockerPost, orUndefined } from '../docker.ts'
import type { Ipam, Network, Service } from './api-types.ts'

export const inspectNetwork = (idOrName: string, signal: AbortSignal): Promise<Network | undefined> =>
  orUndefined(dockerGet<Network>(`/networks/${encodeURIComponent(idOrName)}`, { signal }))

export const removeNetwork = (idOrName: string, signal: AbortSignal): Promise<unknown> =>
  orUndefined(dockerDelete(`/networks/${encodeURIComponent(idOrName)}`, { signal }))

export const createNetwork = (spec: EnsureNetwork, signal: AbortSignal): Promise<unknown> => dockerPost('/networks/create', { body: networkBody(spec), signal })

/** The body of docker's create request. */
export function networkBody(spec: EnsureNetwork): Record<string, unknown> {
  const config = spec.ipam.map((entry) => ({
    ...(entry.subnet === '' ? {} : { Subnet: entry.subnet }),
    ...(entry.gateway === '' ? {} : { Gateway: entry.gateway }),
    ...(entry.ipRange === '' ? {} : { IPRange: entry.ipRange }),
  }))
  return {
    Name: spec.name,
    CheckDuplicate: true,
    Driver: spec.driver,
    Attachable: spec.attachable,
    Ingress: spec.ingress,
    EnableIPv6: spec.ipv6,
    Options: spec.options,
    IPAM: {
      Driver: spec.ipamDriver === '' ? 'default' : spec.ipamDriver,
      ...(config.length === 0 ? {} : { Config: config }),
      ...(Object.keys(spec.ipamOptions).length === 0 ? {} : { Options: spec.ipamOptions }),
    },
  }
}

export interface Difference {
  readonly what: string
  readonly before: string
  readonly after: string
}

/**
 * Where the network is not as asked for. What is not asked for (an address range, an option) is docker's to choose:
 * overlay networks get a subnet and a VXLAN id by themselves.
 */
export function networkDifferences(spec: EnsureNetwork, network: Network): Difference[] {
  const found: Difference[] = []
  const compare = (what: string, before: string, after: string): void => {
    if (before !== after) found.push({ what, before, after })
  }
  compare('driver', network.Driver, spec.driver)
  compare('attachable', String(network.Attachable ?? false), String(spec.attachable))
  compare('ingress', String(network.Ingress ?? false), String(spec.ingress))
  compare('ipv6', String(network.EnableIPv6 ?? false), String(spec.ipv6))
  if (spec.ipamDriver !== '') compare('ipam driver', network.IPAM?.Driver ?? 'default', spec.ipamDriver)
  if (spec.ipam.length > 0) {
    const wanted = spec.ipam.map((entry) => ({ Subnet: entry.subnet, Gateway: entry.gateway, IPRange: entry.ipRange }))
    // A part that is left open takes docker's own value for the same subnet.
    const actual = network.IPAM?.Config ?? []
    const closed = wanted.map((entry) =>
      closeWith(
        entry,
        actual.find((other) => other.Subnet === entry.Subnet),
      ),
    )
    compare('addresses', describeIpam(actual), describeIpam(closed))
  }
  for (const [option, value] of Object.entries(spec.options)) compare(`option ${option}`, network.Options?.[option] ?? '', value)
  for (const [option, value] of Object.entries(spec.ipamOptions)) compare(`ipam option ${option}`, network.IPAM?.Options?.[option] ?? '', value)
  return found
}

const closeWith = (wanted: Ipam, actual: Ipam | undefined): Ipam => ({
  Subnet: wanted.Subnet ?? '',
  Gateway: wanted.Gateway || (actual?.Gateway ?? ''),
  IPRange: wanted.IPRange || (actual?.IPRange ?? ''),
})

const describeIpam = (config: readonly Ipam[]): string =>
  config
    .map((entry) => [entry.Subnet, entry.Gateway && `gateway ${entry.Gateway}`, entry.IPRange && `range ${entry.IPRange}`].filter(Boolean).join(' '))
    .sort()
    .join(', ')

/** Names of the services whose tasks are attached to the network. */
export const servicesOn = (network: Network, services: readonly Service[]): string[] =>
  services
    .filter((service) =>
      [...(service.Spec.TaskTemplate.Networks ?? []), ...(service.Spec.Networks ?? [])].some(({ Target }) => Target === network.Id || Target === network.Name),
    )
    .map((service) => service.Spec.Name)
    .sort()

/** Names of the services that publish ports through the routing mesh. */
export const servicesOnIngress = (services: readonly Service[]): string[] =>
  services
    .filter((service) => (service.Spec.EndpointSpec?.Ports ?? []).some((port) => (port.PublishMode ?? 'ingress') === 'ingress'))
    .map((service) => service.Spec.Name)
    .sort()
