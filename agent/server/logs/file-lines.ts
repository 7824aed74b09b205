/** Lines of an open log. */
import { createGunzip } from 'node:zlib'
import type { OpenLog } from './log-files.ts'

const block = 64 * 1024
const newline = 0x0a

/** Cuts what comes in pieces into lines. */
export class LineCutter {
  #rest: Buffer = Buffer.alloc(0)

  /** The lines that end in this piece. */
  cut(piece: Buffer): string[] {
    const bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece])
    const lines: string[] = []
    let from = 0
    for (let end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, from)) {
      lines.push(bytes.toString('utf8', from, end))
      from = end + 1
    }
    // A copy: the reader uses its buffer again.
    this.#rest = Buffer.from(bytes.subarray(from))
    return lines
  }

  /** What came after the last line's end; '' where nothing did. */
  end(): string {
    const text = this.#rest.toString('utf8')
    this.#rest = Buffer.alloc(0)
    return text
  }
}

/** Whole lines from `from`, up to what was there when it was opened. A line without an end is still being written, unless nobody writes to the file. */
export async function* fileLines(log: OpenLog, from = 0): AsyncGenerator<string> {
  const cutter = new LineCutter()
  for await (const piece of log.compressed ? decompressed(log) : pieces(log, from, log.size)) yield* cutter.cut(piece)
  if (log.compressed) {
    const last = cutter.end()
    if (last !== '') yield last
  }
}

async function* pieces(log: OpenLog, from: number, to: number): AsyncGenerator<Buffer> {
  const buffer = Buffer.alloc(block)
  for (let at = from; at < to; ) {
    const { bytesRead } = await log.handle.read(buffer, 0, Math.min(block, to - at), at)
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
    at += bytesRead
  }
}

async function* decompressed(log: OpenLog): AsyncGenerator<Buffer> {
  const stream = log.handle.createReadStream({ start: 0, autoClose: false }).pipe(createGunzip())
  for await (const piece of stream) yield piece as Buffer
}

/** Where the last `count` whole lines begin, of a file that is not compressed. */
export async function startOfLast(log: OpenLog, count: number): Promise<number> {
  const buffer = Buffer.alloc(block)
  let found = 0
  for (let end = log.size; end > 0; ) {
    const start = Math.max(0, end - block)
    const { bytesRead } = await log.handle.read(buffer, 0, end - start, start)
    for (let at = bytesRead - 1; at >= 0; at--) {
      if (buffer[at] !== newline) continue
      found += 1
      // The end of the last line is one, too.
      if (found > count) return start + at + 1
    }
    end = start
  }
  return 0
}
