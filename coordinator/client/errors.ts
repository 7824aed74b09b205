/** What a failed call means to the coordinator, and errors as events carry them. */
import { type ServiceError, status } from '@grpc/grpc-js'
import type { ErrorInfo } from '#gen/hive/v1/run.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'
import { errorKey, fromServiceError, fromErrorInfo as toHiveError } from '../../proto/status.ts'
import type { ErrorReport } from '../events.ts'

/** The HiveError that an agent's ErrorInfo tells; `host` where it does not say one itself. */
export const fromErrorInfo = (info: ErrorInfo, host: string): HiveError => toHiveError(info.host === '' ? { ...info, host } : info)

/** What a failed call to `host` means. `signal` is the caller's own, to tell its abort from a channel that closes. */
export function fromCallFailure(thrown: unknown, host: string, signal?: AbortSignal): HiveError {
  if (thrown instanceof HiveError) return thrown
  if (signal?.aborted) return new HiveError('cancelled', `the call to ${host} was cancelled`, { host, cause: thrown })
  const { code, details, metadata } = thrown as Partial<ServiceError>
  const fromTransport = metadata?.get(errorKey).length === 0 && (code === status.UNAVAILABLE || code === status.CANCELLED)
  if (fromTransport) return new HiveError('unreachable', `${host} does not answer: ${details}`, { host, cause: thrown })
  return fromServiceError(thrown, host)
}

/** For events and journals: the error without its stack. */
export function reportOf(thrown: unknown, host?: string, stepId?: string): ErrorReport {
  if (!(thrown instanceof HiveError)) return { code: 'internal', message: messageOf(thrown), hint: undefined, host, stepId, log: [] }
  return { code: thrown.code, message: thrown.message, hint: thrown.hint, host: thrown.host ?? host, stepId: thrown.stepId ?? stepId, log: thrown.log }
}

/** True where the host gave no answer, as opposed to one that says no. */
export const isUnreachable = (thrown: unknown): boolean => thrown instanceof HiveError && thrown.code === 'unreachable'
