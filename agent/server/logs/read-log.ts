/** A log from the last lines that are wanted, or from a time on, and on as it grows. */
import { setTimeout as pause } from 'node:timers/promises'
import { fileLines, LineCutter, startOfLast } from './file-lines.ts'
import { type OpenLog, openLog, openRotated } from './log-files.ts'
import { errorsOf, matching, notBefore } from './wanted-lines.ts'

export interface LogQuestion {
  readonly file: string
  /** Only lines about this service's log. */
  readonly errorsOf?: string | undefined
  /** Of those that are wanted; 0: all. */
  readonly tail: number
  readonly since: Date | undefined
  /** '': all. */
  readonly grep: string
  readonly follow: boolean
}

/** Milliseconds between two looks at a log that is followed. */
const interval = 300
const block = 64 * 1024

/** Undefined where there is no such log, and none is waited for. */
export async function readLog(question: LogQuestion, signal: AbortSignal): Promise<AsyncGenerator<string> | undefined> {
  const current = await openLog(question.file)
  const rotated = await openRotated(question.file, current, question.since)
  if (current === undefined && rotated.length === 0 && !question.follow) return undefined
  return lines(question, current, rotated, signal)
}

async function* lines(question: LogQuestion, current: OpenLog | undefined, rotated: readonly OpenLog[], signal: AbortSignal): AsyncGenerator<string> {
  const files = current === undefined ? rotated : [...rotated, current]
  try {
    if (question.tail > 0) yield* lastOf(files, question, signal)
    else for (const file of files) yield* wanted(fileLines(file), question, signal)
    for (const { handle } of rotated) await handle.close()
    if (question.follow) yield* wanted(grown(question.file, current, signal), { ...question, since: undefined }, signal)
  } finally {
    for (const { handle } of files) await handle.close()
  }
}

/** The filters. Without any it is the same. */
function wanted(all: AsyncIterable<string>, { since, errorsOf: service, grep }: LogQuestion, signal: AbortSignal): AsyncIterable<string> {
  const young = since === undefined ? all : notBefore(all, since)
  const own = service === undefined ? young : errorsOf(young, service)
  return grep === '' ? own : matching(own, grep, signal)
}

/** From the youngest file back, as far as is needed. */
async function* lastOf(files: readonly OpenLog[], question: LogQuestion, signal: AbortSignal): AsyncGenerator<string> {
  const unfiltered = question.since === undefined && question.errorsOf === undefined && question.grep === ''
  const found: string[][] = []
  let missing = question.tail
  for (const file of files.toReversed()) {
    const from = unfiltered && !file.compressed ? await startOfLast(file, missing) : 0
    const last: string[] = []
    for await (const line of wanted(fileLines(file, from), question, signal)) {
      signal.throwIfAborted()
      last.push(line)
      // Half of it goes at once, so that a long file is not moved about for each line.
      if (last.length >= 2 * missing) last.splice(0, last.length - missing)
    }
    const needed = last.slice(-missing)
    found.unshift(needed)
    missing -= needed.length
    if (missing === 0) break
  }
  for (const part of found) yield* part
}

/**
 * What is written after `current` was opened. Where the log is rotated, what still goes into the old file comes first. Without `current` it
 * begins with the file that comes.
 */
async function* grown(path: string, current: OpenLog | undefined, signal: AbortSignal): AsyncGenerator<string> {
  const buffer = Buffer.alloc(block)
  const cutter = new LineCutter()
  let log = current
  // The line that was being written then begins after the last end of a line.
  let at = log === undefined ? 0 : await startOfLast(log, 0)
  try {
    while (!signal.aborted) {
      if (log !== undefined) {
        const { bytesRead } = await log.handle.read(buffer, 0, block, at)
        if (bytesRead > 0) {
          at += bytesRead
          yield* cutter.cut(buffer.subarray(0, bytesRead))
          continue
        }
      }
      const next = await openLog(path)
      if (next !== undefined && next.inode === log?.inode) {
        // Cut short under our feet: from the beginning.
        if (next.size < at) at = 0
        await next.handle.close()
      } else if (next !== undefined && (log === undefined || next.size > 0)) {
        if (log !== undefined) {
          const { bytesRead } = await log.handle.read(buffer, 0, block, at)
          if (bytesRead > 0) {
            await next.handle.close()
            at += bytesRead
            yield* cutter.cut(buffer.subarray(0, bytesRead))
            continue
          }
          if (log !== current) await log.handle.close()
        }
        cutter.end()
        log = next
        at = 0
        continue
      } else await next?.handle.close()
      await pause(interval, undefined, { signal }).catch(() => undefined)
    }
  } finally {
    if (log !== undefined && log !== current) await log.handle.close()
  }
}
