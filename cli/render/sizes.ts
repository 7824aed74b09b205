/** Sizes for people. */

const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const

/** 950 → "950 B", 1 234 567 → "1.2 MB". */
export function bytes(size: number): string {
  let rest = size
  let unit = 0
  // What would be rounded to four digits is written in the next unit.
  while (rest >= 999.5 && unit < units.length - 1) {
    rest /= 1000
    unit += 1
  }
  return `${unit === 0 || rest >= 99.95 ? Math.round(rest) : rest.toFixed(1)} ${units[unit]}`
}
