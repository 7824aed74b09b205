/**
 * A run's journal: runs/RUN_ID.jsonl, one JSON object a line, only ever appended to. The first line tells the run, the others are its
 * events. Specs are not in it, so no secret is.
 */
import { type FileHandle, mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { RunEvent } from '#gen/hive/v1/run.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'

export interface RunHeader {
  readonly runId: string
  readonly key: string
  readonly owner: string
  readonly deployId: string
  readonly started: Date
  readonly steps: readonly { readonly id: string; readonly title: string }[]
}

const suffix = '.jsonl'

/**
 * Invariants:
 * - lines reach the file in the order of append;
 * - an awaited append with `sync` is on disk when it resolves; many of them share one sync;
 * - a failed write rejects the appends it was for, and later ones are tried anew; a torn line never swallows the next one.
 */
export class Journal {
  readonly #file: FileHandle
  #pending: { line: string; sync: boolean; resolve: () => void; reject: (error: unknown) => void }[] = []
  #writing: Promise<void> | undefined
  #torn = false

  constructor(file: FileHandle) {
    this.#file = file
  }

  /** Rejects with HiveError 'blocked' when it cannot be written. */
  append(line: string, sync: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#pending.push({ line, sync, resolve, reject })
      this.#writing ??= this.#drain()
    })
  }

  async #drain(): Promise<void> {
    // One turn later, so that what is appended together is written together.
    await Promise.resolve()
    while (this.#pending.length > 0) {
      const batch = this.#pending
      this.#pending = []
      try {
        const text = batch.map(({ line }) => `${line}\n`).join('')
        await this.#file.appendFile(this.#torn ? `\n${text}` : text)
        this.#torn = false
        if (batch.some(({ sync }) => sync)) await this.#file.datasync()
        for (const { resolve } of batch) resolve()
      } catch (error) {
        this.#torn = true
        for (const { reject } of batch) reject(unwritable(error))
      }
    }
    this.#writing = undefined
  }

  async close(): Promise<void> {
    await this.#writing
    await this.#file.close()
  }
}

const unwritable = (error: unknown): HiveError =>
  new HiveError('blocked', `the agent's journal can't be written: ${messageOf(error)}`, {
    hint: 'free space on the file system of /var/lib/hive-agent',
    cause: error,
  })

/** Makes the file with its header, on disk when it resolves. */
export async function createJournal(folder: string, header: RunHeader): Promise<Journal> {
  let file: FileHandle
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    file = await open(join(folder, header.runId + suffix), 'ax', 0o600)
  } catch (error) {
    throw unwritable(error)
  }
  const journal = new Journal(file)
  try {
    await journal.append(JSON.stringify(header), true)
  } catch (error) {
    await file.close()
    await rm(join(folder, header.runId + suffix), { force: true })
    throw error
  }
  return journal
}

/** Opens the journal of an earlier run to add to it. */
export const reopenJournal = async (folder: string, runId: string): Promise<Journal> => new Journal(await open(join(folder, runId + suffix), 'a', 0o600))

/** int64 as numbers: sequence numbers and milliseconds are far below 2^53. */
export const encodeEvent = (event: RunEvent): string => JSON.stringify(event, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value))

function decodeEvent(raw: RunEvent): RunEvent {
  const event: RunEvent = { ...raw, seq: BigInt(raw.seq), at: new Date(String(raw.at)) }
  if (raw.event?.$case === 'finished') event.event = { $case: 'finished', value: { ...raw.event.value, milliseconds: BigInt(raw.event.value.milliseconds) } }
  return event
}

/** Lines that cannot be read (torn by a full disk or a crash) are left out. Undefined where not even the header is there. */
export async function readJournal(folder: string, runId: string): Promise<{ header: RunHeader; events: RunEvent[] } | undefined> {
  let text: string
  try {
    text = await readFile(join(folder, runId + suffix), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const [first, ...rest] = text.split('\n').flatMap((line): unknown[] => {
    try {
      return line === '' ? [] : [JSON.parse(line)]
    } catch {
      return []
    }
  })
  const header = first as RunHeader | undefined
  if (header?.runId !== runId) return undefined
  return { header: { ...header, started: new Date(header.started) }, events: (rest as RunEvent[]).map(decodeEvent) }
}

/** Ids of all runs with a journal, oldest first: ids begin with the time. */
export async function listJournals(folder: string): Promise<string[]> {
  try {
    const names = await readdir(folder)
    return names
      .filter((name) => name.endsWith(suffix))
      .map((name) => name.slice(0, -suffix.length))
      .sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Removes the oldest journals above `count` files or `bytes` in all, those of `kept` excepted. Returns the ids removed. */
export async function pruneJournals(folder: string, limits: { readonly count: number; readonly bytes: number }, kept: ReadonlySet<string>): Promise<string[]> {
  const removed: string[] = []
  let count = 0
  let bytes = 0
  for (const id of (await listJournals(folder)).reverse()) {
    const path = join(folder, id + suffix)
    const { size } = await stat(path)
    count += 1
    bytes += size
    if ((count <= limits.count && bytes <= limits.bytes) || kept.has(id)) continue
    await rm(path, { force: true })
    removed.push(id)
  }
  return removed
}
