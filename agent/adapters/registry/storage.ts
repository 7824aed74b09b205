/**
 * What a registry has on disk, read from its storage (layout v2): the HTTP interface tells neither manifests without a tag, nor sizes, nor
 * uploads that are under way. Only reads; what goes is deleted through the registry, so that it knows.
 */
import type { Dirent } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../../proto/errors.ts'
import { referredTo } from './manifest.ts'

export interface StoredManifest {
  /** image_web */
  readonly repository: string
  readonly digest: string
  readonly tags: readonly string[]
  /** Bytes of all it is made of. */
  readonly size: number
  /** As its configuration tells. */
  readonly built: Date | undefined
  readonly pushed: Date
  /** Of an index: the manifests that it names. */
  readonly children: readonly string[]
  /** Digests of the blobs that it needs, its own first. */
  readonly blobs: readonly string[]
}

/** Of an upload, or of layers without a manifest yet. */
export interface Upload {
  readonly repository: string
  readonly at: Date
}

export interface RegistryStorage {
  readonly manifests: readonly StoredManifest[]
  readonly uploads: readonly Upload[]
  /** Digest → bytes. */
  readonly blobs: ReadonlyMap<string, number>
}

/** Larger ones are no manifests or configurations, bytes. */
const largestDocument = 8 * 1024 * 1024

const root = (storage: string): string => join(storage, 'docker/registry/v2')

/** Nothing where there is no storage yet. */
export async function readRegistryStorage(storage: string): Promise<RegistryStorage> {
  const blobs = await blobSizes(storage)
  const repositories = await repositoryPaths(join(root(storage), 'repositories'), '')
  const read = await Promise.all(repositories.map((repository) => readRepository(storage, repository, blobs)))
  return { manifests: read.flatMap(({ manifests }) => manifests), uploads: read.flatMap(({ uploads }) => uploads), blobs }
}

/** Tagged manifests alone, without a look at what they are made of. */
export async function readRegistryTags(storage: string): Promise<readonly Pick<StoredManifest, 'repository' | 'digest' | 'tags'>[]> {
  const folder = join(root(storage), 'repositories')
  const repositories = await repositoryPaths(folder, '')
  const read = repositories.map(async (repository) => [...(await tagsOf(join(folder, repository)))].map(([digest, tags]) => ({ repository, digest, tags })))
  return (await Promise.all(read)).flat()
}

/** Blobs that no manifest needs. */
export function unusedBytes({ manifests, blobs }: RegistryStorage): number {
  const used = new Set(manifests.flatMap((manifest) => manifest.blobs))
  return [...blobs].reduce((sum, [digest, size]) => (used.has(digest) ? sum : sum + size), 0)
}

export const totalBytes = ({ blobs }: Pick<RegistryStorage, 'blobs'>): number => [...blobs.values()].reduce((sum, size) => sum + size, 0)

/** Repositories have names of several parts, and folders of the registry's own begin with an underline. */
async function repositoryPaths(folder: string, path: string): Promise<string[]> {
  const names = (await entries(join(folder, path))).filter((entry) => entry.isDirectory()).map(({ name }) => name)
  const below = names.filter((name) => !name.startsWith('_')).map((name) => repositoryPaths(folder, path === '' ? name : `${path}/${name}`))
  return [...(names.includes('_manifests') || names.includes('_uploads') ? [path] : []), ...(await Promise.all(below)).flat()].sort()
}

