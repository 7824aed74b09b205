/** Questions on a terminal, before something is done that can't be taken back. */
import { createInterface } from 'node:readline/promises'
import { HiveError } from '../../proto/errors.ts'

export interface Question {
  /** The error where nobody can be asked, and how to do it without being asked. */
  readonly unasked: string
  readonly hint: string
  /** The error for another answer. */
  readonly refused: string
  readonly signal: AbortSignal
}

/** The name must be typed. Throws HiveError 'blocked' where nobody can be asked, 'cancelled' for another answer. */
export async function askForName(what: string, name: string, question: Question): Promise<void> {
  if (!process.stdin.isTTY) throw new HiveError('blocked', question.unasked, { hint: question.hint })
  if ((await answerTo(`${what} Type ${name} to go on: `, question.signal)) !== name) throw new HiveError('cancelled', question.refused)
}

/** y or yes. Where nobody can be asked it is a yes: only for what takes nothing away. */
export async function askToGoOn(what: string, refused: string, signal: AbortSignal): Promise<void> {
  if (!process.stdin.isTTY) return
  if (!['y', 'yes'].includes((await answerTo(`${what} [y/N] `, signal)).toLowerCase())) throw new HiveError('cancelled', refused)
}

/** Whether there is somebody to ask. */
export const canAsk = (): boolean => process.stdin.isTTY && process.stderr.isTTY

/** What was typed, without spaces around it; '' for Ctrl-C and Ctrl-D. */
export async function answerTo(question: string, signal: AbortSignal): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const left = new AbortController()
  terminal.once('close', () => left.abort())
  try {
    const answer = await terminal.question(question, { signal: AbortSignal.any([signal, left.signal]) })
    return answer.trim()
  } catch {
    // Ctrl-C and Ctrl-D are a no.
    process.stderr.write('\n')
    return ''
  } finally {
    terminal.close()
  }
}
