/** The image is in this host's docker under its reference, at its digest when one is given. */
import type { EnsureImage } from '#gen/hive/v1/steps_docker.ts'
import { HiveError } from '../../proto/errors.ts'
import { hasDigest, inspectImage, parseReference, pullImage, tagImage } from '../adapters/docker/images.ts'
import { change, type Executor, ok } from './executor.ts'

export const ensureImage: Executor<EnsureImage> = {
  exclusive: (spec) => `image ${spec.reference}`,

  async check(spec, context) {
    const image = await inspectImage(spec.reference, context.signal)
    if (image === undefined) return change('is not on this host', '', spec.digest)
    const { repository } = parseReference(spec.reference)
    if (spec.digest === '' || hasDigest(image, repository, spec.digest)) return ok
    return change('is at another version', (image.RepoDigests ?? [])[0]?.replace(/^.*@/, '') ?? image.Id, spec.digest)
  },

  async apply(spec, context) {
    const { signal } = context
    const wanted = parseReference(spec.reference)
    const digest = spec.digest === '' ? wanted.digest : spec.digest
    const byDigest = `${wanted.repository}@${digest}`
    // The right content may be here already, under its digest only.
    if (digest === '' || (await inspectImage(byDigest, signal)) === undefined) {
      context.log(`pulling ${digest === '' ? spec.reference : byDigest}`)
      const onProgress = (done: number, total: number): void => context.progress(spec.reference, done, total, 'bytes')
      await pullImage({ ...wanted, digest }, { auth: spec.auth, signal, onProgress })
    }
    if (digest !== '' && wanted.tag !== '') await tagImage(byDigest, wanted, signal)
    if ((await inspectImage(spec.reference, signal)) === undefined)
      throw new HiveError('not-converged', `${spec.reference} was pulled, but docker does not have it`)
  },
}
