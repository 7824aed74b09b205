/**
 * Who did what on this host: STATE/audit.jsonl, one line for each call that may have changed something, and for each that was refused.
 * Five files of 4 MB, the oldest goes.
 */
import { createReadStream } from 'node:fs'
import { appendFile, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** Bytes of one file, and how many there are. */
const largest = 4 * 1024 * 1024
const files = 5

export interface AuditRecord {
  /** ISO */
  readonly at: string
  readonly rpc: string
  readonly caller: string
  readonly role: string
  readonly peer: string
  /** Without secrets. */
  readonly request?: unknown
  readonly milliseconds: number
  readonly ok: boolean
  readonly code?: string
  readonly message?: string
}

export interface AuditQuestion {
  readonly since?: Date | undefined
  /** Of the caller's name; '' for all. */
  readonly by: string
  /** The last so many. */
  readonly limit: number
  /** Only what was refused or failed. Default false. */
  readonly failedOnly?: boolean
}

export class AuditLog {
  readonly #folder: string
  readonly #largest: number
  readonly #failed: (error: unknown) => void
  #size: number | undefined
  #writing: Promise<void> = Promise.resolve()
  #renewed = ''

  /** `failed` is told what could not be written: a full disk keeps nobody from repairing the host. `size`: of one file, bytes. */
  constructor(folder: string, failed: (error: unknown) => void, size = largest) {
    this.#folder = folder
    this.#failed = failed
    this.#largest = size
  }

  /** In the order of the calls. A lock that is only renewed is told once. */
  write(record: AuditRecord): void {
    if (record.rpc === 'hive.v1.LockService/Acquire' && record.ok) {
      const owner = JSON.stringify([record.caller, record.request])
      if (owner === this.#renewed) return
      this.#renewed = owner
    }
    this.#writing = this.#writing.then(() => this.#append(`${JSON.stringify(record)}\n`)).catch(this.#failed)
  }

  /** Resolves when all is written that was told so far. */
  settled(): Promise<void> {
    return this.#writing
  }

  /** Oldest first. A line that a crash cut short is left out. */
  async read({ since, by, limit, failedOnly = false }: AuditQuestion): Promise<readonly AuditRecord[]> {
    await this.settled()
    const found: AuditRecord[] = []
    for (let n = files - 1; n >= 0; n--) {
      for await (const record of records(this.#path(n))) {
        if (since !== undefined && Date.parse(record.at) < since.getTime()) continue
        if (failedOnly && record.ok) continue
        if (by !== '' && record.caller !== by && !record.caller.startsWith(`${by}@`)) continue
        found.push(record)
        if (found.length > 2 * limit) found.splice(0, found.length - limit)
      }
    }
    return limit === 0 ? [] : found.slice(-limit)
  }

  #path(n: number): string {
    return join(this.#folder, n === 0 ? 'audit.jsonl' : `audit.jsonl.${n}`)
  }

  async #append(line: string): Promise<void> {
    if (this.#size === undefined) {
      this.#size = await sizeOf(this.#path(0))
      // A line cut short by a crash must not swallow the one after it.
      if (this.#size > 0) line = `\n${line}`
    }
    if (this.#size > 0 && this.#size + line.length > this.#largest) {
      for (let n = files - 1; n > 0; n--) await rename(this.#path(n - 1), this.#path(n)).catch(ignoreMissing)
      this.#size = 0
    }
    await appendFile(this.#path(0), line, { mode: 0o600 })
    this.#size += Buffer.byteLength(line)
  }
}

async function* records(path: string): AsyncGenerator<AuditRecord> {
  const input = createReadStream(path)
  try {
    for await (const line of createInterface({ input })) {
      const record = parse(line)
      if (record !== undefined) yield record
    }
  } catch (error) {
    ignoreMissing(error)
  } finally {
    input.destroy()
  }
}

function parse(line: string): AuditRecord | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null && 'rpc' in value ? (value as AuditRecord) : undefined
  } catch {
    return undefined
  }
}

const sizeOf = async (path: string): Promise<number> => {
  try {
    return (await stat(path)).size
  } catch (error) {
    ignoreMissing(error)
    return 0
  }
}

function ignoreMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
}
