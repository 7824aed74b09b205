/**
 * Base images that the site ships, so that no registry on the internet is needed: archives made by `docker save`
 * (*.tar, *.tar.gz, *.tgz; what they hold is read from them) and root file systems (NAME_TAG.rootfs.tar[.gz], percent
 * signs quote characters that file names can't have: procube%2Fnginx_1.2.rootfs.tar). They are in the site's folder
 * `images`, or in the one that the environment variable HIVE_IMAGES or the site's variable hive_image_dir names.
 */
import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { createGunzip } from 'node:zlib'
import { extract } from 'tar-stream'
import { HiveError, messageOf } from '../../proto/errors.ts'
import type { Site } from '../inventory/site.ts'
import { readTextIfPresent, writeFileAtomic } from '../run/atomic-file.ts'

export interface ArchivedReference {
  /** As inventories name it: debian:12 */
  readonly name: string
  /** Where it is found in the site: REGISTRY:PORT/debian:12 */
  readonly registryReference: string
  /** Twelve hexadecimal digits, derived from the archive; the second tag of the same repository. */
  readonly contentTag: string
}

export interface Archive {
  readonly path: string
  readonly sha256: string
  readonly size: number
  readonly references: readonly ArchivedReference[]
  /** Else an archive of `docker save`. */
  readonly rootFilesystem: boolean
}

interface Read {
  readonly size: number
  readonly mtimeMs: number
  readonly sha256: string
  readonly names: readonly string[]
}

const rootFilesystemName = /^(?<name>.+)_(?<tag>[\w][\w.-]*?)\.rootfs\.tar(?:\.gz)?$/
const archiveName = /\.(?:tar|tar\.gz|tgz)$/

type SiteForArchives = Pick<Site, 'root' | 'contextDir' | 'hosts' | 'variable'> & { readonly registry: Pick<Site['registry'], 'host' | 'port'> }

/** Reads new or changed archives in full, about 1 s for 500 MB; others are known from CONTEXT_DIR/archives.json. Throws 'invalid-input'. */
export async function siteArchives(site: SiteForArchives): Promise<readonly Archive[]> {
  const { folder, named } = archiveFolder(site)
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    if (named !== undefined)
      throw new HiveError('not-found', `the folder of base images ${folder} (${named}) does not exist`, { hint: 'make it, and put the archives there' })
    return []
  })
  const cachePath = join(site.contextDir, 'archives.json')
  const cache = readCache(cachePath)
  const archives: Archive[] = []
  const next: Record<string, Read> = {}
  for (const name of names.filter((candidate) => archiveName.test(candidate) && !candidate.startsWith('.')).sort()) {
    const path = join(folder, name)
    const read = await readArchive(path, cache[path])
    next[path] = read
    archives.push(described(site, path, name, read))
  }
  // A plan of a stage that does not exist yet leaves nothing behind.
  if (existsSync(site.contextDir) && JSON.stringify(next) !== JSON.stringify(cache)) writeFileAtomic(cachePath, `${JSON.stringify(next, null, 1)}\n`)
  rejectDuplicates(archives)
  return archives
}

/** The archived image that a reference of the inventory means: `debian:12`, `docker.io/library/debian:12`, `REGISTRY:PORT/debian:12`. */
export function archivedImage(archives: readonly Archive[], reference: string): ArchivedReference | undefined {
  const wanted = familiarName(reference)
  return archives.flatMap((archive) => archive.references).find((known) => known.registryReference === withTag(reference) || known.name === wanted)
}

/** The archive's bytes, as content that a step refers to. */
export const archiveBlob = (archive: Archive) => ({
  sha256: archive.sha256,
  size: archive.size,
  open: () => createReadStream(archive.path, { highWaterMark: 1 << 20 }),
})

/** The name and tag of a root file system's file, undefined where it is none. */
export function rootFilesystemReference(fileName: string): string | undefined {
  const { name, tag } = rootFilesystemName.exec(fileName)?.groups ?? {}
  return name === undefined || tag === undefined ? undefined : familiarName(`${decodeURIComponent(name)}:${tag}`)
}

