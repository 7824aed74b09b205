/**
 * What a stage must remember beside the inventory, in the stage's context folder: pinned image digests, content hashes
 * of archives, DRBD's node ids and secret. Plain JSON, readable by its owner alone, written atomically. Allocations (device ids, ports) are the inventory's own.
 */
import { join } from 'node:path'
import { HiveError } from '../../proto/errors.ts'
import { readTextIfPresent, writeFileAtomic } from './atomic-file.ts'

export interface StageState {
  get(key: string): unknown
  /** Written to disk before it returns. */
  set(key: string, value: unknown): void
}

/**
 * The state in CONTEXT_DIR/state.json. One writer at a time: `set` is called only by whoever holds the stage's run lock.
 * Read once, at the first use. Throws HiveError 'invalid-input' when the file is damaged: nothing is guessed.
 */
export function openStageState(contextDir: string): StageState {
  const path = join(contextDir, 'state.json')
  let values: Record<string, unknown> | undefined
  const loaded = (): Record<string, unknown> => {
    values ??= parse(path, readTextIfPresent(path))
    return values
  }
  return {
    get: (key) => loaded()[key],
    set(key, value) {
      const next = { ...loaded(), [key]: value }
      writeFileAtomic(path, `${JSON.stringify(next, null, 2)}\n`)
      values = next
    },
  }
}

/** A view that keeps what is set to itself: a plan writes nothing. */
export function overlayState(base: StageState): StageState {
  const own = new Map<string, unknown>()
  return {
    get: (key) => (own.has(key) ? own.get(key) : base.get(key)),
    set: (key, value) => {
      own.set(key, value)
    },
  }
}

function parse(path: string, text: string | undefined): Record<string, unknown> {
  if (text === undefined) return {}
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch (cause) {
    throw new HiveError('invalid-input', `${path} is not JSON`, {
      hint: 'restore it from a copy: it holds node ids of mirrored volumes, besides image pins that could be resolved anew',
      cause,
    })
  }
  throw new HiveError('invalid-input', `${path} is not a JSON object`, {
    hint: 'restore it from a copy: it holds node ids of mirrored volumes, besides image pins that could be resolved anew',
  })
}
