/** The files of a context folder that a team shares, as one archive. */
import { lstatSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import { extract, pack } from 'tar-stream'
import { HiveError } from '../../proto/errors.ts'
import { writeFileAtomic } from '../run/atomic-file.ts'

export interface ContextFile {
  /** Below the folder, with slashes. */
  readonly path: string
  /** Permission bits. */
  readonly mode: number
  readonly content: Buffer
}

/** What belongs to one machine or person: client certificates, journals, locks, the network of hosts on this machine, what a killed writer left. */
const ownOnly = /^(?:pki|runs)(?:\/|$)|^(?:run\.lock.*|team\.lock|netns|askpass)$|\.\d+\.[0-9a-f]{8}$/
/** Bytes: of files that a folder of keys and allocations has. */
const largest = 64 * 1024 * 1024

/** Whether a path of the folder is shared. */
export const isShared = (path: string): boolean => !ownOnly.test(path)

/** Sorted by path. What is no regular file is left out. Throws HiveError 'invalid-input' where it is too much to be one. */
export function sharedFiles(folder: string): readonly ContextFile[] {
  const files: ContextFile[] = []
  let bytes = 0
  const walk = (below: string): void => {
    for (const name of readdirSync(join(folder, below)).sort()) {
      const path = below === '' ? name : `${below}/${name}`
      if (!isShared(path)) continue
      const found = lstatSync(join(folder, path))
      if (found.isDirectory()) walk(path)
      if (!found.isFile()) continue
      bytes += found.size
      if (bytes > largest)
        throw new HiveError('invalid-input', `${folder} has more than ${largest / 1024 / 1024} MB, at ${path}`, {
          hint: 'move what is no part of it elsewhere',
        })
      files.push({ path, mode: found.mode & 0o777, content: readFileSync(join(folder, path)) })
    }
  }
  walk('')
  return files
}

/** A compressed tar archive. */
export async function archiveOf(files: readonly ContextFile[]): Promise<Buffer> {
  const tar = pack()
  for (const { path, mode, content } of files) tar.entry({ name: path, mode, mtime: new Date(0), uid: 0, gid: 0 }, content)
  tar.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of tar) chunks.push(chunk as Buffer)
  return await promisify(gzip)(Buffer.concat(chunks))
}

/** Throws HiveError 'invalid-input' for what an archive of a context has not: links, paths that lead out of it, more than fits. */
export async function filesOf(archive: Buffer): Promise<readonly ContextFile[]> {
  const files: ContextFile[] = []
  const tar = extract()
  tar.on('entry', ({ name, mode = 0o600, type }, stream, next) => {
    const chunks: Buffer[] = []
    stream.on('data', (chunk) => chunks.push(chunk as Buffer))
    stream.on('end', () => {
      if (type !== 'file' || !isPlain(name)) next(new HiveError('invalid-input', `the archive has ${name}, which is no file of a context`))
      else {
        files.push({ path: name, mode: mode & 0o700, content: Buffer.concat(chunks) })
        next()
      }
    })
  })
  const unpacked = await promisify(gunzip)(archive, { maxOutputLength: 2 * largest }).catch((cause: unknown) => {
    throw new HiveError('invalid-input', "the archive can't be unpacked", { cause })
  })
  await pipeline(Readable.from([unpacked]), tar)
  return files
}

const isPlain = (path: string): boolean =>
  !path.startsWith('/') && !path.includes('\0') && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')

/** Into a folder of nobody but its owner. */
export function writeFiles(folder: string, files: readonly ContextFile[]): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  for (const { path, mode, content } of files) writeFileAtomic(join(folder, path), content, mode | 0o600)
}
