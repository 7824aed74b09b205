/** What services are given. */
import type { Logger } from 'pino'
import type { Step } from '#gen/hive/v1/step.ts'
import type { CheckOutcome, Executors } from '../steps/executor.ts'
import type { AgentConfig } from './config.ts'

export interface OperationResult {
  readonly changed: boolean
  readonly reason: string
}

export interface ServerContext {
  readonly config: AgentConfig
  readonly log: Logger
  readonly executors: Executors
  /**
   * One operation by hand with a step's semantics: check, apply, verify, under the same exclusive keys as runs. Only `spec` is
   * needed of the step. Throws HiveError.
   */
  operate(step: Partial<Step> & Pick<Step, 'spec'>, signal: AbortSignal): Promise<OperationResult>
  /** Work under an exclusive key of the runs, so that no step and no watcher acts in between. */
  exclusive<T>(key: string, signal: AbortSignal, work: () => Promise<T>): Promise<T>
  /** The check alone. */
  check(step: Partial<Step> & Pick<Step, 'spec'>, signal: AbortSignal): Promise<CheckOutcome>
}
