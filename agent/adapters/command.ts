/** Running tools: argv arrays, a deadline each, mutation only where it is allowed. */
import { execa } from 'execa'
import { HiveError } from '../../proto/errors.ts'
import { assertMayMutate } from './gate.ts'

export interface CommandOptions {
  /** The command changes nothing, so a plan may run it. Default false. */
  readonly readOnly?: boolean
  readonly input?: string | Uint8Array
  /** Milliseconds until the process is killed. Default 60 000. */
  readonly timeout?: number
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly signal?: AbortSignal
  /** Exit codes that are answers, not errors. Default [0]. */
  readonly okCodes?: readonly number[]
  /** Called with each line of stdout and stderr as it comes. */
  readonly onLine?: (line: string) => void
}

export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs argv[0] with the rest as arguments, no shell. Throws HiveError 'command-failed' or 'timeout'. */
export async function run(argv: readonly [string, ...string[]], options: CommandOptions = {}): Promise<CommandResult> {
  const [file, ...args] = argv
  if (options.readOnly !== true) assertMayMutate(`run ${argv.join(' ')}`)
  const child = execa(file, args, {
    reject: false,
    all: true,
    timeout: options.timeout ?? 60_000,
    killSignal: 'SIGKILL',
    stdin: options.input === undefined ? 'ignore' : 'pipe',
    ...(options.input === undefined ? {} : { input: options.input }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
    env: { LC_ALL: 'C.UTF-8', ...options.env },
  })
  if (options.onLine !== undefined) {
    const { onLine } = options
    void (async () => {
      for await (const line of child.iterable({ from: 'all' })) onLine(String(line))
    })().catch(() => undefined)
  }
  const result = await child
  const stdout = String(result.stdout ?? '')
  const stderr = String(result.stderr ?? '')
  if (result.timedOut) throw new HiveError('timeout', `${argv.join(' ')}: no end within ${(options.timeout ?? 60_000) / 1000} s`)
  if (result.isCanceled) throw new HiveError('cancelled', `${file} was stopped`)
  if (result.exitCode === undefined) throw new HiveError('command-failed', `${file}: ${result.shortMessage ?? 'could not be run'}`, { log: lastLines(stderr) })
  if (!(options.okCodes ?? [0]).includes(result.exitCode))
    throw new HiveError('command-failed', `${argv.join(' ')}: exit code ${result.exitCode}`, { log: lastLines(stderr === '' ? stdout : stderr) })
  return { code: result.exitCode, stdout, stderr }
}

const lastLines = (text: string): string[] => text.trimEnd().split('\n').slice(-15)
