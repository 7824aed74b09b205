/** What the guard answers. */

/**
 * stops: a majority, a quorum or the last valid copy would go, or nobody knows. interrupts: a service would not run meanwhile.
 * notes: worth knowing. keeps: what is left, and enough.
 */
export const severities = ['stops', 'interrupts', 'notes', 'keeps'] as const
export type Severity = (typeof severities)[number]

export interface Reason {
  readonly severity: Severity
  /** What it is about: the swarm, a volume, a service, a host. */
  readonly about: { readonly kind: 'swarm' | 'volume' | 'service' | 'host'; readonly name: string }
  /** A sentence for people. */
  readonly text: string
  /** What it is concluded from, a line each. */
  readonly evidence: readonly string[]
}

export interface Verdict {
  /** It may go: nothing stops it, and no service but those that may is interrupted. */
  readonly yes: boolean
  /** The gravest first. */
  readonly reasons: readonly Reason[]
}

/** `allowed`: services that may be interrupted. */
export function verdictOf(reasons: readonly Reason[], allowed: ReadonlySet<string> = new Set()): Verdict {
  const weighed = reasons.map((reason) =>
    reason.severity === 'interrupts' && allowed.has(reason.about.name) ? { ...reason, severity: 'notes' as const } : reason,
  )
  return {
    yes: weighed.every(({ severity }) => severity === 'notes' || severity === 'keeps'),
    reasons: weighed.toSorted((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity)),
  }
}

/** The sentences that speak against it. */
export const objections = ({ reasons }: Verdict): readonly string[] =>
  reasons.filter(({ severity }) => severity === 'stops' || severity === 'interrupts').map(({ text }) => text)
