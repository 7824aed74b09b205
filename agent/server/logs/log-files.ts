/** A log and what logrotate made of its past. */
import { constants } from 'node:fs'
import { type FileHandle, open, readdir } from 'node:fs/promises'
import path from 'node:path'

/** A file that is open: renaming or removing it changes nothing for the reader. */
export interface OpenLog {
  readonly handle: FileHandle
  readonly inode: bigint
  /** Bytes when it was opened. */
  readonly size: number
  /** Milliseconds: nothing in it is younger, as long as nobody writes to it. */
  readonly writtenAt: number
  readonly compressed: boolean
}

/** NAME.1, NAME.2.gz; with dateext NAME-20261126, NAME-20261126.gz, NAME-20261126-1764140400. */
export const isRotated = (name: string, base: string): boolean => name.startsWith(base) && /^(?:\.\d+|-\d{8}(?:-?\d+)?)(?:\.gz)?$/.test(name.slice(base.length))

/** undefined where there is none. Links are none. */
export async function openLog(file: string): Promise<OpenLog | undefined> {
  let handle: FileHandle
  try {
    handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
  const stat = await handle.stat({ bigint: true })
  if (stat.isFile()) return { handle, inode: stat.ino, size: Number(stat.size), writtenAt: Number(stat.mtimeMs), compressed: file.endsWith('.gz') }
  await handle.close()
  return undefined
}

/**
 * What was rotated away from the log, oldest first, without what is certainly older than `since`. `current` was opened before: where it is renamed
 * in between it is not among them again. The caller closes them.
 */
export async function openRotated(file: string, current: OpenLog | undefined, since: Date | undefined): Promise<OpenLog[]> {
  const [folder, base] = [path.dirname(file), path.basename(file)]
  const names = await readdir(folder).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  })
  const found: OpenLog[] = []
  for (const name of names.filter((one) => isRotated(one, base))) {
    const log = await openLog(path.join(folder, name))
    if (log === undefined) continue
    const passed = log.inode === current?.inode || found.some(({ inode }) => inode === log.inode)
    if (passed || (since !== undefined && log.writtenAt < since.getTime() - 1000)) await log.handle.close()
    else found.push(log)
  }
  return found.sort((one, other) => one.writtenAt - other.writtenAt)
}
