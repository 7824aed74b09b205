/** Which files are too old, as `find -daystart -mtime +DAYS` finds them. Pure. */

const day = 24 * 3600 * 1000

/**
 * Files changed before this moment are more than `days` days old, counted from the beginning of today by the host's clock: 0 keeps today's.
 * A day has 24 hours, also where the clocks are changed, as for find.
 */
export function cutoff(now: Date, days: number): Date {
  const sinceMidnight = ((now.getHours() * 60 + now.getMinutes()) * 60 + now.getSeconds()) * 1000 + now.getMilliseconds()
  return new Date(now.getTime() - sinceMidnight - days * day)
}

export interface AgedFile {
  readonly file: string
  readonly at: Date
}

/** `days` undefined: none. `kept`: the one that was just made, and what the link of the latest leads to. */
export function expired<F extends AgedFile>(files: readonly F[], days: number | undefined, now: Date, kept: ReadonlySet<string>): readonly F[] {
  if (days === undefined) return []
  const before = cutoff(now, days)
  return files.filter(({ file, at }) => at < before && !kept.has(file))
}
