/** Asks for a name to be typed before something is destroyed. */
import { HiveError } from '../../proto/errors.ts'
import { ask } from '../ask.ts'

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
  if ((await ask(`This ${what}. Type ${name} to go on: `, signal)) !== name) throw new HiveError('cancelled', 'nothing was destroyed')
}
