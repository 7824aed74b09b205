/** Waiting on a condition, with a deadline. */
import { setTimeout as pause } from 'node:timers/promises'

/**
 * Milliseconds for what hosts and swarm come to by themselves: elections, tasks that start elsewhere, links that are made again. A quiet machine needs
 * half of it; this one may be busy with other sites, and who waits for a condition loses nothing by a late deadline.
 */
export const patience = 180_000

/** Milliseconds between two questions. */
const shortestPause = 250
const longestPause = 3_000

/** So often the condition is asked at least: on a busy machine one answer may take as long as the deadline. */
const fewestQuestions = 3

/** Asks until `condition` answers something other than undefined or false. Throws after `deadline` milliseconds with the last error. */
export async function eventually<T>(what: string, deadline: number, condition: () => Promise<T | undefined | false>): Promise<T> {
  const end = performance.now() + deadline
  let last: unknown
  for (let asked = 0; asked < fewestQuestions || performance.now() < end; asked++) {
    const began = performance.now()
    try {
      const answer = await condition()
      if (answer !== undefined && answer !== false) return answer
    } catch (error) {
      last = error
    }
    // Who asks by a whole plan leaves the hosts as much time as it took from them.
    await pause(Math.min(Math.max(shortestPause, performance.now() - began), longestPause))
  }
  throw new Error(`${what}: not within ${deadline / 1000} s`, { cause: last })
}

/** Asks until nothing is found any more. Throws with what was found last. */
export async function eventuallyNone(what: string, find: () => Promise<readonly string[]>): Promise<void> {
  let found: readonly string[] = []
  await eventually(what, patience, async () => {
    found = await find()
    return found.length === 0
  }).catch((error: unknown) => {
    throw new Error(`${what}, but: ${found.join('; ')}`, { cause: error })
  })
}
