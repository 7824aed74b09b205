/** Work on all hosts at once, where the failure of one does not stop the others. */
import { HiveError, messageOf } from '../../proto/errors.ts'

/** Runs `body` for all items in parallel and waits for all. Throws the one error there is, or one that lists them. */
export async function allOrErrors<T>(items: readonly T[], body: (item: T) => Promise<unknown>): Promise<void> {
  const results = await Promise.allSettled(items.map((item) => body(item)))
  const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []))
  if (errors.length === 0) return
  if (errors.length === 1) throw errors[0]
  const first = errors[0]
  throw new HiveError(first instanceof HiveError ? first.code : 'internal', `${errors.length} hosts failed: ${errors.map(messageOf).join('; ')}`, {
    hint: first instanceof HiveError ? first.hint : undefined,
    log: errors.flatMap((error) => (error instanceof HiveError ? error.log : [])),
    cause: first,
  })
}
