/** Runs a program whose children must die with it. */
import { HiveError, messageOf } from '../../../proto/errors.ts'
import { assertMayMutate } from '../gate.ts'
import { runInGroup } from '../process-group.ts'

export interface GroupOptions {
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  readonly onLine: (line: string) => void
}

/** From SIGTERM to SIGKILL, milliseconds. */
const grace = 5_000

/** Answers the exit code, null where a signal ended it. Throws 'cancelled' when the signal aborts, 'not-found' where there is no such program. */
export async function runGroup(argv: readonly [string, ...string[]], options: GroupOptions): Promise<number | null> {
  assertMayMutate(`run ${argv.join(' ')}`)
  options.signal.throwIfAborted()
  const [file] = argv
  // Workers that outlived it (ansible forks some) must not go on changing things.
  const { code } = await runInGroup(argv, { ...options, grace, keepOutput: false, killRest: true }).catch((cause: unknown) => {
    throw new HiveError('not-found', `${file} can't be run: ${messageOf(cause)}`, { cause })
  })
  if (options.signal.aborted) throw new HiveError('cancelled', `${file} was stopped`, { cause: options.signal.reason })
  return code
}
