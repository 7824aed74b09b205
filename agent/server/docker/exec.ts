/** A command inside a container, with its input, its terminal and its exit code. */
import type { Duplex } from 'node:stream'
import { PassThrough } from 'node:stream'
import type { ExecInput, ExecOutput, ExecStart } from '#gen/hive/v1/docker.ts'
import { HiveError } from '../../../proto/errors.ts'
import { demux } from '../../adapters/docker/logs.ts'
import { dockerGet, dockerHijack, dockerPost } from '../../adapters/docker.ts'
import { Outbox } from './outbox.ts'

/** Output that waits for the caller before docker's stream is paused, in chunks. */
const fullOutbox = 64

interface ExecState {
  readonly Running: boolean
  readonly ExitCode: number | null
  readonly Pid?: number
}

export async function* exec(input: AsyncIterable<ExecInput>, signal: AbortSignal): AsyncGenerator<ExecOutput> {
  const messages = input[Symbol.asyncIterator]()
  const first = await messages.next()
  const start = first.done === true || first.value.input?.$case !== 'start' ? undefined : first.value.input.value
  if (start === undefined) throw new HiveError('invalid-input', 'the first message of Exec must be start')
  const { Id } = await dockerPost<{ Id: string }>(`/containers/${encodeURIComponent(start.container)}/exec`, { body: execBody(start), signal })
  const connection = await dockerHijack(`/exec/${Id}/start`, { body: { Detach: false, Tty: start.tty }, signal })
  const outbox = new Outbox<ExecOutput>()
  receive(connection, start.tty, outbox)
  const failed = (error: unknown): void => outbox.fail(error)
  if (start.size !== undefined) await resize(Id, start.size, signal)
  send({ [Symbol.asyncIterator]: () => messages }, connection, Id, signal).catch(failed)
  const abort = (): void => {
    connection.destroy()
    outbox.fail(new HiveError('cancelled', 'the caller went away'))
  }
  signal.addEventListener('abort', abort, { once: true })
  try {
    for await (const output of outbox) {
      yield output
      connection.resume()
    }
    const { ExitCode } = await dockerGet<ExecState>(`/exec/${Id}/json`, { signal })
    yield { output: { $case: 'exitCode', value: ExitCode ?? 0 } }
  } finally {
    signal.removeEventListener('abort', abort)
    connection.destroy()
    await hangUp(Id)
  }
}

const execBody = (start: ExecStart) => ({
  AttachStdin: start.stdin,
  AttachStdout: true,
  AttachStderr: true,
  Tty: start.tty,
  Cmd: start.command,
  Env: Object.entries(start.environment).map(([name, value]) => `${name}=${value}`),
  ...(start.user === '' ? {} : { User: start.user }),
})

function receive(connection: Duplex, terminal: boolean, outbox: Outbox<ExecOutput>): void {
  const sink = ($case: 'stdout' | 'stderr') => (chunk: Buffer) => {
    if (outbox.put({ output: { $case, value: chunk } }) > fullOutbox) connection.pause()
  }
  const out = new PassThrough().on('data', sink('stdout'))
  const err = new PassThrough().on('data', sink('stderr'))
  if (terminal) connection.on('data', sink('stdout'))
  else demux(connection, out, err)
  const end = (): void => {
    // What the frames' parts still hold comes out before the end is told.
    out.end()
    err.end()
    setImmediate(() => outbox.close())
  }
  connection.on('end', end).on('close', end)
  connection.on('error', (error) => outbox.fail(error))
}

async function send(messages: AsyncIterable<ExecInput>, connection: Duplex, id: string, signal: AbortSignal): Promise<void> {
  for await (const { input } of messages) {
    if (connection.destroyed) return
    switch (input?.$case) {
      case 'stdin':
        if (!connection.write(input.value)) await new Promise((resolve) => connection.once('drain', resolve).once('close', resolve))
        break
      case 'closeStdin':
        connection.end()
        break
      case 'resize':
        await resize(id, input.value, signal)
        break
      case 'start':
        throw new HiveError('invalid-input', 'start may be sent once only')
      case undefined:
        break
    }
  }
}

/** Docker refuses a size while the command is just starting or has just ended; the next one will do. */
const resize = (id: string, size: { rows: number; columns: number }, signal: AbortSignal): Promise<unknown> =>
  dockerPost(`/exec/${id}/resize`, { query: { h: String(size.rows), w: String(size.columns) }, signal }).catch(() => undefined)

/** Docker lets a command run on when its caller is gone; it is told as a terminal would tell it. */
async function hangUp(id: string): Promise<void> {
  const state = await dockerGet<ExecState>(`/exec/${id}/json`).catch(() => undefined)
  if (state?.Running !== true || !state.Pid) return
  try {
    process.kill(state.Pid, 'SIGHUP')
  } catch {
    // It ended in between.
  }
}
