/**
 * New lines of a file that others write and rotate. A mark says up to where it was read: which file it was, by its inode and its first
 * bytes, and how far. What was left in a file that has been renamed meanwhile comes first.
 */
import { createHash } from 'node:crypto'
import { type FileHandle, open, readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

export interface TailMark {
  readonly inode: number
  readonly offset: number
  /** Of the first bytes, as many as `headLength`: an inode is used again. */
  readonly head: string
  readonly headLength: number
}

export interface Tail {
  readonly lines: readonly string[]
  /** Lines that there were beside these. */
  readonly leftOut: number
  /** Undefined while there is no file. */
  readonly mark: TailMark | undefined
}

export interface TailOptions {
  /** Bytes of a file that was never read before: a larger one is read from its end on. */
  readonly firstBytes: number
  /** Lines that are answered. */
  readonly lines: number
  /** Bytes that are read in one go; the rest comes next time. */
  readonly bytes?: number
  readonly matches?: (line: string) => boolean
}

const headBytes = 256
const longestLine = 16 * 1024

/** Whole lines only: what has no end yet comes with the next call. */
export async function readTail(path: string, mark: TailMark | undefined, options: TailOptions): Promise<Tail> {
  const matches = options.matches ?? (() => true)
  let budget = options.bytes ?? 4 * 1024 * 1024
  const found: string[] = []
  let count = 0
  const take = async (file: FileHandle, from: number): Promise<number> => {
    const { lines, end } = await linesFrom(file, from, budget)
    budget -= end - from
    for (const line of lines.filter(matches)) if (++count <= options.lines) found.push(line.slice(0, longestLine))
    return end
  }

  for (const rotated of mark === undefined ? [] : await filesSince(path, mark)) {
    const file = await open(rotated.path, 'r').catch(() => undefined)
    if (file === undefined) continue
    try {
      const end = await take(file, rotated.offset)
      if (budget <= 0) return { lines: found, leftOut: count - found.length, mark: await markOf(file, end) }
    } finally {
      await file.close()
    }
  }

  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? undefined : Promise.reject(error)))
  if (file === undefined) return { lines: found, leftOut: count - found.length, mark }
  try {
    const { size } = await file.stat()
    const start = mark === undefined ? (size > options.firstBytes ? await lastLineEnd(file, size) : 0) : await continuation(file, mark)
    const end = await take(file, start)
    return { lines: found, leftOut: count - found.length, mark: await markOf(file, end) }
  } finally {
    await file.close()
  }
}

/** Files of the name, or of it with an ending, that have been read in part or not at all: the marked one first. */
async function filesSince(path: string, mark: TailMark): Promise<readonly { readonly path: string; readonly offset: number }[]> {
  const name = basename(path)
  const current = await stat(path).catch(() => undefined)
  const siblings = (await readdir(dirname(path)).catch(() => [])).filter((one) => one.startsWith(name) && one !== name && !/\.(gz|xz|bz2|zst)$/.test(one))
  const candidates = await Promise.all(
    siblings.map(async (one) => {
      const sibling = join(dirname(path), one)
      const found = await stat(sibling).catch(() => undefined)
      return found === undefined || !found.isFile() || found.ino === current?.ino ? [] : [{ path: sibling, inode: found.ino, at: found.mtimeMs }]
    }),
  )
  const byAge = candidates.flat().sort((a, b) => a.at - b.at)
  for (const [index, { path: sibling, inode }] of byAge.entries()) {
    if (inode !== mark.inode || !(await isMarked(sibling, mark))) continue
    return byAge.slice(index).map((one, later) => ({ path: one.path, offset: later === 0 ? mark.offset : 0 }))
  }
  return []
}

async function isMarked(path: string, mark: TailMark): Promise<boolean> {
  const file = await open(path, 'r').catch(() => undefined)
  if (file === undefined) return false
  try {
    return (await continuation(file, mark)) === mark.offset
  } finally {
    await file.close()
  }
}

/** Where to go on in this file: the mark's place where it is the marked one and was not cut, else its beginning. */
async function continuation(file: FileHandle, mark: TailMark): Promise<number> {
  const { ino, size } = await file.stat()
  if (ino !== mark.inode || size < mark.offset) return 0
  return (await headOf(file, mark.headLength)) === mark.head ? mark.offset : 0
}

async function markOf(file: FileHandle, offset: number): Promise<TailMark> {
  const headLength = Math.min(headBytes, offset)
  return { inode: (await file.stat()).ino, offset, head: await headOf(file, headLength), headLength }
}

async function headOf(file: FileHandle, length: number): Promise<string> {
  const buffer = Buffer.alloc(length)
  const { bytesRead } = await file.read(buffer, 0, length, 0)
  return createHash('sha256').update(buffer.subarray(0, bytesRead)).digest('hex').slice(0, 32)
}

/** `end` is behind the last whole line. A line that is longer than the budget counts as whole. */
async function linesFrom(file: FileHandle, from: number, budget: number): Promise<{ readonly lines: readonly string[]; readonly end: number }> {
  const { size } = await file.stat()
  const length = Math.max(0, Math.min(size - from, budget))
  const buffer = Buffer.alloc(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, from + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  const last = buffer.subarray(0, filled).lastIndexOf(0x0a)
  const whole = last >= 0 ? last + 1 : filled >= budget && budget > 0 ? filled : 0
  const lines = buffer.subarray(0, whole).toString('utf8').split('\n')
  if (lines.at(-1) === '') lines.pop()
  return { lines, end: from + whole }
}

/** Behind the last line end: what is written from now on is new. */
async function lastLineEnd(file: FileHandle, size: number): Promise<number> {
  const length = Math.min(size, 64 * 1024)
  const buffer = Buffer.alloc(length)
  const { bytesRead } = await file.read(buffer, 0, length, size - length)
  const last = buffer.subarray(0, bytesRead).lastIndexOf(0x0a)
  return last < 0 ? size : size - length + last + 1
}
