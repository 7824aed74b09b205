/** Steps whose executor does what the test says, by the step's host name spec. */
import type { Step } from '#gen/hive/v1/step.ts'
import { type CheckOutcome, change, type Executors, ok, type StepContext } from '../../../agent/steps/executor.ts'

export interface Behaviour {
  readonly check?: (context: StepContext) => Promise<CheckOutcome>
  readonly apply?: (context: StepContext) => Promise<void>
  readonly cleanup?: () => Promise<void>
  readonly exclusive?: string
}

export const step = (id: string, needs: string[] = [], timeoutSeconds = 0): Step => ({
  id,
  host: '',
  title: id,
  disruption: 0,
  needs,
  timeoutSeconds,
  spec: { kind: { $case: 'ensureHostname', value: { name: id } } },
})

/** Without a check of its own a step wants a change until it was applied. */
export function fakes(behaviours: Readonly<Record<string, Behaviour>>): { executors: Partial<Executors>; applied: string[] } {
  const applied: string[] = []
  const of = (name: string): Behaviour => behaviours[name] ?? {}
  return {
    applied,
    executors: {
      ensureHostname: {
        exclusive: ({ name }) => of(name).exclusive,
        check: async ({ name }, context) => of(name).check?.(context) ?? (applied.includes(name) ? ok : change('not yet')),
        apply: async ({ name }, context) => {
          await of(name).apply?.(context)
          applied.push(name)
        },
        cleanup: async ({ name }) => of(name).cleanup?.(),
      },
    },
  }
}
