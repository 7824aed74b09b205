/** The shape of a step's executor and the mapped type that makes a kind without one a compile error. */
import type { Disruption, StepSpec } from '#gen/hive/v1/step.ts'

export type SpecKind = NonNullable<StepSpec['kind']>
export type SpecCase = SpecKind['$case']
export type SpecValue<K extends SpecCase> = Extract<SpecKind, { $case: K }>['value']

export type CheckOutcome =
  | {
      readonly kind: 'ok'
      /** What an operator should know although the step has nothing to do: told by each plan. */
      readonly notices?: readonly string[]
    }
  | {
      readonly kind: 'change'
      readonly reason: string
      /** For people; never a secret. */
      readonly before?: string
      readonly after?: string
      /** Where this change is less or more disruptive than the step says at worst. */
      readonly disruption?: Disruption
    }
  | { readonly kind: 'blocked'; readonly reason: string; readonly hint?: string }

export const ok: CheckOutcome = { kind: 'ok' }
export const okWith = (notices: readonly string[]): CheckOutcome => (notices.length === 0 ? ok : { kind: 'ok', notices })
export const change = (reason: string, before = '', after = '', disruption?: Disruption): CheckOutcome =>
  disruption === undefined ? { kind: 'change', reason, before, after } : { kind: 'change', reason, before, after, disruption }
export const blocked = (reason: string, hint = ''): CheckOutcome => ({ kind: 'blocked', reason, hint })

export interface StepContext {
  /** Aborted when the step's deadline passes or the run is cancelled. */
  readonly signal: AbortSignal
  /** This host's inventory name. */
  readonly hostName: string
  /** One line for the journal and whoever watches. Never a secret. */
  log(line: string): void
  /** total 0: unknown. */
  progress(what: string, done: number, total: number, unit: string): void
  /** The path of an uploaded blob; throws HiveError 'not-found' when it is not here. */
  blobPath(sha256: string): Promise<string>
  /** Told by a step that has done its work and from here on only looks whether something comes: another one may begin beside it. */
  onlyWaits?(): void
}

/**
 * `check` only reads. `apply` moves the host from before to after and may be killed anywhere: running it again must
 * come to the same end. After it the runner calls `verify`, or else `check` again, which must say ok.
 */
export interface Executor<S> {
  /** Steps of one host that answer the same key never run at the same time ("packages"). */
  exclusive?(spec: S): string | undefined
  check(spec: S, context: StepContext): Promise<CheckOutcome>
  apply(spec: S, context: StepContext): Promise<void>
  verify?(spec: S, context: StepContext): Promise<CheckOutcome>
  /** After a failed or aborted apply: takes away what must not stay (a build container, a temporary file). */
  cleanup?(spec: S, context: StepContext): Promise<void>
}

export type Executors = { readonly [K in SpecCase]: Executor<SpecValue<K>> }