async function readRepository(storage: string, repository: string, blobs: ReadonlyMap<string, number>) {
  const folder = join(root(storage), 'repositories', repository)
  const [tags, revisions, layers, sessions] = await Promise.all([
    tagsOf(folder),
    linksIn(join(folder, '_manifests/revisions/sha256')),
    linksIn(join(folder, '_layers/sha256')),
    sessionsIn(join(folder, '_uploads')),
  ])
  const known = new Map<string, Omit<StoredManifest, 'size' | 'built'> & { readonly config: string | undefined }>()
  for (const { hex, at, linked } of revisions) {
    if (!linked) continue
    const digest = `sha256:${hex}`
    const document = await blobText(storage, digest)
    // A link to content that is gone: the registry answers 404 for it.
    if (document === undefined) continue
    const { config, blobs: parts, children } = referredTo(document)
    known.set(digest, { repository, digest, tags: tags.get(digest) ?? [], pushed: at, children, blobs: [digest, ...parts], config })
  }
  const manifests = await Promise.all(
    [...known.values()].map(async ({ config, ...manifest }): Promise<StoredManifest> => {
      const own = [manifest, ...manifest.children.flatMap((child) => known.get(child) ?? [])]
      const configs = [config, ...manifest.children.map((child) => known.get(child)?.config)].flatMap((digest) => digest ?? [])
      const times = (await Promise.all(configs.map((digest) => builtAt(storage, digest)))).flatMap((time) => time ?? [])
      const needed = new Set(own.flatMap((part) => part.blobs))
      return {
        ...manifest,
        size: [...needed].reduce((sum, digest) => sum + (blobs.get(digest) ?? 0), 0),
        built: times.sort((a, b) => b.getTime() - a.getTime())[0],
      }
    }),
  )
  const lastManifest = Math.max(0, ...revisions.map(({ changed }) => changed))
  // A client uploads layers first: those that came after a manifest last came or went wait for the next one.
  const waiting = layers.filter(({ at }) => at.getTime() > lastManifest).map(({ at }) => at)
  return { manifests, uploads: [...sessions, ...waiting].map((at): Upload => ({ repository, at })) }
}

async function tagsOf(folder: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, string[]>()
  for (const { name } of await entries(join(folder, '_manifests/tags'))) {
    const digest = await readFile(join(folder, '_manifests/tags', name, 'current/link'), 'utf8').catch(() => '')
    if (digest !== '') found.set(digest.trim(), [...(found.get(digest.trim()) ?? []), name])
  }
  return found
}

interface Link {
  readonly hex: string
  readonly linked: boolean
  /** When it was made. */
  readonly at: Date
  /** The folder of a deleted link stays, with the time at which it went. */
  readonly changed: number
}

async function linksIn(folder: string): Promise<readonly Link[]> {
  const found = await Promise.all(
    (await entries(folder)).map(async ({ name }): Promise<readonly Link[]> => {
      const [link, around] = await Promise.all([join(folder, name, 'link'), join(folder, name)].map((path) => stat(path).catch(() => undefined)))
      if (around === undefined) return []
      const at = link?.mtime ?? new Date(0)
      return [{ hex: name, linked: link !== undefined, at, changed: Math.max(around.mtimeMs, at.getTime()) }]
    }),
  )
  return found.flat()
}

/** When each session's data was last written to. */
async function sessionsIn(folder: string): Promise<readonly Date[]> {
  const found = await Promise.all(
    (await entries(folder)).map(async ({ name }) => {
      const seen = await Promise.all(['data', 'startedat'].map((file) => stat(join(folder, name, file)).catch(() => undefined)))
      const times = seen.flatMap((file) => (file === undefined ? [] : [file.mtimeMs]))
      return times.length === 0 ? [] : [new Date(Math.max(...times))]
    }),
  )
  return found.flat()
}

const blobFile = (storage: string, digest: string): string => {
  const hex = digest.slice(digest.indexOf(':') + 1)
  return join(root(storage), 'blobs/sha256', hex.slice(0, 2), hex, 'data')
}

async function blobText(storage: string, digest: string): Promise<string | undefined> {
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) return undefined
  const file = blobFile(storage, digest)
  const seen = await stat(file).catch(() => undefined)
  return seen === undefined || seen.size > largestDocument ? undefined : await readFile(file, 'utf8').catch(() => undefined)
}

async function builtAt(storage: string, config: string): Promise<Date | undefined> {
  const text = await blobText(storage, config)
  if (text === undefined) return undefined
  try {
    const created = new Date((JSON.parse(text) as { created?: string }).created ?? '')
    return Number.isNaN(created.getTime()) ? undefined : created
  } catch {
    return undefined
  }
}

async function blobSizes(storage: string): Promise<ReadonlyMap<string, number>> {
  const folder = join(root(storage), 'blobs/sha256')
  const found = new Map<string, number>()
  for (const { name: prefix } of await entries(folder)) {
    const inside = (await entries(join(folder, prefix))).map(
      async ({ name }) => [name, await stat(join(folder, prefix, name, 'data')).catch(() => undefined)] as const,
    )
    for (const [hex, seen] of await Promise.all(inside)) if (seen !== undefined) found.set(`sha256:${hex}`, seen.size)
  }
  return found
}

async function entries(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true })
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return []
    throw new Error(`the registry's storage can't be read: ${messageOf(thrown)}`, { cause: thrown })
  }
}
