/** Whatever was thrown, as the reports that renderers show. */
import type { ErrorReport } from '../../coordinator/events.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'

/** One report an error; an error that carries several (all mistakes of an inventory, all hosts that failed) gives them all. */
export function reportOf(error: unknown): readonly ErrorReport[] {
  if (error instanceof AggregateError) return error.errors.flatMap(reportOf)
  if (error instanceof HiveError)
    return [{ code: error.code, message: error.message, hint: error.hint, host: error.host, stepId: error.stepId, log: error.log }]
  return [{ code: 'internal', message: messageOf(error), hint: 'this is a defect; `--verbose` shows where', host: undefined, stepId: undefined, log: [] }]
}
