/** Files of a container, running or not, by docker's own archives: the image needs no program for it. */
import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { HiveError } from '../../../proto/errors.ts'
import { dockerPut, dockerStream, isNotFound } from '../docker.ts'

export interface ContainerFile {
  readonly folder: boolean
  /** Bytes; of a folder whatever its file system says. */
  readonly size: number
  /** Of a symbolic link, absolute in the container; '' for all else. */
  readonly linkTarget: string
}

const header = 'x-docker-container-path-stat'
/** Bits of Go's FileMode. */
const folderBit = 2 ** 31
/** Milliseconds, for all of an archive that is written. */
const writeTime = 3_600_000

const archiveOf = (container: string): string => `/containers/${encodeURIComponent(container)}/archive`

/** undefined where there is no such file. A symbolic link is not followed. Throws HiveError 'not-found' where there is no such container. */
export async function statFile(container: string, path: string, signal: AbortSignal): Promise<ContainerFile | undefined> {
  try {
    const answer = await dockerStream('HEAD', archiveOf(container), { query: { path: inContainer(path) }, signal })
    answer.resume()
    return parseStat(String((answer as IncomingMessage).headers[header] ?? ''))
  } catch (error) {
    if (!isNotFound(error)) throw error
    // A HEAD tells no reason: this one says which of both is not there.
    await readFiles(container, path, signal).catch((reason: unknown) => {
      if (reason instanceof HiveError && /no such container/i.test(reason.message)) throw reason
    })
    return undefined
  }
}

/** Docker's header: base64 of JSON with name, size, mode and linkTarget. Throws HiveError 'command-failed' for anything else. */
export function parseStat(text: string): ContainerFile {
  try {
    const { size, mode, linkTarget } = JSON.parse(Buffer.from(text, 'base64').toString()) as { size: number; mode: number; linkTarget?: string }
    if (typeof mode !== 'number') throw new TypeError('no mode')
    return { folder: mode >= folderBit, size, linkTarget: linkTarget ?? '' }
  } catch (cause) {
    throw new HiveError('command-failed', 'docker does not say what kind of file this is', { cause })
  }
}

/** A tar archive; its first names are the last part of `path`. Throws HiveError 'not-found'. */
export const readFiles = (container: string, path: string, signal: AbortSignal): Promise<Readable> =>
  dockerStream('GET', archiveOf(container), { query: { path: inContainer(path) }, signal })

export interface WriteFiles {
  readonly container: string
  /** Must be there. */
  readonly folder: string
  readonly archive: Readable
  /** Ids of users and groups as in the archive; else docker's, which are root's. */
  readonly keepOwners: boolean
}

/** Files replace files; a folder is never replaced by a file, nor the other way round. Throws HiveError 'not-found', 'command-failed'. */
export async function writeFiles({ container, folder, archive, keepOwners }: WriteFiles, signal: AbortSignal): Promise<void> {
  const query = { path: inContainer(folder), noOverwriteDirNonDir: 'true', copyUIDGID: String(keepOwners) }
  await dockerPut(archiveOf(container), { query, file: archive, timeout: writeTime, signal })
}

/** Paths that are not absolute begin at the root, as with docker. */
const inContainer = (path: string): string => (path.startsWith('/') ? path : `/${path}`)
