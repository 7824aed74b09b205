/** Small text forms that all renderers share. */
import { stripVTControlCharacters } from 'node:util'

/** 950 → "950 ms", 12 340 → "12.3 s", 200 000 → "3 m 20 s". */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`
  const seconds = Math.round(milliseconds / 1000)
  return `${Math.floor(seconds / 60)} m ${seconds % 60} s`
}

/** How long ago: "40 s", "3 h", "2 d". */
export function age(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000))
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`
}

/** "1 change", "3 changes". */
export const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`

/** The words of Disruption (hive/v1/step.proto), index is the wire value. */
export const disruptionWords = ['none', 'restart', 'failover', 'reboot', 'destroys data'] as const

/** First label of an inventory name. */
export const shortHost = (name: string): string => (name === '' ? 'stage' : (name.split('.')[0] ?? name))

/** Left-aligned columns, two spaces apart; the last column is not padded. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, visible(cell))
  return rows.map((row) => row.map((cell, i) => (i === row.length - 1 ? cell : cell + ' '.repeat((widths[i] ?? 0) - visible(cell)))).join('  ')).join('\n')
}

/** Colours take no room. */
const visible = (cell: string): number => stripVTControlCharacters(cell).length
