/** HiveError ↔ gRPC status, for both sides. The whole error travels as trailing metadata; the status code is what other clients see. */
import { Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { ErrorInfo } from '#gen/hive/v1/run.ts'
import { type ErrorCode, errorCodes, HiveError, messageOf } from './errors.ts'

/** The key of a serialized ErrorInfo in trailing metadata. */
export const errorKey = 'hive-error-bin'

const statusOf: Readonly<Record<ErrorCode, status>> = {
  'invalid-input': status.INVALID_ARGUMENT,
  'not-found': status.NOT_FOUND,
  conflict: status.ALREADY_EXISTS,
  locked: status.ABORTED,
  denied: status.PERMISSION_DENIED,
  unreachable: status.UNAVAILABLE,
  timeout: status.DEADLINE_EXCEEDED,
  blocked: status.FAILED_PRECONDITION,
  'command-failed': status.UNKNOWN,
  'not-converged': status.UNKNOWN,
  unsupported: status.UNIMPLEMENTED,
  cancelled: status.CANCELLED,
  internal: status.INTERNAL,
}

const codeOf: Readonly<Partial<Record<status, ErrorCode>>> = {
  [status.CANCELLED]: 'cancelled',
  [status.INVALID_ARGUMENT]: 'invalid-input',
  [status.DEADLINE_EXCEEDED]: 'timeout',
  [status.NOT_FOUND]: 'not-found',
  [status.ALREADY_EXISTS]: 'conflict',
  [status.PERMISSION_DENIED]: 'denied',
  [status.UNAUTHENTICATED]: 'denied',
  [status.RESOURCE_EXHAUSTED]: 'invalid-input', // a message above the limit
  [status.FAILED_PRECONDITION]: 'blocked',
  [status.ABORTED]: 'locked',
  [status.UNIMPLEMENTED]: 'unsupported',
  [status.UNAVAILABLE]: 'unreachable',
}

/** Bytes of log that an error may carry: gRPC peers refuse trailers above 8 to 16 KiB. */
const logLimit = 3000

/** What was thrown, as a message. Anything but a HiveError is 'internal'. */
export function toErrorInfo(thrown: unknown): ErrorInfo {
  if (!(thrown instanceof HiveError)) return { code: 'internal', message: messageOf(thrown), hint: '', host: '', stepId: '', log: [] }
  return {
    code: thrown.code,
    message: thrown.message,
    hint: thrown.hint ?? '',
    host: thrown.host ?? '',
    stepId: thrown.stepId ?? '',
    log: [...thrown.log],
  }
}

export function fromErrorInfo(info: ErrorInfo, cause?: unknown): HiveError {
  const code = errorCodes.find((known) => known === info.code) ?? 'internal'
  const set = (text: string): string | undefined => (text === '' ? undefined : text)
  return new HiveError(code, info.message, { hint: set(info.hint), host: set(info.host), stepId: set(info.stepId), log: info.log, cause })
}

/** What a server hands to grpc-js. */
export function toServiceError(thrown: unknown): Pick<ServiceError, 'code' | 'details' | 'metadata'> & Error {
  const info = toErrorInfo(thrown)
  const metadata = new Metadata()
  const short: ErrorInfo = { ...info, message: info.message.slice(0, 1500), log: tail(info.log, logLimit) }
  metadata.set(errorKey, Buffer.from(ErrorInfo.encode(short).finish()))
  return Object.assign(new Error(short.message), { code: statusOf[fromErrorInfo(info).code], details: short.message, metadata })
}

/** What a client makes of whatever a call threw. `host` is named in the error where the agent did not. */
export function fromServiceError(thrown: unknown, host?: string): HiveError {
  if (thrown instanceof HiveError) return thrown
  const { code, details, metadata } = thrown as Partial<ServiceError>
  const sent = metadata?.get(errorKey)[0]
  if (sent instanceof Uint8Array) {
    const info = ErrorInfo.decode(sent)
    return fromErrorInfo(info.host === '' && host !== undefined ? { ...info, host } : info, thrown)
  }
  return new HiveError((code === undefined ? undefined : codeOf[code]) ?? 'internal', details ?? messageOf(thrown), { host, cause: thrown })
}

/** The last lines that fit. */
function tail(lines: readonly string[], limit: number): string[] {
  const kept: string[] = []
  let size = 0
  for (const line of lines.toReversed()) {
    const cut = line.slice(0, 500)
    size += Buffer.byteLength(cut)
    if (size > limit) break
    kept.unshift(cut)
  }
  return kept
}
