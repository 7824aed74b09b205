/** The step by which a host gives an image back to the registry. */
import type { Step } from '#gen/hive/v1/step.ts'
import type { Site } from '../inventory/site.ts'
import { authFor } from '../phases/deploy-services/images.ts'
import { step, stepId } from '../phases/phase.ts'
import type { LostImage } from './lost-images.ts'

const phase = 'build-images'

const nameOf = ({ repository, tag }: Pick<LostImage, 'repository' | 'tag'>): string => `${repository.slice(repository.indexOf('/') + 1)}:${tag}`

/** As long as a push may take. */
const pushSeconds = 1800

export const pushStepId = (lost: LostImage): string => stepId(phase, `push-${nameOf(lost)}`, lost.host)

export function pushLostImage(lost: LostImage, site: Site): Step {
  const { host, source, repository, tag, digest } = lost
  const auth = authFor(`${repository}:${tag}`, site)
  const value = { source, repository, tag, digest, ...(auth === undefined ? {} : { auth }) }
  return step(phase, `push-${nameOf(lost)}`, host, `bring ${nameOf(lost)} back to the registry`, 'ensurePushedImage', value, { timeoutSeconds: pushSeconds })
}
