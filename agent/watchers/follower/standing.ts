/** How long what swarm said last stands, once it says nothing any more: pure. */

/**
 * Milliseconds. Swarm's majority calls a silent host down after 12 to 13 s (measured), and its task runs elsewhere after 17 s; a look that finds nobody
 * takes some seconds itself.
 */
export const aloneFor = 8_000
/** Milliseconds for an election while most managers are in reach: measured 10 to 27 s. After it the kernel's lease ends all the same. */
export const electionFor = 60_000

/** `silence`: milliseconds since swarm spoke; `inReach`: managers that take connections, this host among them where it is one; `managers`: all. */
export function stands(silence: number, inReach: number, managers: number): boolean {
  return silence < (inReach * 2 > managers ? electionFor : aloneFor)
}
