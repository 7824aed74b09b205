/** Docker's log streams: frames of 8 bytes header (stream, length) and content, or plain bytes of a terminal. */
import { Writable } from 'node:stream'
import Docker from 'dockerode'
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

const demuxer = new Docker({ socketPath: '/nowhere' }).modem

/** Parts docker's frames into stdout and stderr. */
export const demux = (body: NodeJS.ReadableStream, out: NodeJS.WritableStream, err: NodeJS.WritableStream): void => demuxer.demuxStream(body, out, err)

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

/** Lines of one container of this host. Works with logging drivers that send elsewhere: docker keeps a local cache. */
export async function containerLogs(container: string, options: LogOptions, onLine: (found: LogLineFound) => void): Promise<void> {
  const { Config } = await dockerGet<{ Config: { Tty: boolean } }>(`/containers/${encodeURIComponent(container)}/json`, { signal: options.signal })
  const body = await dockerStream('GET', `/containers/${encodeURIComponent(container)}/logs`, { query: query(options), signal: options.signal })
  await eachLogLine(body, Config.Tty, onLine)
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
