/** Docker networks as this host sees them. */
import { type ListNetworksResponse, NetworkServiceService } from '#gen/hive/v1/docker.ts'
import { HiveError } from '../../../proto/errors.ts'
import type { Network } from '../../adapters/docker/api-types.ts'
import { inspectNetwork, removeNetwork } from '../../adapters/docker/networks.ts'
import { dockerGet } from '../../adapters/docker.ts'
import type { ServerContext } from '../context.ts'
import { type ServiceRegistration, service } from '../service.ts'

export const networkService = (context: ServerContext, healthy: (signal: AbortSignal) => Promise<boolean>): ServiceRegistration =>
  service(
    NetworkServiceService,
    {
      list: (_request, { signal }) => listNetworks(signal),

      ensure: (request, { signal }) => context.operate({ spec: { kind: { $case: 'ensureNetwork', value: request } } }, signal),

      async remove({ name }, { signal }) {
        const found = await inspectNetwork(name, signal)
        if (found === undefined) return { changed: false, reason: 'does not exist' }
        if (found.Ingress === true)
          throw new HiveError('blocked', `${name} carries the ports of all services`, { hint: 'ensure another ingress network instead' })
        await removeNetwork(found.Id, signal)
        return { changed: true, reason: 'removed' }
      },
    },
    healthy,
  )

export async function listNetworks(signal: AbortSignal): Promise<ListNetworksResponse> {
  const networks = await dockerGet<readonly Network[]>('/networks', { signal })
  return {
    networks: networks.map((network) => ({
      id: network.Id,
      name: network.Name,
      driver: network.Driver,
      scope: network.Scope,
      attachable: network.Attachable ?? false,
      ingress: network.Ingress ?? false,
      ipam: (network.IPAM?.Config ?? []).map((entry) => ({ subnet: entry.Subnet ?? '', gateway: entry.Gateway ?? '', ipRange: entry.IPRange ?? '' })),
      labels: { ...network.Labels },
    })),
  }
}
