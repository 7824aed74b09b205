/** A plain container of this host runs as asked for. */
import type { EnsureContainer } from '#gen/hive/v1/steps_repository.ts'
import { HiveError } from '../../proto/errors.ts'
import { forgetOtherTags } from '../adapters/ansible/images.ts'
import { bringImage } from '../adapters/docker/bring-image.ts'
import { inspectImage, parseReference } from '../adapters/docker/images.ts'
import { awaitReady, differingParts, findContainer, makeNetwork, networkFits, startContainer } from '../adapters/docker/plain-container.ts'
import { type CheckOutcome, change, type Executor, ok, type StepContext } from './executor.ts'

export const ensureContainer: Executor<EnsureContainer> = {
  // Containers of one network come one after the other, so that a network that is made anew is so once.
  exclusive: (spec) => (spec.network === undefined ? `container ${spec.name}` : `containers on ${spec.network.name}`),

  check: (spec, context) => compare(spec, context),

  async apply(spec, context) {
    const { signal } = context
    const { image } = spec
    if (image === undefined) throw new HiveError('invalid-input', `the container ${spec.name} has no image`)
    if ((await inspectImage(image.reference, signal)) === undefined) {
      const { rootFilesystem, sourceReference, blobSha256 } = image
      const archive = blobSha256 === '' ? undefined : { path: await context.blobPath(blobSha256), rootFilesystem, sourceReference }
      await bringImage({ reference: image.reference, auth: image.auth, archive }, signal, (line) => context.log(line))
    }
    await makeNetwork(spec, signal, (line) => context.log(line))
    if ((await whyAnew(spec, context)).length > 0) await startContainer(spec, signal)
    await awaitReady(spec, signal)
    if (image.blobSha256 !== '') {
      const { repository, tag } = parseReference(image.reference)
      await forgetOtherTags(repository, tag, signal)
    }
  },
}

async function compare(spec: EnsureContainer, context: StepContext): Promise<CheckOutcome> {
  try {
    const reasons = await whyAnew(spec, context)
    if (reasons.length === 0) return ok
    const container = await findContainer(spec.name, context.signal)
    return change(reasons.join('; '), container === undefined ? '' : container.running ? 'runs' : 'does not run', spec.image?.reference ?? '')
  } catch (thrown) {
    if (thrown instanceof HiveError && thrown.code === 'unreachable') return change('docker does not run yet', '', spec.image?.reference ?? '')
    throw thrown
  }
}

/** Empty where the container is as it should be. */
async function whyAnew(spec: EnsureContainer, { signal }: StepContext): Promise<readonly string[]> {
  const reasons: string[] = []
  const [container, image] = await Promise.all([findContainer(spec.name, signal), inspectImage(spec.image?.reference ?? '', signal)])
  if (image === undefined) reasons.push(`the image ${spec.image?.reference} is not on this host`)
  if (!(await networkFits(spec, signal))) reasons.push(`the network ${spec.network?.name} is missing or another one`)
  if (container === undefined) return [...reasons, 'there is no such container']
  if (!container.running) reasons.push(`it does not run (${container.ended})`)
  const parts = differingParts(spec, container)
  if (parts.length > 0) reasons.push(`it was made with other ${parts.join(', ')}`)
  else if (image !== undefined && container.imageId !== image.Id) reasons.push('its image is another one now')
  if (spec.network !== undefined && !container.networks.includes(spec.network.name)) reasons.push(`it is not on the network ${spec.network.name}`)
  return reasons
}
