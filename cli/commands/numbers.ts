/** Numbers on the command line. */
import { InvalidArgumentError } from 'commander'

/** A whole number from 1 on. */
export function positive(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('write a whole number from 1 on')
  return Number(text)
}
