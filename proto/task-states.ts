/** States of swarm's tasks. Pure. */

const ended: ReadonlySet<string> = new Set(['complete', 'failed', 'rejected', 'shutdown', 'orphaned', 'remove'])

/** A task in this state runs no more, and never will again. */
export const hasEnded = (state: string): boolean => ended.has(state)
