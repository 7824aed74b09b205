/** Edit distance (insert, delete, replace, swap of neighbours), for names of a few dozen characters. */
const distance = (a: string, b: string): number => {
  let before: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let best = Math.min((current[j - 1] ?? 0) + 1, (previous[j] ?? 0) + 1, (previous[j - 1] ?? 0) + same)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, (before[j - 2] ?? 0) + 1)
      current.push(best)
    }
    before = previous
    previous = current
  }
  return previous[b.length] ?? 0
}

/** The known name that was most likely meant, or undefined when none is near. */
export const nearest = (written: string, known: Iterable<string>): string | undefined => {
  const lower = written.toLowerCase().replaceAll('-', '_')
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(written.length / 3)) + 1
  for (const name of known) {
    const found = distance(lower, name.toLowerCase().replaceAll('-', '_'))
    if (found < bestDistance) {
      best = name
      bestDistance = found
    }
  }
  return best ?? (lower.length < 3 ? undefined : [...known].find((name) => name.toLowerCase().startsWith(lower)))
}

/** "did you mean X? allowed: a, b, c" */
export const didYouMean = (written: string, known: Iterable<string>): string => {
  const names = [...known]
  const near = nearest(written, names)
  return `${near === undefined ? '' : `did you mean ${near}? `}allowed: ${names.join(', ')}`
}
