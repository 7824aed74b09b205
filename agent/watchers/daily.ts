/** Work that is done once a day, at a time of the host's own clock. Pure. */

/** HH:MM or H:MM, 24 hours. */
const timeOfDay = /^([01]?\d|2[0-3]):([0-5]\d)$/

export const isTimeOfDay = (text: string): boolean => timeOfDay.test(text)

/**
 * The first moment after `after` at which the host's clocks show `at`. Where summer time leaves this time out it is as much later as the
 * clocks were put on; where the time comes twice it is the first. Throws RangeError where `at` is no time of day.
 */
export function nextDaily(at: string, after: Date): Date {
  const today = onDay(at, after, 0)
  return today > after ? today : onDay(at, after, 1)
}

/** The last such moment that is not after `now`. */
export function lastDaily(at: string, now: Date): Date {
  const today = onDay(at, now, 0)
  return today <= now ? today : onDay(at, now, -1)
}

function onDay(at: string, day: Date, more: number): Date {
  const [, hour, minute] = timeOfDay.exec(at) ?? []
  if (hour === undefined || minute === undefined) throw new RangeError(`${at} is no time of day`)
  return new Date(day.getFullYear(), day.getMonth(), day.getDate() + more, Number(hour), Number(minute))
}
