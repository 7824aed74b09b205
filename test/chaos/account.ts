/** What clients were answered, and what became of it. Pure. Times are milliseconds since 1970. */

/** One question of a client. */
export interface Attempt {
  /** When it was asked. */
  readonly at: number
  /** When it was answered, or given up. */
  readonly end: number
  readonly ok: boolean
  /** Of a writer: the number of the record; each is sent once. */
  readonly number?: number | undefined
  /** Who answered. */
  readonly from?: string | undefined
  /** Why nobody did. */
  readonly why?: string | undefined
}

/**
 * The longest time without an answer, milliseconds, of all such times that touch `from` to `to`. What was not answered before `from` began there; what is
 * not answered at `to` ends there.
 */
export function longestGap(attempts: readonly Attempt[], from: number, to: number): number {
  const answers = attempts.flatMap(({ ok, end }) => (ok ? [end] : [])).toSorted((a, b) => a - b)
  const last = answers.findLast((end) => end <= from) ?? from
  const first = answers.find((end) => end >= to) ?? to
  const marks = [last, ...answers.filter((end) => end > from && end < to), first]
  return Math.max(0, ...marks.slice(1).map((mark, index) => mark - (marks[index] ?? mark)))
}

export interface RecordAccount {
  /** Records that were sent. */
  readonly tried: number
  readonly acknowledged: number
  /** Numbers that were acknowledged and are not there. */
  readonly lost: readonly number[]
  /** Numbers that are there more than once, or were never sent. */
  readonly wrong: readonly number[]
  /** Those that are there although nobody heard of it: their answer was lost on the way. Nothing is wrong with them. */
  readonly unheard: number
}

/** `found`: the numbers that the service has in the end. */
export function accountOf(attempts: readonly Attempt[], found: readonly number[]): RecordAccount {
  const sent = new Set(attempts.flatMap(({ number }) => number ?? []))
  const acknowledged = new Set(attempts.flatMap(({ ok, number }) => (ok && number !== undefined ? [number] : [])))
  const there = new Set(found)
  const seen = new Set<number>()
  const twice = found.filter((number) => seen.size === seen.add(number).size)
  return {
    tried: sent.size,
    acknowledged: acknowledged.size,
    lost: [...acknowledged].filter((number) => !there.has(number)),
    wrong: [...new Set([...twice, ...found.filter((number) => !sent.has(number))])],
    unheard: [...there].filter((number) => sent.has(number) && !acknowledged.has(number)).length,
  }
}
