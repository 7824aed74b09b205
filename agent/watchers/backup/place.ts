/** Where commands are run: in a container, or on the host itself. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { HiveError } from '../../../proto/errors.ts'
import { execInContainer } from '../../adapters/docker/exec-stream.ts'
import { assertMayMutate } from '../../adapters/gate.ts'
import { lineReader } from '../../adapters/line-reader.ts'

export interface RunOptions {
  readonly signal: AbortSignal
  /** Standard input; none: empty. One that throws breaks the command off. */
  readonly input?: AsyncIterable<Uint8Array> | undefined
  /** Each line of standard error. */
  readonly onLine?: ((line: string) => void) | undefined
}

export interface Place {
  /** For people: "container 1a2b3c of db". */
  readonly what: string
  /** Yields standard output, returns the exit code. Throws HiveError where it can't be told. */
  run(argv: readonly string[], options: RunOptions): AsyncGenerator<Buffer, number>
}

export const containerPlace = (id: string, what: string): Place => ({ what, run: (argv, options) => execInContainer(id, argv, options) })

export const hostPlace: Place = { what: 'this host', run: runOnHost }

async function* runOnHost(argv: readonly string[], { signal, input, onLine }: RunOptions): AsyncGenerator<Buffer, number> {
  const [file = '', ...rest] = argv
  assertMayMutate(`run ${file}`)
  signal.throwIfAborted()
  // In a group of its own, so that all parts of a pipeline end together.
  const child = spawn(file, rest, { stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'], detached: true })
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', (cause) => reject(new HiveError('command-failed', `${file} can't be run: ${cause.message}`, { cause })))
    child.once('close', (code) => resolve(code ?? 128))
  })
  ended.catch(() => undefined)
  const kill = (): void => {
    try {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // It ended in between.
    }
  }
  signal.addEventListener('abort', kill, { once: true })
  const errors = lineReader(onLine)
  child.stderr?.on('data', errors.data)
  let broken: unknown
  const feeding = feed(child.stdin, input).catch((error: unknown) => {
    broken = error
    kill()
  })
  try {
    for await (const chunk of child.stdout ?? []) yield chunk as Buffer
    const code = await ended
    await feeding
    errors.end()
    if (broken !== undefined) throw broken
    signal.throwIfAborted()
    return code
  } finally {
    signal.removeEventListener('abort', kill)
    kill()
  }
}

async function feed(to: NodeJS.WritableStream | null | undefined, input: AsyncIterable<Uint8Array> | undefined): Promise<void> {
  if (to === null || to === undefined || input === undefined) return
  let closed = false
  // A command may end without reading all: its exit code tells.
  to.on('error', () => undefined)
  to.on('close', () => {
    closed = true
  })
  for await (const chunk of input) {
    if (closed) return
    if (!to.write(chunk)) await Promise.race([once(to, 'drain'), once(to, 'close')]).catch(() => undefined)
  }
  to.end()
}

/** All of a run's output, and its exit code. Only for short ones. */
export async function collect(running: AsyncGenerator<Buffer, number>): Promise<{ readonly code: number; readonly output: string }> {
  const chunks: Buffer[] = []
  for (;;) {
    const next = await running.next()
    if (next.done === true) return { code: next.value, output: Buffer.concat(chunks).toString('utf8') }
    chunks.push(next.value)
  }
}

/** The exit code; output goes nowhere. */
export async function codeOf(running: AsyncGenerator<Buffer, number>): Promise<number> {
  for (;;) {
    const next = await running.next()
    if (next.done === true) return next.value
  }
}
