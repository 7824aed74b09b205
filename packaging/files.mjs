// What the builders share: the cache outside the checkout, files put in place whole, digests.
import { createHash } from 'node:crypto'
import { copyFileSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** $HIVE_CACHE, /var/cache/hive for root, else ~/.cache/hive; made where it is missing. */
export function cacheFolder() {
  const folder = process.env.HIVE_CACHE ?? (process.getuid?.() === 0 ? '/var/cache/hive' : join(homedir(), '.cache/hive'))
  mkdirSync(folder, { recursive: true })
  return folder
}

/** A hard link where both are on one file system, else a copy; whole or not at all. */
export function place(from, to) {
  const aside = `${to}.${process.pid}.new`
  rmSync(aside, { force: true })
  try {
    linkSync(from, aside)
  } catch {
    copyFileSync(from, aside)
  }
  renameSync(aside, to)
  // Where both names were links to one file already, renaming did nothing.
  rmSync(aside, { force: true })
}

export const sha256Of = (path) => createHash('sha256').update(readFileSync(path)).digest('hex')
