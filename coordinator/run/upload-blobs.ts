/** Brings the content that steps refer to by digest to the host that needs it, once. */
import type { Step, StepSpec } from '#gen/hive/v1/step.ts'
import { HiveError } from '../../proto/errors.ts'
import type { AgentClient } from '../client/agent-client.ts'
import type { Blob } from '../phases/phase.ts'

/** The digest that a step refers to, where it does. */
export function blobOfSpec(spec: StepSpec | undefined): string | undefined {
  switch (spec?.kind?.$case) {
    case 'ensureArchivedImage':
    case 'ensureRegistry':
      return spec.kind.value.blobSha256 || undefined
    case 'ensureContainer':
      return spec.kind.value.image?.blobSha256 || undefined
    case 'buildImage':
    case 'runRoles':
      return spec.kind.value.content?.blobSha256 || undefined
    default:
      return undefined
  }
}

/** Uploads what these steps refer to and the host does not have. `progress` is told bytes done and in all. */
export async function uploadBlobs(
  client: Pick<AgentClient, 'host' | 'blob' | 'uploadBlob'>,
  steps: readonly Step[],
  blobs: readonly Blob[],
  signal: AbortSignal,
  progress: (step: Step, done: number, total: number) => void,
): Promise<void> {
  const wanted = new Map<string, Step>()
  for (const step of steps) {
    const digest = blobOfSpec(step.spec)
    if (digest !== undefined) wanted.set(digest, step)
  }
  if (wanted.size === 0) return
  const { present } = await client.blob.has({ sha256: [...wanted.keys()] }, { signal })
  for (const [digest, step] of wanted) {
    if (present.includes(digest)) continue
    const blob = blobs.find(({ sha256 }) => sha256 === digest)
    if (blob === undefined)
      throw new HiveError('internal', `the content ${digest.slice(0, 12)} that ${step.id} refers to is not at hand`, { host: client.host, stepId: step.id })
    await client.uploadBlob(blob, { signal, sent: (done) => progress(step, done, blob.size) })
  }
}
