/** All checks of a request, read only, side by side. */
import pLimit from 'p-limit'
import type { StepPlan } from '#gen/hive/v1/run.ts'
import type { Step } from '#gen/hive/v1/step.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'
import { type CheckOutcome, change } from '../steps/executor.ts'
import { defaultGrace, type ExecutionEnvironment } from './execute.ts'
import { graphOf, ownSteps, transitiveNeeds } from './graph.ts'
import { bind, withinDeadline } from './step-runner.ts'

/** Milliseconds for one check. */
const checkTime = 60_000

/** Answers in the order asked. Throws HiveError 'invalid-input' as StartRun does, 'cancelled' when the caller is gone. */
export async function plan(steps: readonly Step[], environment: ExecutionEnvironment, signal: AbortSignal): Promise<StepPlan[]> {
  ownSteps(steps, environment.hostName)
  const graph = graphOf(steps)
  const slots = pLimit(environment.parallel ?? 16)
  const checked = await Promise.all(steps.map((step) => slots(() => checkStep(step, environment, signal).catch((error: unknown) => new Thrown(error)))))
  if (signal.aborted) throw new HiveError('cancelled', 'the plan was cancelled')
  const outcomes = new Map(steps.map((step, index) => [step.id, checked[index]]))
  const titles = new Map(steps.map((step) => [step.id, step.title === '' ? step.id : step.title]))

  // A check that cannot look yet is a change to come when something before it changes: settled from the front to the back.
  const settled = new Map<string, CheckOutcome>()
  const settle = (id: string): CheckOutcome => {
    const known = settled.get(id)
    if (known !== undefined) return known
    const outcome = outcomes.get(id)
    let answer: CheckOutcome
    if (!(outcome instanceof Thrown)) answer = outcome ?? { kind: 'ok' }
    else {
      const before = [...transitiveNeeds(graph, id)].find((need) => settle(need).kind === 'change')
      answer = before === undefined ? outcome.asBlocked() : change(`known once this is done: ${titles.get(before)}`)
    }
    settled.set(id, answer)
    return answer
  }
  const plans = steps.map((step) => toPlan(step, settle(step.id)))
  environment.outcomes?.planned(steps, plans)
  return plans
}

/** One check within its time. Throws what it threw. */
export const checkStep = (step: Pick<Step, 'spec'>, environment: ExecutionEnvironment, signal: AbortSignal): Promise<CheckOutcome> =>
  withinDeadline({ timeout: checkTime, grace: environment.grace ?? defaultGrace }, signal, async (own) =>
    bind(environment.executors, step.spec).check({
      signal: own,
      hostName: environment.hostName,
      log: () => undefined,
      progress: () => undefined,
      blobPath: environment.blobPath,
    }),
  )

class Thrown {
  readonly error: unknown
  constructor(error: unknown) {
    this.error = error
  }
  asBlocked(): CheckOutcome {
    const hint = this.error instanceof HiveError ? this.error.hint : undefined
    return { kind: 'blocked', reason: messageOf(this.error), hint: hint ?? '' }
  }
}

function toPlan(step: Step, outcome: CheckOutcome): StepPlan {
  switch (outcome.kind) {
    case 'ok':
      return { stepId: step.id, outcome: { $case: 'ok', value: { notices: [...(outcome.notices ?? [])] } } }
    case 'change': {
      const { reason, before = '', after = '', disruption = step.disruption } = outcome
      return { stepId: step.id, outcome: { $case: 'change', value: { reason, before, after, disruption } } }
    }
    case 'blocked':
      return { stepId: step.id, outcome: { $case: 'blocked', value: { reason: outcome.reason, hint: outcome.hint ?? '' } } }
  }
}
