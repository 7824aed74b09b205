/** Waiting by asking again: growing pauses with jitter, so that many askers do not come in step. */
import { setTimeout as pause } from 'node:timers/promises'
import { HiveError } from '../../../proto/errors.ts'

export interface Clock {
  /** Milliseconds, growing. */
  now(): number
  /** Milliseconds since 1970. */
  date(): number
  /** 0 to 1. */
  random(): number
  pause(milliseconds: number, signal: AbortSignal): Promise<void>
}

export const realClock: Clock = {
  now: () => performance.now(),
  date: Date.now,
  random: Math.random,
  pause: async (milliseconds, signal) => {
    await pause(milliseconds, undefined, { signal }).catch(() => undefined)
    throwIfCancelled(signal)
  },
}

export function throwIfCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw new HiveError('cancelled', 'stopped', { cause: signal.reason })
}

/** Milliseconds before try `attempt` (0 is the first repetition): half of it certain, half of it chance. */
export function backoff(
  attempt: number,
  { first = 500, most = 5_000, random }: { readonly first?: number; readonly most?: number; readonly random: number },
): number {
  const full = Math.min(most, first * 1.6 ** attempt)
  return full / 2 + (full / 2) * random
}

export interface WaitOptions {
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Milliseconds until it is given up. */
  readonly deadline: number
  readonly first?: number
  readonly most?: number
}

/** Asks until there is an answer other than undefined; undefined after the deadline. Throws HiveError 'cancelled'. */
export async function untilAnswer<T>(
  ask: () => Promise<T | undefined>,
  { clock, signal, deadline, first = 500, most = 5_000 }: WaitOptions,
): Promise<T | undefined> {
  const end = clock.now() + deadline
  for (let attempt = 0; ; attempt++) {
    throwIfCancelled(signal)
    const answer = await ask()
    if (answer !== undefined) return answer
    const next = backoff(attempt, { first, most, random: clock.random() })
    if (clock.now() + next > end) return undefined
    await clock.pause(next, signal)
  }
}
