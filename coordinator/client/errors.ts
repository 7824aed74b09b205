/** From a gRPC status to the one family of errors. */
import { type ServiceError, status } from '@grpc/grpc-js'
import { ErrorInfo } from '#gen/hive/v1/run.ts'
import { type ErrorCode, errorCodes, HiveError, messageOf } from '../../proto/errors.ts'
import type { ErrorReport } from '../events.ts'

/** Trailing metadata in which an agent sends its serialized ErrorInfo. */
const detailKey = 'hive-error-bin'

const plainCodes: Readonly<Partial<Record<status, ErrorCode>>> = {
  [status.CANCELLED]: 'cancelled',
  [status.INVALID_ARGUMENT]: 'invalid-input',
  [status.DEADLINE_EXCEEDED]: 'timeout',
  [status.NOT_FOUND]: 'not-found',
  [status.ALREADY_EXISTS]: 'conflict',
  [status.ABORTED]: 'conflict',
  [status.PERMISSION_DENIED]: 'denied',
  [status.UNAUTHENTICATED]: 'denied',
  [status.FAILED_PRECONDITION]: 'blocked',
  [status.UNIMPLEMENTED]: 'unsupported',
  [status.UNAVAILABLE]: 'unreachable',
}

export const isErrorCode = (code: string): code is ErrorCode => (errorCodes as readonly string[]).includes(code)

/** The HiveError that an agent's ErrorInfo tells; `host` where it does not say one itself. */
export function fromErrorInfo(info: ErrorInfo, host: string): HiveError {
  return new HiveError(isErrorCode(info.code) ? info.code : 'internal', info.message, {
    hint: info.hint || undefined,
    host: info.host || host,
    stepId: info.stepId || undefined,
    log: info.log,
  })
}

/** What a failed call to `host` means. `signal` is the caller's own, to tell its abort from a channel that closes. */
export function fromCallFailure(thrown: unknown, host: string, signal?: AbortSignal): HiveError {
  if (thrown instanceof HiveError) return thrown
  if (signal?.aborted) return new HiveError('cancelled', `the call to ${host} was cancelled`, { host, cause: thrown })
  if (!isServiceError(thrown)) return new HiveError('internal', messageOf(thrown), { host, cause: thrown })
  const detail = thrown.metadata?.get(detailKey)[0]
  if (Buffer.isBuffer(detail)) {
    try {
      return fromErrorInfo(ErrorInfo.decode(detail), host)
    } catch {
      // A newer agent's detail that cannot be read: the plain status says enough.
    }
  }
  const code = thrown.code === status.CANCELLED ? 'unreachable' : (plainCodes[thrown.code] ?? 'internal')
  return new HiveError(code, code === 'unreachable' ? `${host} does not answer: ${thrown.details}` : `${host}: ${thrown.details}`, { host, cause: thrown })
}

const isServiceError = (thrown: unknown): thrown is ServiceError => thrown instanceof Error && 'code' in thrown && 'details' in thrown

/** For events and journals: the error without its stack. */
export function reportOf(thrown: unknown, host?: string, stepId?: string): ErrorReport {
  if (!(thrown instanceof HiveError)) return { code: 'internal', message: messageOf(thrown), hint: undefined, host, stepId, log: [] }
  return { code: thrown.code, message: thrown.message, hint: thrown.hint, host: thrown.host ?? host, stepId: thrown.stepId ?? stepId, log: thrown.log }
}

/** True where the host gave no answer, as opposed to one that says no. */
export const isUnreachable = (thrown: unknown): boolean => thrown instanceof HiveError && thrown.code === 'unreachable'
