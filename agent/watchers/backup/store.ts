/** The folder of backups: files get into it whole or not at all, and the link of the latest leads to whole ones only. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import * as fs from 'node:fs/promises'
import path from 'node:path'
import type { DumpComplete } from '#gen/hive/v1/backup.ts'
import { HiveError } from '../../../proto/errors.ts'
import { ensureFolder, exists, type FileProperties, linkTarget, ownerIds, writeLinkAtomic } from '../../adapters/files.ts'
import { assertMayMutate } from '../../adapters/gate.ts'
import { type Content, ContentInspector } from './content.ts'
import { fileName, isFileOf, isPart, latestName, manifestFolder, partName, stampOf } from './file-names.ts'
import { type Manifest, manifestPath, readManifest, writeManifest } from './manifest.ts'
import { expired } from './retention.ts'

export interface Stored {
  readonly file: string
  readonly size: number
  readonly at: Date
}

export type DumpPiece = { readonly chunk: Uint8Array } | { readonly warning: string } | { readonly complete: DumpComplete }

export interface KeepInput {
  readonly name: string
  readonly service: string
  readonly ext: string
  readonly host: string
  readonly pieces: AsyncIterable<DumpPiece>
  /** Bytes that are expected, as the last one had; 0: not known. */
  readonly expected: number
  readonly onProgress?: ((bytes: number) => void) | undefined
  /** The file's name and time, where it was made before and elsewhere. The link moves to it only where it is newer. */
  readonly from?: { readonly file: string | undefined; readonly at: Date } | undefined
}

/** Bytes that must be left beside the dump. */
const spare = 64 * 1024 * 1024
const fileMode = 0o600

export class BackupFolder {
  readonly folder: string
  readonly #owner: string
  readonly #group: string
  readonly #now: () => Date

  constructor({ folder, owner, group, now }: { readonly folder: string; readonly owner: string; readonly group: string; readonly now: () => Date }) {
    this.folder = folder
    this.#owner = owner
    this.#group = group
    this.#now = now
  }

