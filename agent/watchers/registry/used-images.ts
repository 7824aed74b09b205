/** What the site's services run, and what docker would take them back to, as any manager of the swarm tells. */
import { ServiceServiceService } from '#gen/hive/v1/docker.ts'
import type { RegistryManager } from '#gen/hive/v1/steps_registry.ts'
import { HiveError } from '../../../proto/errors.ts'
import { askPeer } from '../../adapters/peer.ts'

/** Throws HiveError 'unreachable' where no manager answers: what is in use is not known then. */
export async function imagesOfServices(managers: readonly RegistryManager[], pkiDir: string, signal: AbortSignal): Promise<readonly string[]> {
  let cause: unknown
  for (const manager of managers) {
    try {
      const { services } = await askPeer(manager, pkiDir, ServiceServiceService.list, {}, { signal })
      return services.flatMap(({ image, previousImage }) => [image, previousImage]).filter((image) => image !== '')
    } catch (error) {
      if (signal.aborted) throw error
      cause ??= error
    }
  }
  throw new HiveError('unreachable', 'no manager of the swarm tells what services run, so that nothing can be taken away', {
    hint: managers.length === 0 ? '`hivecoord setup-hosts` tells this host who they are' : `asked: ${managers.map(({ host }) => host).join(', ')}`,
    cause,
  })
}
