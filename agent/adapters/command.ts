/** Running tools: argv arrays, a deadline each, mutation only where it is allowed. */
import { HiveError, messageOf } from '../../proto/errors.ts'
import { assertMayMutate } from './gate.ts'
import { runInGroup } from './process-group.ts'

export interface CommandOptions {
  /** The command changes nothing, so a plan may run it. Default false. */
  readonly readOnly?: boolean
  readonly input?: string | Uint8Array
  /** Milliseconds until it is killed with all it started. Default 60 000. */
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

/**
 * Runs argv[0] with the rest as arguments, no shell. What it started goes with it when it is stopped. Throws HiveError
 * 'command-failed', 'timeout' or 'cancelled'.
 */
export async function run(argv: readonly [string, ...string[]], options: CommandOptions = {}): Promise<CommandResult> {
  const [file] = argv
  const { timeout = 60_000, okCodes = [0], cwd, input, signal, onLine } = options
  if (options.readOnly !== true) assertMayMutate(`run ${argv.join(' ')}`)
  if (signal?.aborted === true) throw new HiveError('cancelled', `${file} was stopped`)
  const env = { ...process.env, LC_ALL: 'C.UTF-8', ...options.env }
  const end = await runInGroup(argv, { env, cwd, input, timeout, signal, onLine, grace: 0, keepOutput: true, killRest: false }).catch((cause: unknown) => {
    throw new HiveError('command-failed', `${file} can't be run: ${messageOf(cause)}`, { cause })
  })
  const { code, stdout, stderr } = end
  if (end.stoppedBy === 'timeout') throw new HiveError('timeout', `${argv.join(' ')}: no end within ${timeout / 1000} s`)
  if (end.stoppedBy === 'signal') throw new HiveError('cancelled', `${file} was stopped`)
  const log = lastLines(stderr === '' ? stdout : stderr)
  if (code === null) throw new HiveError('command-failed', `${argv.join(' ')}: ended by ${end.killedBy}`, { log })
  if (!okCodes.includes(code)) throw new HiveError('command-failed', `${argv.join(' ')}: exit code ${code}`, { log })
  return { code, stdout, stderr }
}

/** Whether a command could not be run because the host does not have the program. */
export const isMissingProgram = (thrown: unknown): boolean =>
  thrown instanceof HiveError && thrown.code === 'command-failed' && (thrown.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT'

const lastLines = (text: string): string[] => text.trimEnd().split('\n').slice(-15)
