/** How long a service did not answer, from what a probe saw. Pure. */

/** One question of a probe. */
export interface Sample {
  /** When it was asked, milliseconds of any clock. */
  readonly at: number
  readonly answered: boolean
}

export interface Outage {
  /** Milliseconds from the last answer before it to the first answer after it; of the longest one, 0 where every question was answered. */
  readonly longest: number
  /** Milliseconds of all of them together. */
  readonly together: number
  /** How many there were. */
  readonly count: number
  /** It did not answer any more in the end. */
  readonly lasts: boolean
  readonly asked: number
}

/** `samples`: in the order of their times. What is not answered before the first answer counts from the first question. */
export function outageOf(samples: readonly Sample[]): Outage {
  const stretches: number[] = []
  let lastAnswer = samples[0]?.at ?? 0
  let failing = false
  for (const { at, answered } of samples) {
    if (!answered) {
      failing = true
      continue
    }
    if (failing) stretches.push(at - lastAnswer)
    failing = false
    lastAnswer = at
  }
  if (failing) stretches.push((samples.at(-1)?.at ?? lastAnswer) - lastAnswer)
  return {
    longest: Math.max(0, ...stretches),
    together: stretches.reduce((sum, one) => sum + one, 0),
    count: stretches.length,
    lasts: failing,
    asked: samples.length,
  }
}
