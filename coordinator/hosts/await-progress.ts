/** Waiting for what comes about on hosts: as long as something moves, and no longer. */
import { createHash } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { HiveError, messageOf } from '../../proto/errors.ts'

export interface Clock {
  /** Milliseconds. */
  now(): number
  pause(milliseconds: number, signal: AbortSignal): Promise<void>
}

export const realClock: Clock = {
  now: () => performance.now(),
  pause: (milliseconds, signal) => wait(milliseconds, undefined, { signal }),
}

/**
 * What one look tells: it is so, or why not yet. Progress is what was not seen before in the same wait: what goes round in circles, such as a task that
 * is started again and again, is none.
 */
export type Sight<T> = { readonly done: T } | { readonly doubt: string; readonly measure?: string }

export interface Waiting {
  /** Milliseconds without progress after which it is given up. */
  readonly patience: number
  readonly signal: AbortSignal
  readonly clock?: Clock
  /** Told of each doubt that is another one than before. */
  readonly told?: (doubt: string) => void
  /** Of the error. */
  readonly host?: string
}

/** Milliseconds between two looks. */
const every = 1_000

/**
 * Looks until it is so. Rejects with HiveError 'not-converged' that names the last doubt; a look that fails is a doubt, too. Rejects with 'cancelled' for
 * the signal.
 */
export async function awaitProgress<T>(what: string, look: () => Promise<Sight<T>>, waiting: Waiting): Promise<T> {
  const { patience, signal, clock = realClock, told, host } = waiting
  let since = clock.now()
  let last: string | undefined
  const seen = new Set<string>()
  for (;;) {
    signal.throwIfAborted()
    const sight = await look().catch((error: unknown): Sight<T> => ({ doubt: messageOf(error) }))
    if ('done' in sight) return sight.done
    const { doubt, measure = '' } = sight
    const mark = createHash('sha1').update(`${doubt}\n${measure}`).digest('base64')
    if (!seen.has(mark)) since = clock.now()
    seen.add(mark)
    if (doubt !== last) told?.(doubt)
    last = doubt
    if (clock.now() - since >= patience) throw new HiveError('not-converged', `${what}: nothing moved for ${Math.round(patience / 1000)} s: ${doubt}`, { host })
    await clock.pause(every, signal)
  }
}
