/**
 * Files of the host. A file is replaced by a rename in its own folder, so a reader sees the old or the new one whole,
 * and a kill in between leaves at most a hidden temporary file, which the next write of the same path uses again.
 */
import { constants } from 'node:fs'
import * as fs from 'node:fs/promises'
import path from 'node:path'
import { HiveError } from '../../proto/errors.ts'
import { findGroup, findUser } from './accounts.ts'
import { run } from './command.ts'
import { assertMayMutate } from './gate.ts'

export interface FileState {
  readonly content: Buffer
  /** Permission bits only. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly mtimeMs: number
}

export interface FileProperties {
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

const isMissing = (thrown: unknown): boolean => {
  const code = (thrown as NodeJS.ErrnoException).code
  return code === 'ENOENT' || code === 'ENOTDIR'
}

/** A regular file with its properties, symbolic links followed; undefined where there is none. Throws 'conflict' on a folder or device. */
export async function readFileState(file: string): Promise<FileState | undefined> {
  try {
    const handle = await fs.open(file, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const stat = await handle.stat()
      if (!stat.isFile()) throw new HiveError('conflict', `${file} is not a regular file`)
      return { content: await handle.readFile(), mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid, mtimeMs: stat.mtimeMs }
    } finally {
      await handle.close()
    }
  } catch (thrown) {
    if (isMissing(thrown)) return undefined
    throw thrown
  }
}

/** The text of a file, '' where there is none. */
export const readText = async (file: string): Promise<string> => (await readFileState(file))?.content.toString('utf8') ?? ''

/** Whether anything is there, a broken symbolic link included. */
export async function exists(file: string): Promise<boolean> {
  try {
    await fs.lstat(file)
    return true
  } catch (thrown) {
    if (isMissing(thrown)) return false
    throw thrown
  }
}

/** Where a link leads, unresolved; undefined where there is none or it is no link. */
export async function linkTarget(file: string): Promise<string | undefined> {
  try {
    return await fs.readlink(file)
  } catch (thrown) {
    if (isMissing(thrown) || (thrown as NodeJS.ErrnoException).code === 'EINVAL') return undefined
    throw thrown
  }
}

/** Writes the whole file, on disk when it returns. A symbolic link stays one: its target is written. Parents are made 0755. */
export async function writeFileAtomic(file: string, content: Uint8Array | string, properties: FileProperties): Promise<void> {
  const target = await stage(file, content, properties)
  await target.commit()
}

/** The same in two moves: what `use` finds wrong with the temporary file (it throws) never gets into place. */
export async function writeFileValidated(
  file: string,
  content: Uint8Array | string,
  properties: FileProperties,
  use: (temporary: string) => Promise<void>,
): Promise<void> {
  const target = await stage(file, content, properties)
  try {
    await use(target.temporary)
  } catch (thrown) {
    await fs.rm(target.temporary, { force: true })
    throw thrown
  }
  await target.commit()
}

async function stage(file: string, content: Uint8Array | string, properties: FileProperties) {
  assertMayMutate(`write ${file}`)
  const target = await resolveLinks(file)
  const folder = path.dirname(target)
  const temporary = path.join(folder, `.${path.basename(target)}.hive-new`)
  try {
    await fs.mkdir(folder, { recursive: true, mode: 0o755 })
    await fs.rm(temporary, { force: true })
    const handle = await fs.open(temporary, 'wx', 0o600)
    try {
      await handle.writeFile(content)
      await handle.chown(properties.uid, properties.gid)
      await handle.chmod(properties.mode)
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (thrown) {
    await fs.rm(temporary, { force: true }).catch(() => undefined)
    throw unwritable(file, thrown)
  }
  const commit = async (): Promise<void> => {
    await fs.rename(temporary, target)
    await syncFolder(folder)
    await relabel(target)
  }
  return { temporary, commit }
}

/** What is new has the label of its folder; some (/etc/hosts, a home's .ssh) have one of their own. */
async function relabel(file: string): Promise<void> {
  if (await exists('/sys/fs/selinux/enforce')) await run(['restorecon', file], { okCodes: [0, 1] })
}

/** What the host's own state forbids is no defect of the agent's. */
function unwritable(file: string, thrown: unknown): unknown {
  const code = (thrown as NodeJS.ErrnoException).code
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new HiveError('blocked', `${file} can't be written: no space left`, { hint: 'free space on the host, or give it a larger disk', cause: thrown })
  if (code === 'EROFS') return new HiveError('blocked', `${file} can't be written: its file system is read only`, { cause: thrown })
  return thrown
}

async function resolveLinks(file: string): Promise<string> {
  const link = await linkTarget(file)
  if (link === undefined) return file
  try {
    return await fs.realpath(file)
  } catch (thrown) {
    if (isMissing(thrown)) return path.resolve(path.dirname(file), link)
    throw thrown
  }
}

/** Mode and owner of a file that is there. */
export async function setProperties(file: string, properties: FileProperties): Promise<void> {
  assertMayMutate(`change owner and mode of ${file}`)
  await fs.chown(file, properties.uid, properties.gid)
  await fs.chmod(file, properties.mode)
}

export async function removeFile(file: string): Promise<void> {
  assertMayMutate(`remove ${file}`)
  try {
    await fs.unlink(file)
  } catch (thrown) {
    if (!isMissing(thrown)) throw thrown
  }
}

/** A symbolic link with exactly this target, whatever was there before. */
export async function writeLinkAtomic(file: string, target: string): Promise<void> {
  assertMayMutate(`link ${file} to ${target}`)
  const temporary = path.join(path.dirname(file), `.${path.basename(file)}.hive-new`)
  await fs.rm(temporary, { force: true })
  await fs.symlink(target, temporary)
  await fs.rename(temporary, file)
  await syncFolder(path.dirname(file))
}

/** A folder with exactly this owner and mode; parents are made 0755 root. */
export async function ensureFolder(folder: string, properties: FileProperties): Promise<void> {
  assertMayMutate(`make folder ${folder}`)
  await fs.mkdir(folder, { recursive: true, mode: 0o755 })
  await fs.chown(folder, properties.uid, properties.gid)
  await fs.chmod(folder, properties.mode)
  await relabel(folder)
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await fs.open(folder, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Numbers of a user and a group, "" meaning root; undefined where the host does not know one of them (yet). */
export async function ownerIds(owner: string, group: string): Promise<{ uid: number; gid: number } | undefined> {
  const uid = owner === '' || owner === 'root' ? 0 : (await findUser(owner))?.uid
  const gid = group === '' || group === 'root' ? 0 : (await findGroup(group))?.gid
  return uid === undefined || gid === undefined ? undefined : { uid, gid }
}

/** What a new file of root's gets. */
export const rootFile: FileProperties = { mode: 0o644, uid: 0, gid: 0 }
