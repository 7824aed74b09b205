/** What the library tells while it works. It prints nothing; cli/render shows these. Codes are part of `--output json`. */
import type { Disruption } from '#gen/hive/v1/step.ts'

export const phaseNames = ['build-infra', 'setup-hosts', 'build-images', 'build-networks', 'build-volumes', 'deploy-services', 'initialize-services'] as const
export type PhaseName = (typeof phaseNames)[number]

/** A step's (or a provider action's) outcome in a plan. */
export type PlannedOutcome =
  | { readonly kind: 'ok' }
  | { readonly kind: 'change'; readonly reason: string; readonly before: string; readonly after: string; readonly disruption: Disruption }
  | { readonly kind: 'blocked'; readonly reason: string; readonly hint: string }

export interface PlannedStep {
  readonly phase: PhaseName
  readonly host: string
  readonly stepId: string
  readonly title: string
  readonly outcome: PlannedOutcome
}

export interface ErrorReport {
  readonly code: string
  readonly message: string
  readonly hint: string | undefined
  readonly host: string | undefined
  readonly stepId: string | undefined
  readonly log: readonly string[]
}

export type HiveEvent =
  | { readonly code: 'run.started'; readonly runId: string; readonly command: string; readonly stage: string }
  | {
      readonly code: 'run.finished'
      readonly runId: string
      readonly ok: boolean
      readonly changed: number
      readonly milliseconds: number
      readonly errors: readonly ErrorReport[]
    }
  | { readonly code: 'phase.started'; readonly phase: PhaseName }
  | {
      readonly code: 'phase.planned'
      readonly phase: PhaseName
      readonly steps: readonly PlannedStep[]
      readonly unreachable: readonly string[]
      readonly planCalls: number
    }
  | { readonly code: 'phase.finished'; readonly phase: PhaseName; readonly ok: boolean; readonly changed: number; readonly milliseconds: number }
  | { readonly code: 'step.started'; readonly phase: PhaseName; readonly host: string; readonly stepId: string; readonly title: string }
  | { readonly code: 'step.log'; readonly phase: PhaseName; readonly host: string; readonly stepId: string; readonly line: string }
  | {
      readonly code: 'step.progress'
      readonly phase: PhaseName
      readonly host: string
      readonly stepId: string
      readonly what: string
      readonly done: number
      readonly total: number
      readonly unit: string
    }
  | {
      readonly code: 'step.finished'
      readonly phase: PhaseName
      readonly host: string
      readonly stepId: string
      readonly title: string
      readonly result: 'unchanged' | 'changed' | 'failed' | 'skipped'
      readonly reason: string
      readonly milliseconds: number
      readonly error: ErrorReport | undefined
    }
  | { readonly code: 'notice' | 'warning'; readonly message: string }

export type Emit = (event: HiveEvent) => void
