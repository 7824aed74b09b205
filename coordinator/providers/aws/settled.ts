/** Work that is done side by side, and what went wrong with it. */
import { HiveError, messageOf } from '../../../proto/errors.ts'

/** Of an error for several: these. */
const members = new WeakMap<object, readonly unknown[]>()
const membersOf = (error: unknown): readonly unknown[] => (typeof error === 'object' && error !== null ? members.get(error) : undefined) ?? [error]

/**
 * Waits for all, also when one fails: nothing goes on afterwards unseen. Throws the one error as it is, several as one HiveError; the
 * same error seen by many counts once.
 */
export async function settled(parts: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(parts)
  const errors = [...new Set(results.flatMap((result) => (result.status === 'rejected' ? membersOf(result.reason) : [])))]
  const [first] = errors
  if (first === undefined) return
  if (errors.length === 1) throw first
  const typed = errors.filter((error) => error instanceof HiveError)
  const hints = [...new Set(typed.flatMap(({ hint }) => hint ?? []))]
  const error = new HiveError(typed[0]?.code ?? 'internal', [...new Set(errors.map(messageOf))].join('\n'), {
    hint: hints.length === 0 ? undefined : hints.join('\n'),
    log: typed.flatMap(({ log }) => log),
    cause: first,
  })
  members.set(error, errors)
  throw error
}

/** As Promise.all, but it waits for all, also when one fails. */
export async function together<T extends readonly unknown[]>(parts: readonly [...{ [K in keyof T]: Promise<T[K]> | T[K] }]): Promise<T> {
  await Promise.allSettled(parts)
  return (await Promise.all(parts)) as unknown as T
}
