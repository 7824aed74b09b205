/** Docker's log streams: frames of 8 bytes header (stream, length) and content, or plain bytes of a terminal. */
import { type Readable, Writable } from 'node:stream'
import { dockerGet, dockerStream } from '../docker.ts'

export interface LogLineFound {
  readonly stream: 'stdout' | 'stderr'
  readonly line: string
}

/** Calls back with each whole line; resolves when the stream has ended. */
export function eachLogLine(body: NodeJS.ReadableStream, terminal: boolean, onLine: (found: LogLineFound) => void): Promise<void> {
  const out = lines((line) => onLine({ stream: 'stdout', line }))
  const err = lines((line) => onLine({ stream: 'stderr', line }))
  return new Promise((resolve, reject) => {
    if (terminal) body.on('data', (chunk: Buffer) => out.write(chunk))
    else demux(body, out, err)
    body.on('error', reject)
    body.on('close', () => {
      out.end()
      err.end()
      resolve()
    })
    body.on('end', () => {
      out.end()
      err.end()
      resolve()
    })
  })
}

const headerSize = 8
/** Stream (1: stdout, 2: stderr, 3: an error of docker's own), three zero bytes, length. */
const isHeader = (bytes: Buffer): boolean => bytes.readUInt8(0) <= 3 && bytes.readUIntBE(1, 3) === 0

/** Parts docker's frames into stdout and stderr; docker's own errors go to stderr. What does not begin as a frame is a terminal's bytes: all of it is stdout. */
export function demux(body: NodeJS.ReadableStream, out: NodeJS.WritableStream, err: NodeJS.WritableStream): void {
  let rest: Buffer = Buffer.alloc(0)
  let framed: boolean | undefined
  body.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    while (rest.length >= headerSize) {
      framed ??= isHeader(rest)
      if (!framed) break
      const end = headerSize + rest.readUInt32BE(4)
      if (rest.length < end) return
      const target = rest.readUInt8(0) <= 1 ? out : err
      target.write(rest.subarray(headerSize, end))
      rest = rest.subarray(end)
    }
    if (framed !== false || rest.length === 0) return
    out.write(rest)
    rest = Buffer.alloc(0)
  })
}

function lines(onLine: (line: string) => void): Writable {
  const decoder = new TextDecoder()
  let rest = ''
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      rest += decoder.decode(chunk, { stream: true })
      const parts = rest.split('\n')
      rest = parts.pop() ?? ''
      for (const part of parts) onLine(part.replace(/\r$/, ''))
      done()
    },
    final(done) {
      if (rest !== '') onLine(rest)
      rest = ''
      done()
    },
  })
}

export interface LogOptions {
  readonly follow?: boolean
  /** Number of last lines; undefined: all. */
  readonly tail?: number | undefined
  readonly since?: Date | undefined
  readonly timestamps?: boolean
  readonly signal: AbortSignal
}

const query = (options: LogOptions): Record<string, unknown> => ({
  stdout: '1',
  stderr: '1',
  follow: options.follow === true ? '1' : '0',
  timestamps: options.timestamps === true ? '1' : '0',
  tail: options.tail === undefined ? 'all' : String(options.tail),
  ...(options.since === undefined ? {} : { since: String(options.since.getTime() / 1000) }),
})

/** The time that docker put before a line, and the line without it; docker's own errors have none. */
export function timeOf(line: string): { readonly at: Date | undefined; readonly text: string } {
  const [, time = '', text = ''] = /^(\d{4}-\d\d-\d\dT\S+) ?(.*)$/s.exec(line) ?? []
  const at = new Date(time)
  return Number.isNaN(at.getTime()) ? { at: undefined, text: line } : { at, text }
}

/**
 * Lines of one container of this host. Works with logging drivers that send elsewhere: docker keeps a local cache. `source` can be
 * paused by a receiver that has enough for now.
 */
export async function containerLogs(container: string, options: LogOptions, onLine: (found: LogLineFound, source: Readable) => void): Promise<void> {
  const { Config } = await dockerGet<{ Config: { Tty: boolean } }>(`/containers/${encodeURIComponent(container)}/json`, { signal: options.signal })
  const body = await dockerStream('GET', `/containers/${encodeURIComponent(container)}/logs`, { query: query(options), signal: options.signal })
  await eachLogLine(body, Config.Tty, (found) => onLine(found, body))
}

/**
 * The last lines of a task or a service, from whatever host it ran on. Best effort: [] or fewer where a host does not
 * answer within 5 s or keeps no log.
 */
export async function lastLogLines(kind: 'tasks' | 'services', id: string, count: number, signal: AbortSignal): Promise<string[]> {
  const found: string[] = []
  const limited = AbortSignal.any([signal, AbortSignal.timeout(5000)])
  try {
    const body = await dockerStream('GET', `/${kind}/${id}/logs`, { query: query({ tail: count, signal: limited }), signal: limited })
    await eachLogLine(body, false, ({ line }) => found.push(line))
  } catch {
    // What was read so far is all there is to show.
  }
  return found.slice(-count)
}
