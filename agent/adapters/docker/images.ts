/** Images of this host's docker, and what registries say about references. */
import type { RegistryAuth } from '#gen/hive/v1/steps_docker.ts'
import { HiveError, messageOf } from '../../../proto/errors.ts'
import { type CallOptions, dockerGet, dockerPost, dockerStatus, dockerStream, orUndefined } from '../docker.ts'
import type { Image } from './api-types.ts'

export interface Reference {
  readonly repository: string
  /** "" when only a digest is given; `latest` when neither is. */
  readonly tag: string
  readonly digest: string
}

/** REPOSITORY[:TAG][@DIGEST]; a colon before the last slash belongs to the registry's port. */
export function parseReference(reference: string): Reference {
  const at = reference.indexOf('@')
  const digest = at < 0 ? '' : reference.slice(at + 1)
  const rest = at < 0 ? reference : reference.slice(0, at)
  const colon = rest.lastIndexOf(':')
  if (colon > rest.lastIndexOf('/')) return { repository: rest.slice(0, colon), tag: rest.slice(colon + 1), digest }
  return { repository: rest, tag: digest === '' ? 'latest' : '', digest }
}

/** Docker shows images of its default registry without registry and `library/`. */
export const familiar = (repository: string): string => repository.replace(/^(docker\.io|index\.docker\.io)\//, '').replace(/^library\//, '')

export const inspectImage = (reference: string, signal: AbortSignal): Promise<Image | undefined> =>
  orUndefined(dockerGet<Image>(`/images/${reference}/json`, { signal }))

/** Whether the image was pulled or pushed under this repository and digest. */
export const hasDigest = (image: Image, repository: string, digest: string): boolean =>
  (image.RepoDigests ?? []).some((known) => {
    const other = parseReference(known)
    return other.digest === digest && familiar(other.repository) === familiar(repository)
  })

export const tagImage = (source: string, target: Pick<Reference, 'repository' | 'tag'>, signal: AbortSignal): Promise<unknown> =>
  dockerPost(`/images/${source}/tag`, { query: { repo: target.repository, tag: target.tag }, signal })

interface PullLine {
  readonly id?: string
  readonly status?: string
  readonly error?: string
  readonly errorDetail?: { readonly message?: string }
  readonly progressDetail?: { readonly current?: number; readonly total?: number }
}

export interface PullOptions {
  readonly auth?: RegistryAuth | undefined
  readonly signal: AbortSignal
  /** Bytes downloaded of those known so far. */
  readonly onProgress?: (done: number, total: number) => void
}

/** Pulls by digest when there is one, else by tag. Docker answers 200 first and reports a failure in the last lines. */
export async function pullImage(reference: Reference, options: PullOptions): Promise<void> {
  const name = reference.digest === '' ? `${reference.repository}:${reference.tag}` : `${reference.repository}@${reference.digest}`
  const query = { fromImage: reference.repository, tag: reference.digest === '' ? reference.tag : reference.digest }
  const body = await dockerStream('POST', '/images/create', { query, auth: options.auth, signal: options.signal, timeout: 120_000 }).catch((error: unknown) => {
    if (dockerStatus(error) === undefined) throw error
    throw pullError(name, messageOf(error).replace(/^docker: /, ''), error)
  })
  const layers = new Map<string, { done: number; total: number }>()
  let failure: string | undefined
  try {
    await eachJsonLine(body, (line) => {
      const { error, errorDetail, id, status, progressDetail } = line as PullLine
      if (error !== undefined || errorDetail !== undefined) failure = errorDetail?.message ?? error
      if (id === undefined || progressDetail?.total === undefined || status !== 'Downloading') return
      layers.set(id, { done: progressDetail.current ?? 0, total: progressDetail.total })
      const sums = [...layers.values()].reduce((sum, layer) => ({ done: sum.done + layer.done, total: sum.total + layer.total }), { done: 0, total: 0 })
      options.onProgress?.(sums.done, sums.total)
    })
  } catch (error) {
    if (options.signal.aborted) throw new HiveError('cancelled', `pulling ${name} was stopped`, { cause: error })
    throw new HiveError('command-failed', `pulling ${name}: ${messageOf(error)}`, { cause: error })
  }
  if (failure !== undefined) throw pullError(name, failure)
}

const pullError = (name: string, failure: string, cause?: unknown): HiveError =>
  new HiveError('command-failed', `pulling ${name}: ${failure}`, { hint: hintFor(failure), cause })

const hintFor = (failure: string): string | undefined => {
  if (/manifest.*(unknown|not found)|not found/i.test(failure)) return 'the registry has no such image or tag'
  if (/unauthorized|denied|no basic auth/i.test(failure)) return 'the registry refuses the user and password it was given'
  if (/x509|certificate/i.test(failure)) return 'this host does not trust the registry’s certificate'
  if (/no space left|disk quota exceeded/i.test(failure))
    return 'free space on the file system of /var/lib/docker on this host (docker system df tells what uses it)'
  return undefined
}

/** The lines of a stream of JSON documents, one a line, as docker reports progress. */
export const eachJsonLine = (body: AsyncIterable<Buffer | string>, onLine: (line: unknown) => void): Promise<void> =>
  eachLine(body, (line) => onLine(JSON.parse(line)))

/** The lines of a stream, empty ones left out. */
export async function eachLine(body: AsyncIterable<Buffer | string>, onLine: (line: string) => void): Promise<void> {
  let rest = ''
  const decoder = new TextDecoder()
  for await (const chunk of body) {
    rest += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
    const lines = rest.split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.trim() !== '') onLine(line)
  }
  if (rest.trim() !== '') onLine(rest)
}

/**
 * The manifest digest that the reference's registry has now, "" where it does not have it. Docker asks, so that its
 * trust and its proxies apply.
 */
export async function resolveDigest(reference: string, auth: RegistryAuth | undefined, options: CallOptions = {}): Promise<string> {
  const { repository, tag, digest } = parseReference(reference)
  if (digest !== '') return digest
  try {
    const answer = await dockerGet<{ Descriptor: { digest: string } }>(`/distribution/${repository}:${tag}/json`, { ...options, auth })
    return answer.Descriptor.digest
  } catch (error) {
    if (dockerStatus(error) === 404 || /manifest unknown|name unknown|not found/i.test(messageOf(error))) return ''
    throw error
  }
}
