/** What drbdsetup prints and how it exits, as recorded. */
import type { Refusal } from './promotion.ts'

export interface Result {
  code: number
  stdout: string
  stderr: string
  /** nothing was decided yet: run the same command again at that time, with the first call's `since`. */
  again?: number
}

export const done = (stdout = ''): Result => ({ code: 0, stdout, stderr: '' })
const withInfo = (info: string | undefined): string => (info === undefined ? '' : `additional info from kernel:\n${info}\n`)

const FAILURES = {
  102: 'Local address(port) already in use.',
  104: 'Can not open backing device.',
  119: `No valid meta-data signature found.\n\n\t==> Use 'drbdadm create-md res' to initialize meta-data area. <==\n`,
  123: '--discard-my-data not allowed when primary.',
  124: 'Device is attached to a disk (use detach first)',
  125: 'Device has a net-config (use disconnect first)',
  127: 'Device minor not allocated',
  138: 'Device does not have a disk-config',
  151: 'Need to be StandAlone',
  158: 'Unknown resource',
  161: 'Minor or volume exists already (delete it first)',
  162: 'Invalid configuration request',
} as const

export const failure = (subject: string, code: keyof typeof FAILURES, info?: string): Result => ({
  code: 10,
  stdout: '',
  stderr: `${subject}: Failure: (${code}) ${FAILURES[code]}\n${withInfo(info)}`,
})

/** A refused state change: 17 where up-to-date data is missing, else 11. */
export const refused = (subject: string, refusal: Refusal): Result => ({
  code: refusal.rv === -2 ? 17 : 11,
  stdout: '',
  stderr: `${subject}: State change failed: (${refusal.rv}) ${refusal.text}\n${withInfo(refusal.info)}`,
})

export const usage = (text: string): Result => ({ code: 20, stdout: '', stderr: `${text}\n` })
