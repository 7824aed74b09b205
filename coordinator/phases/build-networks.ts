/** build-networks: the overlay networks of the site, made once, by the first hive host. */
import type { Network } from '../inventory/site.ts'
import { type Phase, step } from './phase.ts'

export const buildNetworks: Phase = {
  name: 'build-networks',
  steps({ site, limit }) {
    const manager = site.hosts.find((host) => host.isFirstHive)
    if (manager === undefined || limit.hosts?.has(manager.name) === false) return { steps: [], blobs: new Map(), notices: [] }
    const steps = site.networks.map((network) =>
      step('build-networks', network.name, manager.name, `network ${network.name}`, 'ensureNetwork', toSpec(network)),
    )
    return { steps, blobs: new Map(), notices: [] }
  },
}

/** `subnet` and `gateway` are the first of `ipam`, or stand alone where the site's internal addresses decide. */
function toSpec(network: Network) {
  const explicit = network.ipam.map((entry) => ({ subnet: entry.subnet ?? '', gateway: entry.gateway ?? '', ipRange: entry.ipRange ?? '' }))
  const given = network.subnet === undefined ? [] : [{ subnet: network.subnet, gateway: network.gateway ?? '', ipRange: '' }]
  return {
    name: network.name,
    driver: 'overlay',
    attachable: network.attachable,
    ingress: false,
    ipam: explicit.length > 0 ? explicit : given,
    ipamDriver: network.ipamDriver ?? '',
    options: { ...network.driverOptions },
    ipamOptions: { ...network.ipamOptions },
    ipv6: false,
    hostLocal: false,
  }
}