/** Docker's short form, with a tag: docker.io/library/debian → debian:latest. Other registries stay in it. */
export const familiarName = (reference: string): string =>
  withTag(reference)
    .replace(/^(?:index\.)?docker\.io\//, '')
    .replace(/^library\//, '')

const withTag = (reference: string): string =>
  reference.includes('@') || reference.lastIndexOf(':') > reference.lastIndexOf('/') ? reference : `${reference}:latest`

/** Where in the site's registry an image of this name goes: the path without the host of its own registry. */
function pathInRegistry(name: string): string {
  const [first, ...rest] = name.split('/')
  const isHost = rest.length > 0 && first !== undefined && (/[.:]/.test(first) || first === 'localhost')
  return isHost ? rest.join('/') : name
}

function archiveFolder(site: SiteForArchives): { readonly folder: string; readonly named: string | undefined } {
  const fromEnvironment = process.env['HIVE_IMAGES']
  if (fromEnvironment !== undefined && fromEnvironment !== '') return { folder: fromEnvironment, named: 'environment variable HIVE_IMAGES' }
  const host = site.hosts.find((candidate) => candidate.isRepository) ?? site.hosts[0]
  const variable = host === undefined ? undefined : site.variable(host.name, 'hive_image_dir')
  if (typeof variable === 'string' && variable !== '')
    return { folder: isAbsolute(variable) ? variable : join(site.root, variable), named: 'variable hive_image_dir' }
  return { folder: join(site.root, 'images'), named: undefined }
}

function described(site: SiteForArchives, path: string, name: string, read: Read): Archive {
  const registry = `${site.registry.host}:${site.registry.port}`
  const references = read.names.map((known) => ({
    name: known,
    registryReference: `${registry}/${pathInRegistry(known)}`,
    contentTag: createHash('sha256').update(`${read.sha256} ${known}`).digest('hex').slice(0, 12),
  }))
  return { path, sha256: read.sha256, size: read.size, references, rootFilesystem: rootFilesystemReference(name) !== undefined }
}

/** What this process has read: phases ask one after the other, and a plan of a new stage keeps nothing on disk. */
const readHere = new Map<string, Promise<Read>>()

async function readArchive(path: string, known: Read | undefined): Promise<Read> {
  const { size, mtimeMs } = await stat(path)
  if (known !== undefined && known.size === size && known.mtimeMs === mtimeMs) return known
  const key = JSON.stringify([path, size, mtimeMs])
  const started = readHere.get(key)
  if (started !== undefined) return started
  const reading = readWhole(path, { size, mtimeMs })
  readHere.set(key, reading)
  reading.catch(() => readHere.delete(key))
  return reading
}

async function readWhole(path: string, stamp: Pick<Read, 'size' | 'mtimeMs'>): Promise<Read> {
  const rootFilesystem = rootFilesystemReference(path.slice(path.lastIndexOf('/') + 1))
  const [sha256, names] = await Promise.all([digestOf(path), rootFilesystem === undefined ? savedNames(path) : Promise.resolve([rootFilesystem])])
  return { ...stamp, sha256, names }
}

/** Through one buffer: a new one for each piece keeps the garbage collector busier than the digest. */
async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(1 << 20)
  const file = await open(path)
  try {
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length)
      if (bytesRead === 0) return hash.digest('hex')
      hash.update(buffer.subarray(0, bytesRead))
    }
  } finally {
    await file.close()
  }
}

/** The names in an archive of `docker save`, from its manifest.json. */
async function savedNames(path: string): Promise<readonly string[]> {
  const file = createReadStream(path, { highWaterMark: 1 << 20 })
  const tar = extract()
  const source = /gz$/.test(path) ? file.pipe(createGunzip().on('error', (error) => tar.destroy(error))) : file
  file.on('error', (error) => tar.destroy(error))
  source.pipe(tar)
  try {
    for await (const entry of tar) {
      if (entry.header.name !== 'manifest.json') {
        entry.resume()
        continue
      }
      const chunks: Buffer[] = []
      for await (const chunk of entry) chunks.push(chunk as Buffer)
      const manifest = JSON.parse(Buffer.concat(chunks).toString('utf8')) as readonly { readonly RepoTags?: readonly string[] | null }[]
      const names = manifest.flatMap((image) => image.RepoTags ?? []).map(familiarName)
      if (names.length === 0) throw new HiveError('invalid-input', `${path} names no image`, { hint: 'save it by name: docker save NAME:TAG, not by id' })
      return [...new Set(names)].sort()
    }
  } catch (thrown) {
    if (thrown instanceof HiveError) throw thrown
    throw new HiveError('invalid-input', `${path} can't be read as an archive: ${messageOf(thrown)}`, { cause: thrown })
  } finally {
    file.destroy()
  }
  throw new HiveError('invalid-input', `${path} is no archive of docker save (it has no manifest.json)`, {
    hint: 'a root file system is named NAME_TAG.rootfs.tar',
  })
}

function rejectDuplicates(archives: readonly Archive[]): void {
  const seen = new Map<string, string>()
  for (const archive of archives)
    for (const { registryReference, name } of archive.references) {
      const other = seen.get(registryReference)
      if (other !== undefined) throw new HiveError('invalid-input', `${other} and ${archive.path} both hold ${name}`, { hint: 'remove one of them' })
      seen.set(registryReference, archive.path)
    }
}

function readCache(path: string): Readonly<Record<string, Read>> {
  try {
    return JSON.parse(readTextIfPresent(path) ?? '{}') as Readonly<Record<string, Read>>
  } catch {
    return {}
  }
}
