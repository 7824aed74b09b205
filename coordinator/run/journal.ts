/** The coordinator's journal: every event of a run in CONTEXT_DIR/runs/RUNID.jsonl, one JSON object a line with `at` first. */
import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, readSync, statSync, watch, writeSync } from 'node:fs'
import { join } from 'node:path'
import { HiveError } from '../../proto/errors.ts'
import type { HiveEvent } from '../events.ts'

export interface JournalEntry {
  readonly at: string
  readonly event: HiveEvent
}

export interface RunRecord {
  readonly runId: string
  readonly command: string
  readonly stage: string
  readonly started: string
  /** undefined: it goes on, or its coordinator died. */
  readonly finished: string | undefined
  readonly ok: boolean | undefined
  readonly changed: number | undefined
  readonly errors: number | undefined
}

/** 20261123T131646123Z-1f3a: sorts by time. */
export const newRunId = (now: Date): string => `${now.toISOString().replace(/[-:.]/g, '')}-${randomBytes(2).toString('hex')}`

export interface JournalWriter {
  readonly runId: string
  write(event: HiveEvent, at: Date): void
  close(): void
}

const journalFolder = (contextDir: string): string => join(contextDir, 'runs')
export const journalFile = (contextDir: string, runId: string): string => join(journalFolder(contextDir), `${runId}.jsonl`)

export function openJournal(contextDir: string, runId: string): JournalWriter {
  mkdirSync(journalFolder(contextDir), { recursive: true, mode: 0o700 })
  const file = openSync(journalFile(contextDir, runId), 'ax', 0o600)
  let open = true
  return {
    runId,
    write(event, at) {
      if (open) writeSync(file, `${JSON.stringify({ at: at.toISOString(), event })}\n`)
    },
    close() {
      if (open) closeSync(file)
      open = false
    },
  }
}

/** Ids of a stage's runs, newest first; at most `limit`. */
export function runIds(contextDir: string, limit: number): readonly string[] {
  const folder = journalFolder(contextDir)
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .map((name) => name.slice(0, -'.jsonl'.length))
    .sort()
    .reverse()
    .slice(0, limit)
}

/** The runs of a stage, newest first; at most `limit`. */
export const listRuns = (contextDir: string, limit = 50): readonly RunRecord[] =>
  runIds(contextDir, limit).map((runId) => summarize(runId, readRun(contextDir, runId)))

/** All events of a run. Throws HiveError 'not-found' for an id that does not exist. A line that is being written is left out. */
export function readRun(contextDir: string, runId: string): readonly JournalEntry[] {
  return parseLines(readFileSync(existing(contextDir, runId), 'utf8').split('\n'))
}

/** Replays a run's events and follows until it is finished or `signal` is aborted. */
export async function* followRun(contextDir: string, runId: string, signal: AbortSignal): AsyncGenerator<JournalEntry> {
  const path = existing(contextDir, runId)
  const file = openSync(path, 'r')
  let wake: () => void = () => undefined
  const watcher = watch(path, () => wake())
  const stop = () => wake()
  signal.addEventListener('abort', stop, { once: true })
  let rest = ''
  let position = 0
  const decoder = new TextDecoder()
  try {
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve
      })
      const length = statSync(path).size - position
      if (length <= 0) {
        await woken
        continue
      }
      const buffer = Buffer.alloc(length)
      const read = readSync(file, buffer, 0, length, position)
      position += read
      const lines = (rest + decoder.decode(buffer.subarray(0, read), { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      for (const entry of parseLines(lines)) {
        yield entry
        if (entry.event.code === 'run.finished') return
      }
    }
  } finally {
    signal.removeEventListener('abort', stop)
    watcher.close()
    closeSync(file)
  }
}

function existing(contextDir: string, runId: string): string {
  const path = journalFile(contextDir, runId)
  if (!/^[\w-]+$/.test(runId) || !existsSync(path)) throw new HiveError('not-found', `there is no run ${runId}`, { hint: '`hivecoord runs` lists them' })
  return path
}

function parseLines(lines: readonly string[]): JournalEntry[] {
  const entries: JournalEntry[] = []
  for (const line of lines) {
    try {
      if (line !== '') entries.push(JSON.parse(line) as JournalEntry)
    } catch {
      // Cut short: the coordinator died while it wrote, or writes now.
    }
  }
  return entries
}

function summarize(runId: string, entries: readonly JournalEntry[]): RunRecord {
  const first = entries[0]
  const last = entries.at(-1)
  const begun = first?.event.code === 'run.started' ? first.event : undefined
  const ended = last?.event.code === 'run.finished' ? last.event : undefined
  return {
    runId,
    command: begun?.command ?? '',
    stage: begun?.stage ?? '',
    started: first?.at ?? '',
    finished: ended === undefined ? undefined : last?.at,
    ok: ended?.ok,
    changed: ended?.changed,
    errors: ended?.errors.length,
  }
}
