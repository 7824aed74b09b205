/** Waiting on a condition, with a deadline. */
import { setTimeout as pause } from 'node:timers/promises'

/** Asks until `condition` answers something other than undefined or false. Throws after `deadline` milliseconds with the last error. */
export async function eventually<T>(what: string, deadline: number, condition: () => Promise<T | undefined | false>): Promise<T> {
  const end = performance.now() + deadline
  let last: unknown
  while (performance.now() < end) {
    try {
      const answer = await condition()
      if (answer !== undefined && answer !== false) return answer
    } catch (error) {
      last = error
    }
    await pause(250)
  }
  throw new Error(`${what}: not within ${deadline / 1000} s`, { cause: last })
}
