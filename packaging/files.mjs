// What the builders share: the cache outside the checkout, files put in place whole, digests.
import { createHash } from 'node:crypto'
import { copyFileSync, globSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

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

/** One digest of files, patterns below `root`, and of what else has a part in what is made of them. */
export function digestOf(root, patterns, other) {
  const hash = createHash('sha256').update(`${JSON.stringify(other)}\n`)
  for (const file of patterns.flatMap((pattern) => globSync(pattern, { cwd: root })).sort()) {
    const path = join(root, file)
    if (!statSync(path).isFile()) continue
    const content = readFileSync(path)
    hash.update(`${file} ${content.length}\n`).update(content)
  }
  return hash.digest('hex').slice(0, 32)
}

/**
 * Digest and size of what was made at `path` of the same inputs, as told beside it: it is not read again. Undefined where it is of others, or not
 * there.
 */
export function toldOf(path, inputs) {
  const last = readStamp(`${path}.json`)
  return last?.inputs === inputs && sizeOf(path) === last.size ? { sha256: last.sha256, size: last.size } : undefined
}

/** Puts what is in the cache at `path` and tells beside it what `toldOf` answers. */
export function placeTold(cached, path, inputs) {
  const stamp = `${path}.json`
  mkdirSync(dirname(path), { recursive: true })
  // A process that is killed between the two leaves no stamp of another file.
  rmSync(stamp, { force: true })
  place(cached, path)
  const told = { sha256: sha256Of(path), size: sizeOf(path) }
  writeStamp(stamp, { inputs, ...told })
  return told
}

/** What is told beside a file that was made, as JSON; undefined where there is nothing. */
export function readStamp(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Whole or not at all. */
export function writeStamp(path, told) {
  const aside = `${path}.${process.pid}`
  writeFileSync(aside, JSON.stringify(told))
  renameSync(aside, path)
}

/** Bytes; undefined where there is no such file. */
export const sizeOf = (path) => statSync(path, { throwIfNoEntry: false })?.size
