/** One phase: facts → steps → plan, and what a plan forbids. Shared by `plan` and `deploy`. */
import { Disruption, type Step } from '#gen/hive/v1/step.ts'
import { HiveError } from '../../proto/errors.ts'
import { reportOf } from '../client/errors.ts'
import type { SiteAgents } from '../client/site-agents.ts'
import type { ErrorReport, PlannedStep } from '../events.ts'
import type { Site } from '../inventory/site.ts'
import type { FactSource, Limit, Phase, PhaseSteps } from '../phases/phase.ts'
import { nameOfSpec, type PhasePlan, planPhase } from './planner.ts'
import type { StageState } from './stage-state.ts'

export interface PhaseWorkInput {
  readonly phase: Phase
  readonly site: Site
  readonly limit: Limit
  readonly state: StageState
  readonly reapplyRoles: boolean
  readonly awaitTasks?: boolean
  readonly allow?: ReadonlySet<string>
  readonly facts: FactSource
  readonly agents: Pick<SiteAgents, 'reach' | 'forget'>
  readonly absent: ReadonlySet<string>
  readonly signal: AbortSignal
}

/** What hosts tell is among its notices. */
export interface PlannedPhase extends PhaseSteps, Omit<PhasePlan, 'told'> {}

export async function planOnePhase(input: PhaseWorkInput): Promise<PlannedPhase> {
  const { phase, site, limit, state, reapplyRoles, awaitTasks = true, allow = new Set<string>(), facts, agents, absent, signal } = input
  const known = await phase.gather?.(facts)
  const made = await phase.steps({ site, limit, facts: known, state, reapplyRoles, awaitTasks, allow })
  const steps = made.steps.filter(({ host }) => limit.hosts === undefined || limit.hosts.has(host))
  signal.throwIfAborted()
  const { told, ...plan } = await planPhase({ phase: phase.name, steps, agents, absent, signal })
  return { ...made, steps, ...plan, notices: [...made.notices, ...told] }
}

/** What keeps a planned phase from being begun: blocked steps, hosts that cannot plan, destruction that nobody allowed. */
export function obstacles(planned: PlannedPhase, allow: ReadonlySet<string>): readonly ErrorReport[] {
  const steps = new Map(planned.steps.map((step) => [step.id, step]))
  return [
    ...planned.errors.map((error) => reportOf(error)),
    ...(planned.unsupported ?? []).map((reason) => reportOf(new HiveError('unsupported', reason))),
    ...(planned.awaits ?? []).map((reason) => reportOf(new HiveError('blocked', reason, { hint: 'run the phase build-infra first' }))),
    ...planned.planned.flatMap((step) => {
      if (step.outcome.kind === 'blocked')
        return [
          reportOf(
            new HiveError('blocked', `${step.title}: ${step.outcome.reason}`, { hint: step.outcome.hint || undefined, host: step.host, stepId: step.stepId }),
          ),
        ]
      return isRefused(step, steps.get(step.stepId), allow) ? [refusal(step, steps.get(step.stepId))] : []
    }),
  ]
}

function isRefused({ outcome, host, stepId }: PlannedStep, step: Step | undefined, allow: ReadonlySet<string>): boolean {
  if (outcome.kind !== 'change' || outcome.disruption !== Disruption.DESTROY) return false
  // Disks that hold something are only in the step when they were named.
  const { kind } = step?.spec ?? {}
  if (kind?.$case === 'ensureVolumeGroup' && kind.value.take.length > 0) return false
  const names = [host, host.split('.')[0] ?? host, stepId, nameOfSpec(step?.spec)]
  return !names.some((name) => name !== undefined && allow.has(name))
}

function refusal(step: PlannedStep, made: Step | undefined): ErrorReport {
  const name = nameOfSpec(made?.spec) ?? step.host
  return reportOf(
    new HiveError('blocked', `${step.title} would destroy data${step.outcome.kind === 'change' ? `: ${step.outcome.reason}` : ''}`, {
      hint: `to allow it, name it: --allow ${name}`,
      host: step.host,
      stepId: step.stepId,
    }),
  )
}
