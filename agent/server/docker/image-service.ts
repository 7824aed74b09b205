/** Images of this host's docker. */
import { ImageServiceService, type ListImagesResponse } from '#gen/hive/v1/docker.ts'
import type { Image } from '../../adapters/docker/api-types.ts'
import { inspectImage, resolveDigest } from '../../adapters/docker/images.ts'
import { dockerDelete, dockerGet } from '../../adapters/docker.ts'
import type { ServerContext } from '../context.ts'
import { type ServiceRegistration, service } from '../service.ts'

/** Registries far away may be slow, milliseconds. */
const resolveTimeout = 30_000

export const imageService = (context: ServerContext, healthy: (signal: AbortSignal) => Promise<boolean>): ServiceRegistration =>
  service(
    ImageServiceService,
    {
      list: (_request, { signal }) => listImages(signal),

      ensure: (request, { signal }) => context.operate({ spec: { kind: { $case: 'ensureImage', value: request } } }, signal),

      async remove({ name }, { signal }) {
        if ((await inspectImage(name, signal)) === undefined) return { changed: false, reason: 'is not here' }
        await dockerDelete(`/images/${name}`, { signal })
        return { changed: true, reason: 'removed' }
      },

      async resolve({ reference, auth }, { signal }) {
        return { digest: await resolveDigest(reference, auth, { signal, timeout: resolveTimeout }) }
      },
    },
    healthy,
  )

export async function listImages(signal: AbortSignal): Promise<ListImagesResponse> {
  const images = await dockerGet<readonly Image[]>('/images/json', { signal })
  return {
    images: images.map((image) => ({
      id: image.Id,
      tags: [...(image.RepoTags ?? [])],
      digests: [...(image.RepoDigests ?? [])],
      size: BigInt(image.Size),
      created: new Date(Number(image.Created) * 1000),
    })),
  }
}
