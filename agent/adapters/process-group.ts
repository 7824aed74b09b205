/**
 * One program in a process group of its own. It is told to stop as a whole, and its end is its own: a child that it left behind with
 * its output open delays nobody.
 */
import { spawn } from 'node:child_process'
import type { Readable } from 'node:stream'

export interface GroupOptions {
  /** The whole environment. */
  readonly env: NodeJS.ProcessEnv
  readonly cwd?: string | undefined
  readonly input?: string | Uint8Array | undefined
  /** Milliseconds until the group is stopped. */
  readonly timeout?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Milliseconds from SIGTERM to SIGKILL; 0: SIGKILL at once. */
  readonly grace: number
  /** Whether output is answered, beside being told line by line. */
  readonly keepOutput: boolean
  /** What is left of the group when the program has ended: killed, or let be. */
  readonly killRest: boolean
  readonly onLine?: ((line: string) => void) | undefined
}

export interface GroupEnd {
  /** null where a signal ended it. */
  readonly code: number | null
  readonly killedBy: NodeJS.Signals | null
  readonly stoppedBy: 'timeout' | 'signal' | undefined
  /** Without their last line ends; '' unless kept. */
  readonly stdout: string
  readonly stderr: string
}

/** Milliseconds that output may still come after the program has ended. */
const lateOutput = 1_000

/** No shell. Rejects with what spawn says where the program can't be started. */
export function runInGroup(argv: readonly [string, ...string[]], options: GroupOptions): Promise<GroupEnd> {
  const [file, ...args] = argv
  const child = spawn(file, args, {
    detached: true,
    env: options.env,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  // A program that does not read its input to the end breaks the pipe, which is its right.
  child.stdin?.on('error', () => undefined).end(options.input)
  const { stdout, stderr } = child as { readonly stdout: Readable; readonly stderr: Readable }
  const out = collected(stdout, options)
  const err = collected(stderr, options)

  const kill = (signal: NodeJS.Signals): void => {
    if (child.pid === undefined) return
    try {
      process.kill(-child.pid, signal)
    } catch {
      // The group is gone already.
    }
  }
  let stoppedBy: GroupEnd['stoppedBy']
  let killer: NodeJS.Timeout | undefined
  const stop = (why: 'timeout' | 'signal') => (): void => {
    stoppedBy ??= why
    kill(options.grace === 0 ? 'SIGKILL' : 'SIGTERM')
    if (options.grace > 0) killer ??= setTimeout(() => kill('SIGKILL'), options.grace)
  }
  const onAbort = stop('signal')
  const timer = options.timeout === undefined ? undefined : setTimeout(stop('timeout'), options.timeout)
  let late: NodeJS.Timeout | undefined
  options.signal?.addEventListener('abort', onAbort, { once: true })
  if (options.signal?.aborted === true) onAbort()

  return new Promise<GroupEnd>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', () => {
      clearTimeout(timer)
      // A busy agent can find the time over before it has read what came in time. The event loop reads between a timer and setImmediate.
      late = setTimeout(() => {
        setImmediate(() => {
          stdout.destroy()
          stderr.destroy()
        })
      }, lateOutput)
    })
    child.once('close', (code, killedBy) => resolve({ code, killedBy, stoppedBy, stdout: out(), stderr: err() }))
  }).finally(() => {
    for (const pending of [timer, killer, late]) clearTimeout(pending)
    options.signal?.removeEventListener('abort', onAbort)
    if (options.killRest || stoppedBy !== undefined) kill('SIGKILL')
  })
}

/** Answers what to call at the end: it tells a last line without an end, and answers all that was kept. */
function collected(stream: Readable, { keepOutput, onLine }: GroupOptions): () => string {
  const decoder = new TextDecoder()
  let text = ''
  let rest = ''
  const take = (part: string): void => {
    if (keepOutput) text += part
    if (onLine === undefined) return
    const lines = (rest + part).split(/\r?\n/)
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line)
  }
  stream.on('data', (chunk: Buffer) => take(decoder.decode(chunk, { stream: true })))
  stream.on('error', () => undefined)
  return () => {
    take(decoder.decode())
    if (rest !== '') onLine?.(rest)
    return text.replace(/\r?\n$/, '')
  }
}
