/** Docker images on this host, as far as building and shipping them needs: load, import, push, forget. */
import type { RegistryAuth } from '#gen/hive/v1/steps_docker.ts'
import { HiveError, messageOf } from '../../../proto/errors.ts'
import type { Image } from '../docker/api-types.ts'
import { eachLine, parseReference } from '../docker/images.ts'
import { pause } from '../docker/wait.ts'
import { dockerDelete, dockerGet, dockerStream, orUndefined } from '../docker.ts'

type Progress = (text: string) => void

/** Loads an archive made by `docker save`. */
export async function loadArchive(path: string, signal: AbortSignal, progress: Progress): Promise<void> {
  const stream = await dockerStream('POST', '/images/load', { query: { quiet: '1' }, file: path, signal, timeout: 600_000 })
  await drain(stream, 'docker load', progress)
}

/** Makes an image of one layer from the tar of a root file system. */
export async function importRootFilesystem(path: string, reference: string, signal: AbortSignal, progress: Progress): Promise<void> {
  const { repository, tag } = parseReference(reference)
  const stream = await dockerStream('POST', '/images/create', { query: { fromSrc: '-', repo: repository, tag }, file: path, signal, timeout: 600_000 })
  await drain(stream, 'docker import', progress)
}

/** Milliseconds for which a registry may be read-only, and between two attempts. */
const readOnlyTime = 30 * 60_000
const readOnlyPause = 5_000

/** Waits while the registry is read-only because its garbage is collected. */
export async function pushImage(repository: string, tag: string, auth: RegistryAuth | undefined, signal: AbortSignal, progress: Progress): Promise<void> {
  const until = performance.now() + readOnlyTime
  for (let told = false; ; told = true) {
    try {
      const stream = await dockerStream('POST', `/images/${repository}/push`, { query: { tag }, auth, signal, timeout: 120_000 })
      await drain(stream, `push of ${repository}:${tag}`, progress)
      return
    } catch (thrown) {
      if (!isReadOnly(messageOf(thrown)) || performance.now() > until) throw thrown
      if (!told) progress('the registry takes nothing at the moment: it is being tidied')
      await pause(readOnlyPause, signal)
    }
  }
}

/** As docker tells the status of a registry that refuses uploads: with its own image store, and with containerd's. */
export const isReadOnly = (message: string): boolean =>
  /\bHTTP 405 response\b|\b405 Method Not Allowed\b|\bunsupported: The operation is unsupported\b/i.test(message)

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
async function drain(stream: AsyncIterable<Buffer>, what: string, progress: Progress): Promise<void> {
  let told = ''
  let failure: unknown
  await eachLine(stream, (line) => {
    const { error, id, status, stream: output } = parsed(line)
    failure ??= error
    // Lines with an id are the layers' progress bars.
    const text = id === undefined ? String(status ?? output ?? '').trim() : ''
    if (text !== '' && text !== told) progress(text)
    told = text === '' ? told : text
  })
  if (failure !== undefined) throw new HiveError('command-failed', `${what} failed: ${String(failure).trim()}`)
}

function parsed(line: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    return {}
  }
}
