/** The registry of this host: what it has, and taking away what is old. */
import { type PrunedManifest, type RegistryManifest, RegistryServiceService } from '#gen/hive/v1/registry.ts'
import type { StoredManifest } from '../adapters/registry/storage.ts'
import type { RegistryUpkeep } from '../watchers/registry-upkeep.ts'
import { type ServiceRegistration, service } from './service.ts'

export const registryService = (upkeep: RegistryUpkeep): ServiceRegistration =>
  service(RegistryServiceService, {
    list: async ({ tagsOnly }) => {
      if (tagsOnly) return { manifests: (await upkeep.tags()).map(withTagsAlone), usage: undefined }
      const { storage, usage } = await upkeep.look()
      return { manifests: storage.manifests.map(toMessage), usage }
    },
    usage: async () => (await upkeep.look()).usage,
    async prune({ keep, used, dryRun }, { signal }) {
      const { verdicts, freedBytes } = await upkeep.prune({ keep, used, dryRun }, signal)
      const manifests = verdicts.map(({ manifest, removed, why }): PrunedManifest => ({ manifest: toMessage(manifest), removed, why }))
      return { manifests, freedBytes: BigInt(freedBytes) }
    },
    collectGarbage: async (_request, { signal }) => ({ freedBytes: BigInt(await upkeep.collectGarbage(signal)) }),
  })

const withTagsAlone = ({ repository, digest, tags }: Pick<StoredManifest, 'repository' | 'digest' | 'tags'>): RegistryManifest => ({
  repository,
  digest,
  tags: [...tags],
  size: 0n,
  built: undefined,
  pushed: undefined,
  children: [],
})

const toMessage = ({ repository, digest, tags, size, built, pushed, children }: StoredManifest): RegistryManifest => ({
  repository,
  digest,
  tags: [...tags].sort(),
  size: BigInt(size),
  built,
  pushed,
  children: [...children],
})
