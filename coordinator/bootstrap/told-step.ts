/** Work of build-infra on one host, told as a step. */
import { HiveError } from '../../proto/errors.ts'
import { reportOf } from '../client/errors.ts'
import type { Emit } from '../events.ts'

export interface ToldStep {
  readonly host: string
  readonly stepId: string
  readonly title: string
  /** Why it is done. */
  readonly reason: string
}

/** Answers what the work answers, and throws what it throws. */
export async function tellStep<T>(emit: Emit, { host, stepId, title, reason }: ToldStep, work: () => Promise<T>): Promise<T> {
  const about = { phase: 'build-infra', host, stepId, title } as const
  const started = performance.now()
  emit({ code: 'step.started', ...about })
  const finished = (result: 'changed' | 'failed', error?: unknown): void =>
    emit({
      code: 'step.finished',
      ...about,
      result,
      reason,
      milliseconds: Math.round(performance.now() - started),
      error: error instanceof HiveError ? reportOf(error, host, stepId) : undefined,
    })
  try {
    const answer = await work()
    finished('changed')
    return answer
  } catch (error) {
    finished('failed', error)
    throw error
  }
}
