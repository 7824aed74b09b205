/** A base image that the site ships as an archive is in the site's registry, under its own tag and one of its content. */
import type { EnsureArchivedImage } from '#gen/hive/v1/steps_docker.ts'
import { HiveError } from '../../proto/errors.ts'
import { importRootFilesystem, loadArchive, pushImage, untagImage } from '../adapters/ansible/images.ts'
import { copyTag, manifestDigest } from '../adapters/ansible/registry.ts'
import { inspectImage, parseReference, tagImage } from '../adapters/docker/images.ts'
import { type CheckOutcome, change, type Executor, ok, type StepContext } from './executor.ts'

export const ensureArchivedImage: Executor<EnsureArchivedImage> = {
  // Loading the same archive twice at once only costs disk and time.
  exclusive: (spec) => `archive-${spec.blobSha256}`,

  check: (spec, context) => compare(spec, context),

  async apply(spec, context) {
    const { repository, tag } = parseReference(spec.reference)
    if ((await manifestDigest(repository, spec.contentTag, spec.auth, context.signal)) === undefined) await ship(spec, repository, context)
    await copyTag(repository, spec.contentTag, tag, spec.auth, context.signal)
  },

  verify: (spec, context) => compare(spec, context),
}

async function compare(spec: EnsureArchivedImage, { signal }: StepContext): Promise<CheckOutcome> {
  const { repository, tag } = parseReference(spec.reference)
  try {
    const [content, named] = await Promise.all([
      manifestDigest(repository, spec.contentTag, spec.auth, signal),
      manifestDigest(repository, tag, spec.auth, signal),
    ])
    if (content === undefined) return change('this archive is not in the registry yet', named === undefined ? 'no image' : 'another image', spec.name)
    if (named !== content) return change(`${tag} is another image`, named?.slice(0, 19) ?? 'no image', spec.name)
    return ok
  } catch (thrown) {
    if (thrown instanceof HiveError && thrown.code === 'unreachable') return change('the registry does not answer yet', 'unknown', spec.name)
    throw thrown
  }
}

async function ship(spec: EnsureArchivedImage, repository: string, context: StepContext): Promise<void> {
  const { signal } = context
  const log = (line: string): void => context.log(line)
  const path = await context.blobPath(spec.blobSha256)
  const contentReference = `${repository}:${spec.contentTag}`
  log(`loading ${spec.name} (${Math.round(Number(spec.size) / 1e6)} MB)`)
  if (spec.rootFilesystem) await importRootFilesystem(path, contentReference, signal, log)
  else {
    await loadArchive(path, signal, log)
    const source = await inspectImage(spec.sourceReference, signal)
    if (source === undefined) throw new HiveError('invalid-input', `${spec.name} holds no image ${spec.sourceReference}`)
    await tagImage(source.Id, { repository, tag: spec.contentTag }, signal)
  }
  log(`pushing ${contentReference}`)
  await pushImage(repository, spec.contentTag, spec.auth, signal, log)
  // A build pulls it by its content tag, and finds it here already; the other name is only the archive's.
  if (!spec.rootFilesystem && parseReference(spec.sourceReference).repository !== repository) await untagImage(spec.sourceReference, signal)
}
