/** Asks for a name to be typed before something is destroyed. */
import { createInterface } from 'node:readline/promises'
import { HiveError } from '../../proto/errors.ts'

export interface Confirmation {
  /** Must be typed. */
  readonly name: string
  /** What would be destroyed: "removes all data of NAME". */
  readonly what: string
  /** How to answer beforehand: "add --yes to mean it". */
  readonly hint: string
  readonly signal: AbortSignal
}

/** Throws HiveError 'blocked' where nobody can be asked, 'cancelled' for another answer. */
export async function confirm({ name, what, hint, signal }: Confirmation): Promise<void> {
  if (!process.stdin.isTTY) throw new HiveError('blocked', `this ${what}`, { hint })
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const left = new AbortController()
  terminal.once('close', () => left.abort())
  try {
    const answer = await terminal
      .question(`This ${what}. Type ${name} to go on: `, { signal: AbortSignal.any([signal, left.signal]) })
      // Ctrl-C and Ctrl-D are a no.
      .catch(() => {
        process.stderr.write('\n')
        return ''
      })
    if (answer.trim() !== name) throw new HiveError('cancelled', 'nothing was destroyed')
  } finally {
    terminal.close()
  }
}
