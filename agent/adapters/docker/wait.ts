/** Waiting on conditions, with a deadline. */
import { setTimeout as delay } from 'node:timers/promises'
import { HiveError } from '../../../proto/errors.ts'

export interface WaitOptions {
  readonly signal: AbortSignal
  /** Milliseconds. */
  readonly timeout: number
  /** Milliseconds between two looks. Default 250. */
  readonly every?: number
}

/** Looks until `look` answers something other than undefined. Throws 'timeout' naming `what`, or 'cancelled'. */
export async function waitFor<T>(what: string, look: () => Promise<T | undefined>, options: WaitOptions): Promise<T> {
  const until = Date.now() + options.timeout
  for (;;) {
    const seen = await look()
    if (seen !== undefined) return seen
    if (Date.now() >= until) throw new HiveError('timeout', `${what}: not within ${Math.round(options.timeout / 1000)} s`)
    await pause(options.every ?? 250, options.signal)
  }
}

/** Throws 'cancelled' when the signal comes first. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(milliseconds, undefined, { signal })
  } catch (error) {
    throw new HiveError('cancelled', 'stopped while waiting', { cause: error })
  }
}
