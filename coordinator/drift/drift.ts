/** What differs from the inventory, and what the inventory does not know, at one moment. Pure. */
import type { PlannedStep } from '../events.ts'
import type { PhaseReport } from '../run/deploy.ts'
import type { Stranger } from './strangers.ts'

export interface Drift {
  /** When it was looked for, ISO. */
  readonly at: string
  readonly differences: readonly Difference[]
  readonly strangers: readonly Stranger[]
  /** Sentences: what could not be compared. */
  readonly unknown: readonly string[]
  /** Full names of hosts that did not answer. */
  readonly unreachable: readonly string[]
}

export interface Difference {
  readonly phase: PlannedStep['phase']
  /** Inventory name; "": of the whole stage. */
  readonly host: string
  /** Of a service's step, which the swarm carries out; else "". */
  readonly service: string
  readonly step: string
  readonly what: string
  readonly reason: string
  /** As the inventory has it, and as it is; either may be "" where the reason says all. */
  readonly wanted: string
  readonly actual: string
}

/** How it counts for who asks by exit code. */
export type DriftKind = 'none' | 'some' | 'unknown'

export const kindOf = ({ differences, strangers, unknown }: Drift): DriftKind =>
  differences.length + strangers.length > 0 ? 'some' : unknown.length > 0 ? 'unknown' : 'none'

/** `services`: of the stage, by their names in step ids. */
export function driftOf(reports: readonly PhaseReport[], strangers: readonly Stranger[], services: readonly string[], now: Date): Drift {
  const steps = reports.flatMap((report) => report.steps)
  return {
    at: now.toISOString(),
    differences: steps.flatMap((step): Difference[] => {
      const { phase, host, stepId, title, outcome } = step
      if (outcome.kind !== 'change') return []
      return [
        {
          phase,
          host,
          service: serviceOf(step, services),
          step: stepId,
          what: title,
          reason: outcome.reason,
          wanted: outcome.after,
          actual: outcome.before,
        },
      ]
    }),
    strangers,
    unknown: [
      ...reports.flatMap(({ phase, unknown, errors }) => [
        ...(unknown === undefined ? [] : [`${phase}: ${unknown}`]),
        ...errors.map(({ host, message }) => `${phase}: ${host === undefined ? '' : `${host}: `}${message}`),
      ]),
      ...steps.flatMap(({ host, title, outcome }) => (outcome.kind === 'blocked' ? [`${host}: ${title}: ${outcome.reason}`] : [])),
    ],
    unreachable: [...new Set(reports.flatMap(({ unreachable }) => unreachable))],
  }
}

/** deploy-services/SERVICE@HOST is the service itself, whichever manager is asked. */
function serviceOf({ phase, stepId }: Pick<PlannedStep, 'phase' | 'stepId'>, services: readonly string[]): string {
  const name = stepId.slice(stepId.indexOf('/') + 1, stepId.lastIndexOf('@'))
  return phase === 'deploy-services' && services.includes(name) ? name : ''
}

/** By what they are of: services first, then hosts in the order in which they are found, then the whole stage. */
export function grouped(differences: readonly Difference[]): ReadonlyMap<string, readonly Difference[]> {
  const keyOf = ({ service, host }: Difference): string => (service !== '' ? `service ${service}` : host !== '' ? host : 'the stage')
  const all = Map.groupBy(differences, keyOf)
  return new Map([...all].toSorted(([a], [b]) => Number(b.startsWith('service ')) - Number(a.startsWith('service '))))
}