  /** Newest first. */
  async files(name: string, ext: string): Promise<readonly Stored[]> {
    const names = (await this.#entries()).filter((file) => isFileOf(name, ext, file)).sort()
    const found = await Promise.all(
      names.map(async (file): Promise<Stored | undefined> => {
        const stat = await fs.lstat(path.join(this.folder, file)).catch(() => undefined)
        return stat?.isFile() === true ? { file, size: stat.size, at: stat.mtime } : undefined
      }),
    )
    return found.filter((one) => one !== undefined).reverse()
  }

  /** What the link leads to; undefined where there is none or it leads nowhere. */
  async latest(name: string, ext: string): Promise<string | undefined> {
    const target = await linkTarget(path.join(this.folder, latestName(name, ext)))
    if (target === undefined) return undefined
    const there = await fs.stat(path.join(this.folder, latestName(name, ext))).catch(() => undefined)
    return there?.isFile() === true ? path.basename(target) : undefined
  }

  /** Takes what comes into a hidden file, looks whether it is whole, and only then gives it its name and moves the link. Throws HiveError. */
  async keep(input: KeepInput): Promise<Manifest> {
    const { name, ext } = input
    const owner = await this.#prepare()
    await this.#assertRoom(input)
    const started = this.#now()
    const file = input.from?.file ?? (await this.#freeName(name, input.from?.at ?? started, ext))
    const [newest] = await this.files(name, ext)
    if (input.from?.file !== undefined && (await exists(path.join(this.folder, file))))
      throw new HiveError('conflict', `${this.folder} has a ${file} already`, { hint: 'it stays; restore it by its name, or remove it first' })
    const part = path.join(this.folder, partName(file))
    try {
      const { taken, content, warnings } = await this.#take(part, owner, input)
      const manifest: Manifest = {
        version: 1,
        file,
        name,
        service: input.service,
        host: input.host,
        started: started.toISOString(),
        finished: this.#now().toISOString(),
        size: taken.size,
        sha256: taken.sha256,
        stages: taken.stages,
        warnings,
        content,
      }
      await writeManifest(this.folder, manifest, owner)
      if (input.from !== undefined) await fs.utimes(part, input.from.at, input.from.at)
      await fs.rename(part, path.join(this.folder, file))
      if (newest !== undefined && newest.file > file) return manifest
      // Syncs the folder, too.
      await writeLinkAtomic(path.join(this.folder, latestName(name, ext)), file)
      return manifest
    } catch (error) {
      await fs.rm(part, { force: true })
      throw noRoom(error, name, this.folder)
    }
  }

  /** Files of this name that are too old, as they go. The one that was just made and the latest stay. */
  async removeOld(name: string, ext: string, days: number | undefined): Promise<readonly string[]> {
    const files = await this.files(name, ext)
    const latest = await this.latest(name, ext)
    const kept = new Set([latest, files[0]?.file].filter((one) => one !== undefined))
    const old = expired(files, days, this.#now(), kept)
    for (const { file } of old) {
      assertMayMutate(`remove ${file}`)
      await fs.rm(path.join(this.folder, file), { force: true })
      await fs.rm(manifestPath(this.folder, file), { force: true })
    }
    return old.map(({ file }) => file)
  }

  /** Parts of runs that were killed, and manifests whose file somebody removed. */
  async tidy(): Promise<void> {
    const names = await this.#entries()
    for (const part of names.filter(isPart)) await fs.rm(path.join(this.folder, part), { force: true })
    const there = new Set(names)
    for (const manifest of await entriesOf(path.join(this.folder, manifestFolder))) {
      if (manifest.endsWith('.json') && !there.has(manifest.slice(0, -'.json'.length)))
        await fs.rm(path.join(this.folder, manifestFolder, manifest), { force: true })
    }
  }

  manifest(file: string): Promise<Manifest | undefined> {
    return readManifest(this.folder, file)
  }

  async proven(file: string, at: Date): Promise<void> {
    const manifest = await this.manifest(file)
    if (manifest !== undefined) await writeManifest(this.folder, { ...manifest, proven: at.toISOString() }, await this.#prepare())
  }

  /** A file by its name. Throws HiveError 'not-found'. */
  async find(name: string, ext: string, file: string): Promise<Stored> {
    const files = await this.files(name, ext)
    const wanted = file === '' ? await this.latest(name, ext) : file
    const found = files.find((one) => one.file === wanted)
    if (found !== undefined) return found
    if (file !== '')
      throw new HiveError('not-found', `${this.folder} has no ${file} of ${name}`, {
        hint: files.length === 0 ? 'it has none' : `it has ${files.map((one) => one.file).join(', ')}`,
      })
    throw new HiveError('not-found', `there is no ${latestName(name, ext)} in ${this.folder}`, {
      hint: files[0] === undefined ? 'hivecoord backup run makes one' : `name a file: --from ${files[0].file}`,
    })
  }

  open(file: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return createReadStream(path.join(this.folder, file), { highWaterMark: 256 * 1024, signal })
  }

  /** Reads a file from end to end. Throws HiveError 'conflict' where it is not what its manifest says, or not whole. */
  async verify(
    file: string,
    signal: AbortSignal,
    onProgress?: (bytes: number) => void,
  ): Promise<{ readonly size: number; readonly sha256: string; readonly content: Content; readonly manifest: boolean }> {
    const manifest = await this.manifest(file)
    const hash = createHash('sha256')
    const inspector = new ContentInspector()
    let size = 0
    for await (const chunk of this.open(file, signal)) {
      hash.update(chunk)
      size += chunk.length
      await inspector.write(chunk)
      onProgress?.(size)
    }
    const content = await inspector.end()
    const sha256 = hash.digest('hex')
    const wrong = (what: string): HiveError => new HiveError('conflict', `${file}: ${what}`, { hint: 'restore an older file, or make a new backup' })
    if (manifest !== undefined && manifest.size !== size) throw wrong(`it has ${size} bytes, and had ${manifest.size} when it was made`)
    if (manifest !== undefined && manifest.sha256 !== sha256) throw wrong('its checksum is not the one that it had when it was made')
    if (content.problem !== undefined) throw wrong(content.problem)
    return { size, sha256, content, manifest: manifest !== undefined }
  }

  async #take(part: string, owner: Omit<FileProperties, 'mode'>, { name, pieces, onProgress }: KeepInput) {
    assertMayMutate(`write ${part}`)
    const handle = await fs.open(part, 'wx', fileMode)
    const hash = createHash('sha256')
    const inspector = new ContentInspector()
    const warnings: string[] = []
    let size = 0
    let complete: DumpComplete | undefined
    try {
      await handle.chown(owner.uid, owner.gid)
      for await (const piece of pieces) {
        if ('warning' in piece) warnings.push(piece.warning)
        else if ('complete' in piece) complete = piece.complete
        else {
          hash.update(piece.chunk)
          size += piece.chunk.length
          await writeAll(handle, piece.chunk)
          await inspector.write(piece.chunk)
          onProgress?.(size)
        }
      }
      const { problem, ...content } = await inspector.end()
      const sha256 = hash.digest('hex')
      const broken = (what: string): HiveError => new HiveError('command-failed', `${name}: ${what}`)
      if (complete === undefined) throw broken(`the dump broke off after ${size} bytes`)
      if (Number(complete.size) !== size || complete.sha256 !== sha256) throw broken(`${size} bytes came of ${complete.size}, or other ones than were sent`)
      if (problem !== undefined) throw broken(problem)
      await handle.sync()
      return { taken: { size, sha256, stages: complete.stages }, content, warnings }
    } finally {
      await handle.close()
    }
  }

  async #prepare(): Promise<{ readonly uid: number; readonly gid: number }> {
    const owner = await ownerIds(this.#owner, this.#group)
    if (owner === undefined)
      throw new HiveError('not-found', `this host has no user ${this.#owner} or no group ${this.#group}`, { hint: 'hivecoord setup-hosts makes them' })
    if ((await fs.stat(this.folder).catch(() => undefined)) === undefined) await ensureFolder(this.folder, { ...owner, mode: 0o755 })
    if ((await fs.stat(path.join(this.folder, manifestFolder)).catch(() => undefined)) === undefined)
      await ensureFolder(path.join(this.folder, manifestFolder), { ...owner, mode: 0o755 })
    return owner
  }

  async #assertRoom({ name, expected }: KeepInput): Promise<void> {
    const { bavail, bsize } = await fs.statfs(this.folder)
    const free = bavail * bsize
    if (free < expected * 1.1 + spare)
      throw new HiveError('blocked', `${name}: no room in ${this.folder}: ${inMb(free)} MB are free, and the last one had ${inMb(expected)} MB`, {
        hint: roomHint,
      })
  }

  async #freeName(name: string, at: Date, ext: string): Promise<string> {
    const names = new Set(await this.#entries())
    for (let second = 0; ; second += 1) {
      const file = fileName(name, stampOf(new Date(at.getTime() + second * 1000)), ext)
      if (!names.has(file) && !names.has(partName(file))) return file
    }
  }

  #entries(): Promise<readonly string[]> {
    return entriesOf(this.folder)
  }
}

const roomHint = 'old backups were kept; remove what is not needed, lower cleanup_days_before, or give the server a larger disk'
const inMb = (bytes: number): number => Math.ceil(bytes / 1e6)

async function entriesOf(folder: string): Promise<readonly string[]> {
  try {
    return await fs.readdir(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

async function writeAll(handle: fs.FileHandle, chunk: Uint8Array): Promise<void> {
  for (let from = 0; from < chunk.length; ) from += (await handle.write(chunk, from)).bytesWritten
}

function noRoom(error: unknown, name: string, folder: string): unknown {
  const code = (error as NodeJS.ErrnoException).code
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error
  return new HiveError('blocked', `${name}: ${folder} became full while the dump was written`, { hint: roomHint, cause: error })
}
