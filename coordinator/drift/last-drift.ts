/** The last drift that was looked for, CONTEXT_DIR/drift.json, so that a look at the site tells of it without looking anew. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readTextIfPresent, writeFileAtomic } from '../run/atomic-file.ts'
import type { Drift } from './drift.ts'

export interface LastDrift {
  readonly at: string
  readonly differences: number
  readonly strangers: number
  readonly unknown: number
  readonly unreachable: number
}

const pathOf = (contextDir: string): string => join(contextDir, 'drift.json')

/** Nothing where there is no such folder: a look at a stage that does not exist leaves nothing behind. */
export function keepDrift(contextDir: string, drift: Drift): void {
  if (existsSync(contextDir)) writeFileAtomic(pathOf(contextDir), `${JSON.stringify(drift, null, 2)}\n`)
}

/** undefined where nobody looked yet, or the file is damaged: the next look writes it anew. */
export function lastDrift(contextDir: string): Drift | undefined {
  const text = readTextIfPresent(pathOf(contextDir))
  if (text === undefined) return undefined
  try {
    const { at, differences, strangers, unknown, unreachable } = JSON.parse(text) as Partial<Drift>
    const lists = [differences, strangers, unknown, unreachable]
    if (typeof at !== 'string' || Number.isNaN(Date.parse(at)) || !lists.every(Array.isArray)) return undefined
    return { at, differences: differences ?? [], strangers: strangers ?? [], unknown: unknown ?? [], unreachable: unreachable ?? [] }
  } catch {
    return undefined
  }
}

export const summaryOf = ({ at, differences, strangers, unknown, unreachable }: Drift): LastDrift => ({
  at,
  differences: differences.length,
  strangers: strangers.length,
  unknown: unknown.length,
  unreachable: unreachable.length,
})
