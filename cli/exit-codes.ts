/** What a command's end tells scripts; docs/commands.md has them all. */
import type { DeployResult } from '../coordinator/index.ts'

/** With --exit-code: something would change, or something is wrong. */
export const foundExitCode = 4
/** Done, except for hosts that did not answer: they get their part the next time. */
export const leftOutExitCode = 5

/** Of what phases did; undefined: done everywhere. */
export function exitCodeOf({ ok, errors, unreachable }: Pick<DeployResult, 'ok' | 'errors' | 'unreachable'>): number | undefined {
  if (!ok) return errors.every(({ code }) => code === 'cancelled') ? 130 : 1
  return unreachable.length > 0 ? leftOutExitCode : undefined
}
