/** Docker images on this host, as far as building and shipping them needs: pull, load, import, tag, push. */
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { RegistryAuth } from '#gen/hive/v1/steps_docker.ts'
import { HiveError } from '../../../proto/errors.ts'
import type { Image } from '../docker/api-types.ts'
import { dockerDelete, dockerGet, dockerPost, dockerStream, orUndefined } from '../docker.ts'

/** The part of an image's configuration that a commit must put back. */
export interface ImageConfig {
  readonly Entrypoint?: readonly string[] | null
  readonly Cmd?: readonly string[] | null
}
export interface InspectedImage {
  readonly Id: string
  readonly Config?: ImageConfig | null
}

type Progress = (text: string) => void

export const inspectImage = (reference: string, signal: AbortSignal): Promise<InspectedImage | undefined> =>
  orUndefined(dockerGet<InspectedImage>(`/images/${reference}/json`, { signal }))

export function splitReference(reference: string): { readonly repository: string; readonly tag: string } {
  if (reference.includes('@')) return { repository: reference.slice(0, reference.indexOf('@')), tag: reference.slice(reference.indexOf('@') + 1) }
  const colon = reference.lastIndexOf(':')
  if (colon > reference.lastIndexOf('/')) return { repository: reference.slice(0, colon), tag: reference.slice(colon + 1) }
  return { repository: reference, tag: 'latest' }
}

export async function pullImage(reference: string, auth: RegistryAuth | undefined, signal: AbortSignal, progress: Progress): Promise<void> {
  const { repository, tag } = splitReference(reference)
  const stream = await dockerStream('POST', '/images/create', { query: { fromImage: repository, tag }, auth, signal, timeout: 120_000 })
  await drain(stream, `pull of ${reference}`, progress)
}

/** Loads an archive made by `docker save`. */
export async function loadArchive(path: string, signal: AbortSignal, progress: Progress): Promise<void> {
  const stream = await dockerStream('POST', '/images/load', { query: { quiet: '1' }, file: path, signal, timeout: 600_000 })
  await drain(stream, 'docker load', progress)
}

/** Makes an image of one layer from the tar of a root file system. */
export async function importRootFilesystem(path: string, reference: string, signal: AbortSignal, progress: Progress): Promise<void> {
  const { repository, tag } = splitReference(reference)
  const stream = await dockerStream('POST', '/images/create', { query: { fromSrc: '-', repo: repository, tag }, file: path, signal, timeout: 600_000 })
  await drain(stream, 'docker import', progress)
}

export const tagImage = (source: string, repository: string, tag: string, signal: AbortSignal): Promise<unknown> =>
  dockerPost(`/images/${source}/tag`, { query: { repo: repository, tag }, signal })

export async function pushImage(repository: string, tag: string, auth: RegistryAuth | undefined, signal: AbortSignal, progress: Progress): Promise<void> {
  const stream = await dockerStream('POST', `/images/${repository}/push`, { query: { tag }, auth, signal, timeout: 120_000 })
  await drain(stream, `push of ${repository}:${tag}`, progress)
}

/** Forgets a reference here; the layers stay as long as another one needs them. */
export const untagImage = (reference: string, signal: AbortSignal): Promise<unknown> => orUndefined(dockerDelete(`/images/${reference}`, { signal }))

/** Forgets this host's other tags of a repository. An image that a container was made from stays. */
export async function forgetOtherTags(repository: string, tag: string, signal: AbortSignal): Promise<void> {
  const images = await dockerGet<readonly Image[]>('/images/json', { query: { filters: { reference: [repository] } }, signal })
  const others = images.flatMap((image) => image.RepoTags ?? []).filter((reference) => reference !== `${repository}:${tag}`)
  for (const reference of others) {
    await untagImage(reference, signal).catch((thrown: unknown) => {
      if (!(thrown instanceof HiveError && thrown.code === 'conflict')) throw thrown
    })
  }
}

/** Docker tells a failure in the last line of a stream whose status was 200. */
async function drain(stream: Readable, what: string, progress: Progress): Promise<void> {
  let told = ''
  for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.trim() === '') continue
    const message = parsed(line)
    const error = message['error']
    if (error !== undefined) throw new HiveError('command-failed', `${what} failed: ${String(error).trim()}`)
    // Lines with an id are the layers' progress bars.
    const status = message['id'] === undefined ? String(message['status'] ?? message['stream'] ?? '').trim() : ''
    if (status !== '' && status !== told) progress(status)
    told = status === '' ? told : status
  }
}

function parsed(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    return {}
  }
}
