/** Asking again until something is as it should be. */
import { setTimeout as sleep } from 'node:timers/promises'
import { HiveError } from '../../../proto/errors.ts'

export interface Clock {
  /** Milliseconds. */
  now(): number
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>
  /** 0 … 1 */
  random(): number
}

export const realClock: Clock = {
  now: () => performance.now(),
  sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
  random: Math.random,
}

/**
 * The first answer of `ask` that is not undefined. Waits 1 s, then half as long again each time up to 10 s, give or take a quarter.
 * Throws HiveError 'timeout' after `seconds`, 'cancelled' when the signal says so.
 */
export async function untilAnswer<T>(
  what: string,
  ask: () => Promise<T | undefined>,
  { seconds, signal, clock }: { readonly seconds: number; readonly signal: AbortSignal; readonly clock: Clock },
): Promise<T> {
  const end = clock.now() + seconds * 1000
  for (let pause = 1000; ; pause = Math.min(pause * 1.5, 10_000)) {
    if (signal.aborted) throw new HiveError('cancelled', `waiting for ${what} was stopped`)
    const answer = await ask()
    if (answer !== undefined) return answer
    if (clock.now() + pause > end) throw new HiveError('timeout', `${what}: not within ${seconds} s`, { hint: 'run again: it goes on from here' })
    await clock.sleep(pause * (0.75 + clock.random() / 2), signal).catch(() => undefined)
  }
}
