/** Large content by its SHA-256: blobs/SHA256, uploaded aside and renamed only when size and digest are as announced. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat, statfs, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import type { Step } from '#gen/hive/v1/step.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'

export interface BlobLimits {
  readonly bytes: number
  /** Milliseconds without use. */
  readonly age: number
  /** Bytes that stay free on the file system. */
  readonly reserve: number
}
const day = 24 * 3600 * 1000
const defaults: BlobLimits = { bytes: 20 * 1024 ** 3, age: 14 * day, reserve: 64 * 1024 ** 2 }
/** A blob used this recently is never pruned for space: its run may be about to start. */
const fresh = 3600 * 1000

const digestShape = /^[0-9a-f]{64}$/

export class BlobStore {
  readonly #folder: string
  readonly #limits: BlobLimits
  readonly #now: () => Date

  constructor(folder: string, now: () => Date, limits: Partial<BlobLimits> = {}) {
    this.#folder = folder
    this.#now = now
    this.#limits = { ...defaults, ...limits }
  }

  /** The blob's path; asking counts as use. Throws HiveError 'not-found'. */
  async path(sha256: string): Promise<string> {
    if (!(await this.has(sha256)))
      throw new HiveError('not-found', `the content ${sha256.slice(0, 12)} was not uploaded to this host`, { hint: 'run the deploy again' })
    return join(this.#folder, sha256)
  }

  /** Asking counts as use. */
  async has(sha256: string): Promise<boolean> {
    if (!digestShape.test(sha256)) return false
    try {
      const now = this.#now()
      await utimes(join(this.#folder, sha256), now, now)
      return true
    } catch {
      return false
    }
  }

  /**
   * Takes the chunks in. True when the blob was there already (the chunks are then not read). Throws HiveError 'blocked' when the disk
   * lacks space, 'invalid-input' when the content is not what was announced: an upload that was cut off looks complete to a gRPC server.
   */
  async put(sha256: string, size: number, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<boolean> {
    if (!digestShape.test(sha256)) throw new HiveError('invalid-input', 'sha256 must be 64 hexadecimal digits')
    if (await this.has(sha256)) return true
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    await this.#demandSpace(size)
    const aside = join(this.#folder, `${sha256}.${randomBytes(4).toString('hex')}.part`)
    try {
      const file = await open(aside, 'wx', 0o600)
      try {
        const hash = createHash('sha256')
        let received = 0
        for await (const chunk of chunks) {
          signal.throwIfAborted()
          received += chunk.length
          if (received > size) throw new HiveError('invalid-input', `more than the ${size} bytes announced`)
          hash.update(chunk)
          await file.writeFile(chunk)
        }
        signal.throwIfAborted()
        if (received !== size) throw new HiveError('invalid-input', `the upload ended after ${received} of ${size} bytes`)
        if (hash.digest('hex') !== sha256) throw new HiveError('invalid-input', 'the content does not have the digest announced')
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(aside, join(this.#folder, sha256))
    } catch (error) {
      await rm(aside, { force: true })
      throw (error as NodeJS.ErrnoException).code === 'ENOSPC' ? noSpace(messageOf(error)) : error
    }
    return false
  }

  /** Takes it away unless it was used less than `unused` milliseconds ago. True when it is not there any more. */
  async forget(sha256: string, unused: number): Promise<boolean> {
    const path = join(this.#folder, sha256)
    const found = await stat(path).catch(() => undefined)
    if (found !== undefined && this.#now().getTime() - found.mtimeMs < unused) return false
    await rm(path, { force: true })
    return true
  }

  async #demandSpace(size: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.#folder)
    const free = bavail * bsize
    if (free < size + this.#limits.reserve) throw noSpace(`${megabytes(size)} are to be stored, ${megabytes(free)} are free in ${this.#folder}`)
  }

  /** Removes what was not used for long, and the longest unused above the total; never what `steps` refer to. Leftovers of cut uploads go too. */
  async prune(steps: readonly Step[]): Promise<void> {
    const needed = blobsOf(steps)
    const now = this.#now().getTime()
    const names = await readdir(this.#folder).catch(() => [])
    const files: { path: string; name: string; size: number; idle: number }[] = []
    for (const name of names) {
      const path = join(this.#folder, name)
      const found = await stat(path).catch(() => undefined)
      if (found !== undefined) files.push({ path, name, size: found.size, idle: now - found.mtimeMs })
    }
    files.sort((a, b) => a.idle - b.idle)
    let total = 0
    for (const { path, name, size, idle } of files) {
      total += size
      const complete = digestShape.test(name)
      const keep = complete ? needed.has(name) || idle < fresh || (idle <= this.#limits.age && total <= this.#limits.bytes) : idle < fresh
      if (keep) continue
      await rm(path, { force: true })
      total -= size
    }
  }
}

/** Digests that specs refer to, in whatever kind: fields named blob_sha256. */
export function blobsOf(steps: readonly Step[]): Set<string> {
  const found = new Set<string>()
  const look = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return
    for (const [key, inner] of Object.entries(value)) {
      if (key === 'blobSha256' && typeof inner === 'string') found.add(inner)
      else look(inner)
    }
  }
  for (const { spec } of steps) look(spec)
  return found
}

const megabytes = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(1)} MiB`
const noSpace = (what: string): HiveError => new HiveError('blocked', `not enough space: ${what}`, { hint: 'free space on the host, or give it a larger disk' })
