/** Runs a program whose children must die with it: in a process group of its own, killed as a whole. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { HiveError } from '../../../proto/errors.ts'
import { assertMayMutate } from '../gate.ts'

export interface GroupOptions {
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  readonly onLine: (line: string) => void
}

/** From SIGTERM to SIGKILL, milliseconds. */
const graceMilliseconds = 5_000

/** Answers the exit code, null where a signal ended it. Throws 'cancelled' when the signal aborts, 'not-found' where there is no such program. */
export async function runGroup(argv: readonly [string, ...string[]], options: GroupOptions): Promise<number | null> {
  assertMayMutate(`run ${argv.join(' ')}`)
  options.signal.throwIfAborted()
  const [file, ...args] = argv
  const child = spawn(file, args, { cwd: options.cwd, env: options.env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let killer: NodeJS.Timeout | undefined
  const kill = (signal: NodeJS.Signals): void => {
    if (child.pid === undefined) return
    try {
      process.kill(-child.pid, signal)
    } catch {
      // The group is gone already.
    }
  }
  const stop = (): void => {
    kill('SIGTERM')
    killer = setTimeout(() => kill('SIGKILL'), graceMilliseconds)
  }
  options.signal.addEventListener('abort', stop, { once: true })
  try {
    const reading = [child.stdout, child.stderr].map(async (stream) => {
      for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) options.onLine(line)
    })
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', (cause) => reject(new HiveError('not-found', `${file} can't be run: ${cause.message}`, { cause })))
      child.once('close', resolve)
    })
    await Promise.all(reading)
    if (options.signal.aborted) throw new HiveError('cancelled', `${file} was stopped`, { cause: options.signal.reason })
    return code
  } finally {
    options.signal.removeEventListener('abort', stop)
    if (killer !== undefined) clearTimeout(killer)
    // Workers that outlived it (ansible forks some) must not go on changing things.
    kill('SIGKILL')
  }
}
