/** Files that are either the old ones or the new ones, whatever happens in between. */
import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Replaces a file's content by rename within its folder (made when missing, 0700). On disk when it returns. */
export function writeFileAtomic(path: string, content: string | Uint8Array, mode = 0o600): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`
  try {
    const file = openSync(temporary, 'wx', mode)
    try {
      const bytes = typeof content === 'string' ? Buffer.from(content) : content
      for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

/** Milliseconds; no write takes as long. */
const abandonedAfter = 2_000

/** Removes what writers that were killed left beside their files, in this folder alone. */
export function sweepTemporaries(folder: string, now: Date): void {
  for (const name of readdirSync(folder)) {
    const pid = /\.(\d+)\.[0-9a-f]{8}$/.exec(name)?.[1]
    if (pid === undefined || lives(Number(pid))) continue
    const path = join(folder, name)
    const stat = statSync(path, { throwIfNoEntry: false })
    // A process of another machine, where the folder is shared, may be writing it.
    if (stat?.isFile() === true && now.getTime() - stat.mtimeMs > abandonedAfter) rmSync(path, { force: true })
  }
}

const lives = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

/** The file's text, or undefined where there is none. */
export function readTextIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
