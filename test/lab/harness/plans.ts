/** What `plan` and `deploy` say, in the words that tests use. */
import type { HiveEvent, PhaseName } from '../../../coordinator/events.ts'
import { eventuallyNone } from './eventually.ts'
import type { CommandOutcome, LabSite } from './lab-site.ts'

/** A step that is not as wanted, as `plan --output json` tells it. */
export interface OpenStep {
  readonly host: string
  readonly step: string
  readonly title: string
  readonly outcome: 'change' | 'blocked'
  readonly reason: string
}

export interface PhaseOfPlan {
  readonly phase: PhaseName
  readonly planCalls: number
  readonly unreachable: readonly string[]
  readonly errors: readonly { readonly message: string }[]
  readonly unknown?: string
  /** How many steps were looked at. */
  readonly checked: number
  readonly steps: readonly OpenStep[]
}

export async function plan(site: LabSite, ...options: readonly string[]): Promise<readonly PhaseOfPlan[]> {
  const { result, errors } = await site.run(['plan', ...options])
  if (!Array.isArray(result)) throw new Error(`plan has no result: ${JSON.stringify(errors)}`)
  return result as readonly PhaseOfPlan[]
}

/** What a plan leaves open, a line each: steps, hosts that do not answer, errors, phases not known yet. Empty: all is as wanted. */
export const openIn = (phases: readonly PhaseOfPlan[]): readonly string[] =>
  phases.flatMap(({ phase, steps, unreachable, errors, unknown }) => [
    ...steps.map(({ step, outcome, reason }) => `${step}: ${outcome}: ${reason}`),
    ...unreachable.map((host) => `${phase}: ${host} does not answer`),
    ...errors.map(({ message }) => `${phase}: ${message}`),
    ...(unknown === undefined ? [] : [`${phase}: ${unknown}`]),
  ])

/** Waits until a plan finds nothing to do: what hosts and swarm come to by themselves may not have come yet. */
export const nothingLeft = (site: LabSite): Promise<void> => eventuallyNone('nothing is left to do', async () => openIn(await plan(site)))

type Told<C extends HiveEvent['code']> = Extract<HiveEvent, { code: C }>

/** Events of one code, in their order. */
export const told = <C extends HiveEvent['code']>(outcome: Pick<CommandOutcome, 'events'>, code: C): readonly Told<C>[] =>
  outcome.events.filter((event): event is Told<C> => event.code === code)

/** Ids of the steps that a command changed, sorted. */
export const changedBy = (outcome: Pick<CommandOutcome, 'events'>): readonly string[] =>
  told(outcome, 'step.finished')
    .filter(({ result }) => result === 'changed')
    .map(({ stepId }) => stepId)
    .sort()
