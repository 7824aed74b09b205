/** Waiting for EFS, which takes seconds to minutes. */
import { HiveError } from '../../../proto/errors.ts'
import { type Clock, untilAnswer as until } from './wait.ts'

export { type Clock, realClock } from './wait.ts'

/** The first answer of `ask` that is not undefined. Throws HiveError 'timeout' after `seconds`, 'cancelled' when the signal says so. */
export async function untilAnswer<T>(
  what: string,
  ask: () => Promise<T | undefined>,
  { seconds, signal, clock }: { readonly seconds: number; readonly signal: AbortSignal; readonly clock: Clock },
): Promise<T> {
  const answer = await until(ask, { clock, signal, deadline: seconds * 1000, first: 1_000, most: 10_000 })
  if (answer === undefined) throw new HiveError('timeout', `${what}: not within ${seconds} s`, { hint: 'run again: it goes on from here' })
  return answer
}
