/** Runs tools of this machine (ip, mount, ssh …): argv arrays, a deadline each, errors that name the tool. */
import { execa } from 'execa'
import { HiveError } from '../../proto/errors.ts'

export interface CommandOptions {
  /** Milliseconds until the process is killed. Default 30 000. */
  readonly timeout?: number | undefined
  readonly input?: string | Uint8Array | undefined
  /** Exit codes that are answers, not errors. Default [0]. */
  readonly okCodes?: readonly number[] | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly signal?: AbortSignal | undefined
  /** Called with each line of stdout and stderr as it comes. */
  readonly onLine?: ((line: string) => void) | undefined
}

export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** No shell. Throws HiveError 'command-failed', 'timeout' or 'cancelled'. */
export async function run(argv: readonly [string, ...string[]], options: CommandOptions = {}): Promise<CommandResult> {
  const [file, ...args] = argv
  const timeout = options.timeout ?? 30_000
  const { onLine } = options
  const child = execa(file, args, {
    reject: false,
    timeout,
    killSignal: 'SIGKILL',
    ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
    // Not every user has sbin on PATH, and these tools live there.
    env: { LC_ALL: 'C.UTF-8', PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`, ...options.env },
    ...(onLine === undefined ? {} : { all: true as const }),
  })
  if (onLine !== undefined) {
    void (async () => {
      for await (const line of child.iterable({ from: 'all' as 'stdout' })) onLine(String(line))
    })().catch(() => undefined)
  }
  const result = await child
  const stdout = String(result.stdout ?? '')
  const stderr = String(result.stderr ?? '')
  const shown = argv.join(' ')
  if (result.timedOut) throw new HiveError('timeout', `${shown}: no end within ${timeout / 1000} s`, { log: lastLines(stderr) })
  if (result.isCanceled) throw new HiveError('cancelled', `${file} was stopped`)
  if (result.exitCode === undefined)
    throw new HiveError('command-failed', `${shown}: ${result.shortMessage ?? 'could not be run'}`, { log: lastLines(stderr), cause: result.cause })
  if (!(options.okCodes ?? [0]).includes(result.exitCode))
    throw new HiveError('command-failed', `${shown}: exit code ${result.exitCode}`, { log: lastLines(stderr.trim() === '' ? stdout : stderr) })
  return { code: result.exitCode, stdout, stderr }
}

const lastLines = (text: string): string[] => {
  const trimmed = text.trimEnd()
  return trimmed === '' ? [] : trimmed.split('\n').slice(-15)
}
