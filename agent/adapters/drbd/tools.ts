/**
 * The one way to drbdadm, drbdsetup and other tools that touch storage. Such a tool can hang in the kernel, where even SIGKILL is not
 * heard: it is left behind and counted, and with several of them nothing more is sent after them.
 */
import { HiveError } from '../../../proto/errors.ts'
import { type CommandOptions, type CommandResult, run } from '../command.ts'

export interface StuckCommand {
  readonly argv: readonly string[]
  readonly since: Date
}

/** With so many commands that do not come back, storage is left alone: each one more holds a lock, a thread or a device. */
const stuckLimit = 3
/** Milliseconds, where the caller names none. */
const defaultTimeout = 30_000
/** Milliseconds for a killed command to be gone. */
const killTime = 3_000

const stuck = new Set<StuckCommand>()
let mutations = 0

/** Commands that were killed and are still there, oldest first. */
export const stuckCommands = (): readonly StuckCommand[] => [...stuck]

/** Grows with each command that may have changed DRBD's state, when it begins and when it ends: what was read before is old then. */
export const drbdMutations = (): number => mutations

export const drbdadm = (args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> => drbd(['drbdadm', ...args], options)
export const drbdsetup = (args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> => drbd(['drbdsetup', ...args], options)

/** drbdmeta works on a disk's metadata, whether DRBD is loaded or not. */
export const drbdmeta = (args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> => drbd(['drbdmeta', ...args], options)

async function drbd(argv: readonly [string, ...string[]], options: CommandOptions): Promise<CommandResult> {
  const changes = options.readOnly !== true
  if (changes) mutations++
  try {
    return await storageCommand(argv, options)
  } catch (error) {
    throw withoutSecret(error)
  } finally {
    if (changes) mutations++
  }
}

/** drbdadm tells of a drbdsetup that failed with all its arguments, the shared secret among them. */
export const hideSecret = (text: string): string => text.replaceAll(/(shared-secret[= ]\s*)("[^"]*"|[^\s;'"]+)/g, '$1***')

function withoutSecret(error: unknown): unknown {
  if (!(error instanceof HiveError)) return error
  return new HiveError(error.code, hideSecret(error.message), { hint: error.hint, log: error.log.map(hideSecret), cause: error.cause })
}

/** As `run`, with an end in any case. Throws HiveError 'blocked' while too many commands hang. */
export function storageCommand(argv: readonly [string, ...string[]], options: CommandOptions = {}): Promise<CommandResult> {
  return bounded(argv, options, run)
}

/** `start` is `run`; a test brings one that never ends. */
export async function bounded(argv: readonly [string, ...string[]], options: CommandOptions, start: typeof run, grace = killTime): Promise<CommandResult> {
  if (stuck.size >= stuckLimit)
    throw new HiveError('blocked', `storage on this host does not answer: ${stuck.size} commands never returned`, {
      hint: 'look at the disks and at journalctl -k; commands in state D end with a reboot only. Data on other hosts is not concerned',
      log: [...stuck].map((one) => `${one.since.toISOString()} ${one.argv.join(' ')}`),
    })
  const { timeout = defaultTimeout, signal } = options
  const since = new Date()
  const ended = start(argv, { ...options, timeout })
  let timer: NodeJS.Timeout | undefined
  let onAbort: (() => void) | undefined
  const overdue = new Promise<never>((_, reject) => {
    const giveUp = (): void => {
      const entry: StuckCommand = { argv, since }
      stuck.add(entry)
      const gone = (): void => void stuck.delete(entry)
      ended.then(gone, gone)
      reject(
        new HiveError('timeout', `${argv.join(' ')}: no end within ${timeout / 1000} s, and it can't be killed`, {
          hint: 'it hangs in the kernel: look at the disk and at journalctl -k',
        }),
      )
    }
    onAbort = (): void => {
      clearTimeout(timer)
      timer = setTimeout(giveUp, grace)
    }
    timer = setTimeout(giveUp, timeout + grace)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
  try {
    return await Promise.race([ended, overdue])
  } finally {
    clearTimeout(timer)
    if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort)
  }
}
