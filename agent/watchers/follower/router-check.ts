/** How often a router is asked before an address is given up: pure. */
import type { RouterCheck } from './desired.ts'

/** Questions, and milliseconds between two. */
export const attempts = 5
export const pauseBetween = 10_000

export interface CheckState {
  readonly asked: number
  /** Milliseconds since 1970. */
  readonly last: number
  readonly answer: 'answers' | 'abandoned' | undefined
}

export type Checks = ReadonlyMap<string, CheckState>

/** Those to ask now. */
export const dueChecks = (checks: readonly RouterCheck[], known: Checks, now: number): readonly RouterCheck[] =>
  checks.filter(({ key }) => {
    const state = known.get(key)
    return state === undefined || (state.answer === undefined && Math.abs(now - state.last) >= pauseBetween)
  })

/** After a question. The fifth without an answer is the last. */
export function asked(state: CheckState | undefined, answered: boolean, now: number): CheckState {
  const count = (state?.asked ?? 0) + 1
  return { asked: count, last: now, answer: answered ? 'answers' : count >= attempts ? 'abandoned' : undefined }
}

/** Those of tasks that are still there, so that an address which was given up is tried again with the next task. */
export const stillAsked = (known: Checks, tasks: ReadonlySet<string>): Checks => new Map([...known].filter(([key]) => tasks.has(key.split(' ')[2] ?? '')))

export const answersOf = (known: Checks): ReadonlyMap<string, 'answers' | 'abandoned'> =>
  new Map([...known].flatMap(([key, { answer }]) => (answer === undefined ? [] : [[key, answer] as const])))
