/** Steps of one host in this phase, which name what they need of the same host by its short name. */
import type { Step } from '#gen/hive/v1/step.ts'
import type { Host } from '../../inventory/site.ts'
import { type SpecOf, type StepOptions, step, stepId } from '../phase.ts'

export const phase = 'setup-hosts'

export interface HostStepOptions extends Omit<StepOptions, 'needs'> {
  /** Short names of steps of the same host; those that are not in the phase's list are no condition. */
  readonly after?: readonly string[]
  /** Ids of steps of other hosts. */
  readonly needs?: readonly string[]
}

export function hostStep<K extends Parameters<typeof step>[4]>(
  host: Pick<Host, 'name'>,
  what: string,
  title: string,
  kind: K,
  value: SpecOf<K>,
  { after = [], needs = [], ...options }: HostStepOptions = {},
): Step {
  return step(phase, what, host.name, title, kind, value, { ...options, needs: [...after.map((name) => idOf(name, host)), ...needs] })
}

export const idOf = (what: string, host: Pick<Host, 'name'>): string => stepId(phase, what, host.name)

/** These steps where the condition holds, else none. */
export const when = (condition: boolean, ...steps: readonly Step[]): readonly Step[] => (condition ? steps : [])
