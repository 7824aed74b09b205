/** A command in a container whose output is data: nothing of it is lost unnoticed, and its exit code is known or an error is thrown. */
import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { HiveError } from '../../../proto/errors.ts'
import { dockerGet, dockerHijack, dockerPost } from '../docker.ts'
import { lineReader } from '../line-reader.ts'
import { demux } from './logs.ts'
import { pause } from './wait.ts'

export interface ExecStreamOptions {
  readonly signal: AbortSignal
  readonly input?: AsyncIterable<Uint8Array> | undefined
  readonly onLine?: ((line: string) => void) | undefined
}

interface ExecState {
  readonly Running: boolean
  readonly ExitCode: number | null
  readonly Pid?: number
}

/** Bytes of output that wait before docker's stream is paused. */
const fullQueue = 4 * 1024 * 1024
/** Docker knows the exit code a moment after the streams have ended. */
const codePatience = 10_000

/** Yields standard output, returns the exit code. */
export async function* execInContainer(
  container: string,
  argv: readonly string[],
  { signal, input, onLine }: ExecStreamOptions,
): AsyncGenerator<Buffer, number> {
  const body = { AttachStdin: input !== undefined, AttachStdout: true, AttachStderr: true, Tty: false, Cmd: argv }
  const { Id } = await dockerPost<{ Id: string }>(`/containers/${encodeURIComponent(container)}/exec`, { body, signal })
  const connection = await dockerHijack(`/exec/${Id}/start`, { body: { Detach: false, Tty: false }, signal })
  const queue: Buffer[] = []
  let queued = 0
  let over = false
  let failure: unknown
  let wake: (() => void) | undefined
  const notice = (): void => wake?.()
  const out = new PassThrough().on('data', (chunk: Buffer) => {
    queue.push(chunk)
    queued += chunk.length
    if (queued > fullQueue) connection.pause()
    notice()
  })
  const errors = lineReader(onLine)
  const err = new PassThrough().on('data', errors.data)
  demux(connection, out, err)
  const fail = (error: unknown): void => {
    failure ??= error
    over = true
    notice()
  }
  const end = (): void => {
    out.end()
    err.end()
    // What the parts still hold comes out before the end is told.
    setImmediate(() => {
      over = true
      notice()
    })
  }
  connection
    .on('end', end)
    .on('close', end)
    .on('error', (cause) => fail(new HiveError('command-failed', 'the connection to docker broke', { cause })))
  const abort = (): void => {
    connection.destroy()
    fail(signal.reason)
  }
  signal.addEventListener('abort', abort, { once: true })
  feed(connection, input).catch((error: unknown) => {
    fail(error)
    connection.destroy()
  })
  try {
    for (;;) {
      const chunk = queue.shift()
      if (chunk !== undefined) {
        queued -= chunk.length
        yield chunk
        if (queued < fullQueue) connection.resume()
        continue
      }
      if (over) break
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    errors.end()
    if (failure !== undefined) throw failure
    return await exitCode(Id, signal)
  } finally {
    signal.removeEventListener('abort', abort)
    connection.destroy()
    await killExec(Id)
  }
}

async function feed(connection: NodeJS.WritableStream & { readonly destroyed: boolean }, input: AsyncIterable<Uint8Array> | undefined): Promise<void> {
  if (input === undefined) return
  for await (const chunk of input) {
    if (connection.destroyed) return
    if (!connection.write(chunk)) await Promise.race([once(connection, 'drain'), once(connection, 'close')]).catch(() => undefined)
  }
  if (!connection.destroyed) connection.end()
}

async function exitCode(id: string, signal: AbortSignal): Promise<number> {
  const until = Date.now() + codePatience
  for (;;) {
    const { Running, ExitCode } = await dockerGet<ExecState>(`/exec/${id}/json`, { signal })
    if (!Running && ExitCode !== null) return ExitCode
    if (Date.now() > until) throw new HiveError('command-failed', 'the connection to a command in a container ended before the command did')
    await pause(50, signal)
  }
}

/** Docker lets a command run on when its caller is gone. */
async function killExec(id: string): Promise<void> {
  const state = await dockerGet<ExecState>(`/exec/${id}/json`).catch(() => undefined)
  if (state?.Running !== true || !state.Pid) return
  try {
    process.kill(state.Pid, 'SIGKILL')
  } catch {
    // It ended in between.
  }
}
