/** From an agent's run events to those of the coordinator. */
import { type RunEvent, StepResult } from '#gen/hive/v1/run.ts'
import { fromErrorInfo, reportOf } from '../client/errors.ts'
import { type HiveEvent, type PhaseName, phaseNames } from '../events.ts'

export interface StepName {
  readonly phase: PhaseName
  readonly host: string
  readonly title: string
}

/** undefined for events that are not about a step. */
export function toHiveEvent({ stepId, event }: RunEvent, { phase, host, title }: StepName): HiveEvent | undefined {
  const about = { phase, host, stepId }
  switch (event?.$case) {
    case 'started':
      return { code: 'step.started', ...about, title }
    case 'log':
      return { code: 'step.log', ...about, line: event.value.line }
    case 'progress':
      return { code: 'step.progress', ...about, ...event.value }
    case 'finished': {
      const { result, reason, milliseconds, error } = event.value
      return {
        code: 'step.finished',
        ...about,
        title,
        result: resultOf(result),
        reason,
        milliseconds: Number(milliseconds),
        error: error === undefined ? undefined : reportOf(fromErrorInfo(error, host), host, stepId),
      }
    }
    case 'runFinished':
    case 'heartbeat':
    case undefined:
      return undefined
  }
}

function resultOf(result: StepResult): 'unchanged' | 'changed' | 'failed' | 'skipped' {
  switch (result) {
    case StepResult.UNCHANGED:
      return 'unchanged'
    case StepResult.CHANGED:
      return 'changed'
    case StepResult.SKIPPED:
      return 'skipped'
    case StepResult.FAILED:
    case StepResult.UNSPECIFIED:
      return 'failed'
  }
}

/** The phase that a step's id begins with; setup-hosts where it is none of ours (a step by hand). */
export function phaseOfStep(stepId: string): PhaseName {
  const name = stepId.slice(0, stepId.indexOf('/'))
  return phaseNames.find((phase) => phase === name) ?? 'setup-hosts'
}
