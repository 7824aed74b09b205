/** A command inside the container of a service's task, with this process' input, output and terminal. */
import { PassThrough } from 'node:stream'
import type { ExecInput } from '#gen/hive/v1/docker.ts'
import type { App } from '../app.ts'
import { runningTask } from './find-container.ts'

export interface InsideRequest {
  readonly service: string
  /** Which running task, 1 is the first. */
  readonly number: number
  readonly command: readonly string[]
  /** Standard input is passed on. */
  readonly stdin: boolean
  readonly tty: boolean
  /** '' for the container's own. */
  readonly user: string
}

/** Answers the command's exit code. Throws HiveError 'not-found' where no such task runs. */
export async function runInside({ open, signal }: App, request: InsideRequest): Promise<number> {
  const stage = await open()
  const task = await runningTask(stage, request.service, request.number, signal)
  const client = await stage.agents.client(task.host)
  const raw = request.tty && process.stdin.isTTY
  let exitCode = 0
  if (raw) process.stdin.setRawMode(true)
  try {
    for await (const { output } of client.container.exec(inputs(task.containerId, request), { signal })) {
      if (output?.$case === 'stdout') process.stdout.write(output.value)
      if (output?.$case === 'stderr') process.stderr.write(output.value)
      if (output?.$case === 'exitCode') exitCode = output.value
    }
  } finally {
    if (raw) process.stdin.setRawMode(false)
    process.stdin.destroy()
  }
  return exitCode
}

/** A terminal that has no size, as a program’s, says 0. */
const terminalSize = (): { rows: number; columns: number } => ({ rows: process.stdout.rows || 24, columns: process.stdout.columns || 80 })

async function* inputs(container: string, { command, tty, stdin, user }: InsideRequest): AsyncGenerator<ExecInput> {
  yield { input: { $case: 'start', value: { container, command: [...command], tty, stdin, user, environment: {}, size: tty ? terminalSize() : undefined } } }
  if (!stdin) return
  const queue = new PassThrough({ objectMode: true })
  const onResize = (): void => void queue.write({ $case: 'resize', value: terminalSize() })
  if (tty) process.stdout.on('resize', onResize)
  process.stdin
    .on('data', (chunk: Buffer) => {
      if (queue.write({ $case: 'stdin', value: Buffer.from(chunk) })) return
      process.stdin.pause()
      queue.once('drain', () => process.stdin.resume())
    })
    .on('end', () => queue.write({ $case: 'closeStdin', value: true }))
    .on('close', () => queue.end())
  try {
    for await (const input of queue) yield { input: input as NonNullable<ExecInput['input']> }
  } finally {
    process.stdout.off('resize', onResize)
  }
}
