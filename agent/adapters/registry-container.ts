/**
 * The registry as a container of this host's docker, which starts it again when it ends and at each boot. It has the host's own
 * network and sees its files under the host's own paths, so that its configuration is the same as without a container.
 */
import { createHash } from 'node:crypto'
import { forgetOtherTags } from './ansible/images.ts'
import { parseReference } from './docker/images.ts'
import { dockerDelete, dockerGet, dockerPost, orUndefined } from './docker.ts'
import { registryPaths } from './registry-config.ts'

export const registryContainerName = 'hive-registry'

/** On the container: what it was made from. */
const label = 'hive.registry'

export interface RegistryContainer {
  readonly id: string
  readonly running: boolean
  /** Id of its image. */
  readonly imageId: string
  readonly fingerprint: string
}

interface Inspected {
  readonly Id: string
  readonly Image?: string
  readonly Config?: { readonly Labels?: Readonly<Record<string, string>> | null }
  readonly State?: { readonly Running?: boolean }
}

/** undefined where there is none. Throws 'unreachable' where docker does not run. */
export async function findRegistryContainer(signal: AbortSignal): Promise<RegistryContainer | undefined> {
  const found = await orUndefined(dockerGet<Inspected>(`/containers/${registryContainerName}/json`, { signal }))
  if (found === undefined) return undefined
  return {
    id: found.Id,
    running: found.State?.Running === true,
    imageId: found.Image ?? '',
    fingerprint: found.Config?.Labels?.[label] ?? '',
  }
}

/** The body of docker's create request, without the label. Pure. */
export const containerBody = (image: string) => ({
  Image: image,
  Entrypoint: ['registry'],
  Cmd: ['serve', registryPaths.config],
  HostConfig: {
    NetworkMode: 'host',
    RestartPolicy: { Name: 'always' },
    Binds: [`${registryPaths.folder}:${registryPaths.folder}:ro`, `${registryPaths.storage}:${registryPaths.storage}`],
    // Where dockerd labels containers, it may not read files that have no container's label.
    SecurityOpt: ['label=disable'],
  },
})

/** Differs where the container must be made anew: another image, or other files. Pure. */
export function registryFingerprint(image: string, files: readonly Uint8Array[]): string {
  const hash = createHash('sha256').update(JSON.stringify(containerBody(image)))
  for (const file of files) hash.update(`\n${file.length}\n`).update(file)
  return hash.digest('hex')
}

/** In place of the one that is there. */
export async function startRegistryContainer(image: string, fingerprint: string, signal: AbortSignal): Promise<void> {
  await removeRegistryContainer(signal)
  const body = { ...containerBody(image), Labels: { [label]: fingerprint } }
  const { Id } = await dockerPost<{ readonly Id: string }>('/containers/create', { query: { name: registryContainerName }, body, signal })
  await dockerPost(`/containers/${Id}/start`, { signal })
}

/** Killed after ten seconds. One that docker was asked to stop stays so until it is removed. */
export async function stopRegistryContainer(signal: AbortSignal): Promise<void> {
  await orUndefined(dockerPost(`/containers/${registryContainerName}/stop`, { query: { t: '10' }, signal }))
}

export async function removeRegistryContainer(signal: AbortSignal): Promise<void> {
  await stopRegistryContainer(signal)
  await orUndefined(dockerDelete(`/containers/${registryContainerName}`, { query: { force: 'true', v: 'true' }, signal }))
}

/** Images of archives that were used before. */
export async function forgetOldRegistryImages(reference: string, signal: AbortSignal): Promise<void> {
  const { repository, tag } = parseReference(reference)
  await forgetOtherTags(repository, tag, signal)
}
