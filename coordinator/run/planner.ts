/** Asks every host, once and all at the same time, what its steps would change. */

import type { StepPlan } from '#gen/hive/v1/run.ts'
import type { Step, StepSpec } from '#gen/hive/v1/step.ts'
import { HiveError } from '../../proto/errors.ts'
import { isUnreachable } from '../client/errors.ts'
import type { SiteAgents } from '../client/site-agents.ts'
import type { PhaseName, PlannedOutcome, PlannedStep } from '../events.ts'

/** Milliseconds: hundreds of checks, some of which ask package databases. A dead connection is noticed by its keepalive. */
const planDeadline = 120_000

export interface PhasePlan {
  /** In the phase's order. Steps of unreachable hosts are not among them. */
  readonly planned: readonly PlannedStep[]
  readonly unreachable: readonly string[]
  readonly planCalls: number
  /** Hosts that answered with an error instead of a plan. */
  readonly errors: readonly HiveError[]
  /** What hosts tell of steps that have nothing to do, each with its host. */
  readonly told: readonly string[]
}

export interface PlanInput {
  readonly phase: PhaseName
  readonly steps: readonly Step[]
  readonly agents: Pick<SiteAgents, 'reach' | 'forget'>
  /** Hosts that do not exist yet: all their steps are changes, and nothing is asked. */
  readonly absent: ReadonlySet<string>
  readonly signal: AbortSignal
}

export async function planPhase({ phase, steps, agents, absent, signal }: PlanInput): Promise<PhasePlan> {
  const byHost = Map.groupBy(steps, ({ host }) => host)
  const outcomes = new Map<string, PlannedOutcome>()
  const unreachable: string[] = []
  const errors: HiveError[] = []
  const told: string[] = []
  let planCalls = 0
  await Promise.all(
    [...byHost].map(async ([host, own]) => {
      if (absent.has(host)) {
        for (const step of own) outcomes.set(step.id, { kind: 'change', reason: 'host is to be created', before: '', after: '', disruption: step.disruption })
        return
      }
      const reached = await agents.reach(host, signal)
      try {
        if ('error' in reached) throw reached.error
        planCalls++
        const { plans } = await reached.client.step.plan({ steps: own }, { deadline: planDeadline, signal })
        for (const plan of plans) outcomes.set(plan.stepId, outcomeOf(plan))
        told.push(...plans.flatMap(({ outcome }) => (outcome?.$case === 'ok' ? outcome.value.notices.map((notice) => `${host}: ${notice}`) : [])))
        const silent = own.find(({ id }) => !outcomes.has(id))
        if (silent !== undefined) throw new HiveError('internal', `${host} planned nothing for ${silent.id}`, { host, stepId: silent.id })
      } catch (error) {
        if (signal.aborted) throw error
        if (isUnreachable(error)) {
          agents.forget(host)
          unreachable.push(host)
        } else errors.push(error instanceof HiveError ? error : new HiveError('internal', String(error), { host, cause: error }))
      }
    }),
  )
  expectChanges(steps, outcomes)
  const planned = steps.flatMap((step) => {
    const outcome = outcomes.get(step.id)
    return outcome === undefined ? [] : [{ phase, host: step.host, stepId: step.id, title: step.title, outcome }]
  })
  return { planned, unreachable: unreachable.sort(), planCalls, errors, told: told.sort() }
}

/**
 * A step that cannot be looked at because another host has not done its part yet (a registry that is still to be made) is a change
 * to come. An agent sees this for its own host's steps only. When the step runs it is looked at again, and may be blocked then.
 */
function expectChanges(steps: readonly Step[], outcomes: Map<string, PlannedOutcome>): void {
  const byId = new Map(steps.map((step) => [step.id, step]))
  for (const step of steps) {
    const outcome = outcomes.get(step.id)
    if (outcome?.kind !== 'blocked') continue
    const elsewhere = changingNeed(step, byId, outcomes)
    if (elsewhere !== undefined)
      outcomes.set(step.id, { kind: 'change', reason: `known once this is done: ${elsewhere.title}`, before: '', after: '', disruption: step.disruption })
  }
}

/** The nearest step of another host that this one needs, directly or not, and that changes something. */
function changingNeed(step: Step, byId: ReadonlyMap<string, Step>, outcomes: ReadonlyMap<string, PlannedOutcome>): Step | undefined {
  const seen = new Set<string>()
  const open = [...step.needs]
  for (let id = open.shift(); id !== undefined; id = open.shift()) {
    const need = byId.get(id)
    if (need === undefined || seen.has(id)) continue
    seen.add(id)
    if (need.host !== step.host && outcomes.get(id)?.kind === 'change') return need
    open.push(...need.needs)
  }
  return undefined
}

function outcomeOf({ outcome, stepId }: StepPlan): PlannedOutcome {
  switch (outcome?.$case) {
    case 'ok':
      return { kind: 'ok' }
    case 'change':
      return { kind: 'change', ...outcome.value }
    case 'blocked':
      return { kind: 'blocked', ...outcome.value }
    case undefined:
      return { kind: 'blocked', reason: `the agent's answer for ${stepId} is of a kind unknown here`, hint: 'the agent is newer: use its version of hivecoord' }
  }
}

/** The name of the thing that a step ensures (a volume, a service …), where it has one. */
export function nameOfSpec(spec: StepSpec | undefined): string | undefined {
  const value: object | undefined = spec?.kind?.value
  return value !== undefined && 'name' in value && typeof value.name === 'string' ? value.name : undefined
}
