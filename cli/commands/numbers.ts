/** Numbers on the command line. */
import { InvalidArgumentError } from 'commander'

/** A whole number from 1 on. */
export function positive(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('write a whole number from 1 on')
  return Number(text)
}

const secondsIn: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** A time such as 90s, 30m, 2h or 1d, in seconds. */
export function seconds(text: string): number {
  const [, amount = '', unit = ''] = /^([1-9]\d{0,5})([smhd])$/.exec(text) ?? []
  const value = Number(amount) * (secondsIn[unit] ?? 0)
  if (value === 0) throw new InvalidArgumentError('write a number and a unit: 90s, 30m, 2h, 1d')
  return value
}

/** A port; 0 is any that is free. */
export function port(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new InvalidArgumentError('write a number from 0 to 65535')
  return Number(text)
}
