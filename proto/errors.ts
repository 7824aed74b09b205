/**
 * The one family of errors. Agent and coordinator throw only these where a person or a caller shall understand what
 * went wrong; everything else is a defect and is reported as `internal`.
 */
export const errorCodes = [
  'invalid-input', // what the user wrote; exit code 2
  'not-found',
  'conflict', // the thing exists with other properties and is not replaced by inference
  'locked', // another run holds the site
  'denied', // no certificate, or a role too low
  'unreachable', // no answer from a host
  'timeout',
  'blocked', // doubt: it stops and asks
  'command-failed', // a tool on a host answered with an error
  'not-converged', // applied, but what was asked for did not come about
  'unsupported',
  'cancelled',
  'internal',
] as const
export type ErrorCode = (typeof errorCodes)[number]

export interface ErrorDetails {
  /** What to do or to write instead. */
  readonly hint?: string | undefined
  readonly host?: string | undefined
  readonly stepId?: string | undefined
  /** Last lines of a tool or a container that explain it. */
  readonly log?: readonly string[] | undefined
  readonly cause?: unknown
}

export class HiveError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly host: string | undefined
  readonly stepId: string | undefined
  readonly log: readonly string[]

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'HiveError'
    this.code = code
    this.hint = details.hint
    this.host = details.host
    this.stepId = details.stepId
    this.log = details.log ?? []
  }
}

/** The text of whatever was thrown. */
export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown))
