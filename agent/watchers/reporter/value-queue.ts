/**
 * Values that wait for Zabbix, on disk: segments of JSON lines, oldest first, and a small file that says up to where they are settled.
 *
 * - A line is what one collector found at one time, with the mark of how far it has read; it is there whole or not at all, so that no line
 *   of a log is told twice or never.
 * - Values are settled after Zabbix has answered. A kill in between sends them again, with the same times.
 * - What Zabbix did not take (it does not know the item yet) is parked beside the settled file, apart from the queue.
 * - Beyond its size or age the oldest segment goes, and its values are counted as dropped.
 */
import { type FileHandle, mkdir, open, readdir, readFile, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { writeWhole } from '../../runs/state-file.ts'
import type { Value } from './value.ts'

export interface QueuedValue extends Value {
  readonly id: number
}

/** Values of one item that Zabbix did not take. */
export interface ParkedLane {
  readonly values: readonly Value[]
  /** Milliseconds since 1970. */
  readonly since: number
  readonly attempts: number
  readonly notBefore: number
}

export interface QueueLimits {
  /** Of all segments. */
  readonly bytes: number
  /** Of one segment. */
  readonly segmentBytes: number
  /** Milliseconds. */
  readonly age: number
}

export const defaultLimits: QueueLimits = { bytes: 64 * 1024 * 1024, segmentBytes: 512 * 1024, age: 7 * 86_400_000 }

interface Segment {
  readonly path: string
  readonly first: number
  last: number
  bytes: number
  /** Seconds since 1970 of its newest value. */
  newest: number
}

interface Line {
  /** Id of the first value. */
  readonly f: number
  readonly v: readonly (readonly [host: string, key: string, value: string, clock: number, ns: number])[]
  readonly m?: Readonly<Record<string, unknown>>
}

interface Settled {
  readonly settled: number
  readonly next: number
  readonly marks: Readonly<Record<string, unknown>>
  readonly parked: readonly ParkedLane[]
}

const suffix = '.jsonl'
/** Lines without values have an id, too. */
const width = (values: readonly unknown[]): number => Math.max(1, values.length)

export class ValueQueue {
  readonly #folder: string
  readonly #limits: QueueLimits
  readonly #now: () => number
  readonly #segments: Segment[] = []
  readonly #marks = new Map<string, unknown>()
  #parked: readonly ParkedLane[] = []
  #settled = 0
  #next = 1
  #dropped = 0
  #file: FileHandle | undefined
  #torn = false
  #read: { readonly path: string; readonly last: number; readonly values: readonly QueuedValue[] } | undefined
  #serial: Promise<unknown> = Promise.resolve()

  private constructor(folder: string, limits: QueueLimits, now: () => number) {
    this.#folder = folder
    this.#limits = limits
    this.#now = now
  }

  static async open(folder: string, limits: QueueLimits = defaultLimits, now: () => number = Date.now): Promise<ValueQueue> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const queue = new ValueQueue(folder, limits, now)
    await queue.#recover()
    return queue
  }

  /** Values that wait, parked ones included. */
  get length(): number {
    return this.#next - 1 - this.#settled + this.#parked.reduce((sum, lane) => sum + lane.values.length, 0)
  }

  get parked(): readonly ParkedLane[] {
    return this.#parked
  }

  /** How far a collector had read, when it last told something. */
  mark(name: string): unknown {
    return this.#marks.get(name)
  }

  /** Values that were given up since this was last asked. */
  takeDropped(): number {
    const dropped = this.#dropped
    this.#dropped = 0
    return dropped
  }

  /** Rejects where it can't be written; then neither values nor marks are kept. */
  append(values: readonly Value[], marks: Readonly<Record<string, unknown>> = {}): Promise<void> {
    if (values.length === 0 && Object.keys(marks).length === 0) return Promise.resolve()
    return this.#inTurn(async () => {
      const line: Line = {
        f: this.#next,
        v: values.map(({ host, key, value, clock, ns }) => [host, key, value, clock, ns] as const),
        ...(Object.keys(marks).length === 0 ? {} : { m: marks }),
      }
      await this.#write(Buffer.from(`${JSON.stringify(line)}\n`), width(values), values.at(-1)?.clock ?? 0)
      for (const [name, mark] of Object.entries(marks)) this.#marks.set(name, mark)
      await this.#trim()
    })
  }

  /** What was appended is on disk. */
  sync(): Promise<void> {
    return this.#inTurn(async () => this.#file?.datasync())
  }

  /** The oldest values that are not settled; `last` is what settles them. Undefined where there is none. */
  next(count: number): Promise<{ readonly values: readonly QueuedValue[]; readonly last: number } | undefined> {
    return this.#inTurn(async () => {
      for (const segment of this.#segments) {
        if (segment.last <= this.#settled) continue
        const values = (await this.#valuesOf(segment)).filter(({ id }) => id > this.#settled)
        const taken = values.slice(0, count)
        // A segment may end with lines that have no values.
        return { values: taken, last: taken.length === values.length ? segment.last : (taken.at(-1)?.id ?? segment.last) }
      }
      return undefined
    })
  }

  /** Values up to this id are Zabbix's, or among the parked ones. */
  settle(last: number, parked: readonly ParkedLane[]): Promise<void> {
    return this.#inTurn(async () => {
      this.#settled = Math.max(this.#settled, last)
      this.#parked = parked
      await this.#keepSettled()
      await this.#removeSettled()
    })
  }

  /** Values are given up without being told. */
  drop(count: number): void {
    this.#dropped += count
  }

  close(): Promise<void> {
    return this.#inTurn(() => this.#closeFile())
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#serial.then(work)
    this.#serial = turn.catch(() => undefined)
    return turn
  }

  async #recover(): Promise<void> {
    const kept = await readSettled(this.#settledPath)
    this.#settled = kept.settled
    this.#next = kept.next
    this.#parked = kept.parked
    for (const [name, mark] of Object.entries(kept.marks)) this.#marks.set(name, mark)
    for (const name of (await readdir(this.#folder)).filter((name) => name.endsWith(suffix)).sort()) {
      const path = join(this.#folder, name)
      const bytes = await readFile(path)
      const whole = bytes.lastIndexOf(0x0a) + 1
      if (whole === 0) {
        await rm(path, { force: true })
        continue
      }
      if (whole < bytes.length) await truncate(path, whole)
      const lines = parseLines(bytes.subarray(0, whole).toString('utf8'))
      const end = lines.at(-1)
      if (lines[0] === undefined || end === undefined) {
        await rm(path, { force: true })
        continue
      }
      for (const { f, m = {} } of lines) if (f >= kept.next) for (const [mark, value] of Object.entries(m)) this.#marks.set(mark, value)
      const last = end.f + width(end.v) - 1
      this.#segments.push({ path, first: lines[0].f, last, bytes: whole, newest: newestOf(lines) })
      this.#next = Math.max(this.#next, last + 1)
    }
    await this.#removeSettled()
  }

  async #write(line: Buffer, ids: number, clock: number): Promise<void> {
    let segment = this.#segments.at(-1)
    if (this.#torn && segment !== undefined) {
      await truncate(segment.path, segment.bytes)
      this.#torn = false
    }
    if (this.#file === undefined || segment === undefined || segment.bytes >= this.#limits.segmentBytes) {
      await this.#closeFile()
      const path = join(this.#folder, `${String(this.#next).padStart(16, '0')}${suffix}`)
      this.#file = await open(path, 'a', 0o600)
      segment = { path, first: this.#next, last: this.#next - 1, bytes: 0, newest: 0 }
      this.#segments.push(segment)
    }
    try {
      await this.#file.appendFile(line)
    } catch (error) {
      this.#torn = true
      throw error
    }
    this.#next += ids
    segment.last = this.#next - 1
    segment.bytes += line.length
    segment.newest = Math.max(segment.newest, clock)
  }

  async #valuesOf(segment: Segment): Promise<readonly QueuedValue[]> {
    if (this.#read?.path === segment.path && this.#read.last === segment.last) return this.#read.values
    const lines = parseLines((await readFile(segment.path)).subarray(0, segment.bytes).toString('utf8'))
    const values = lines.flatMap(({ f, v }) => v.map(([host, key, value, clock, ns], index) => ({ id: f + index, host, key, value, clock, ns })))
    this.#read = { path: segment.path, last: segment.last, values }
    return values
  }

  /** Gives up what is too old or too much. */
  async #trim(): Promise<void> {
    const oldest = this.#now() - this.#limits.age
    let bytes = this.#segments.reduce((sum, segment) => sum + segment.bytes, 0)
    let given = false
    for (let first = this.#segments[0]; first !== undefined; first = this.#segments[0]) {
      const old = first.newest > 0 && first.newest * 1000 < oldest
      if (this.#segments.length < 2 || (!old && bytes <= this.#limits.bytes)) break
      bytes -= first.bytes
      const before = this.#settled
      this.#settled = Math.max(this.#settled, first.last)
      this.#dropped += first.last - Math.max(before, first.first - 1)
      given = true
      this.#segments.shift()
      await rm(first.path, { force: true })
    }
    if (given) await this.#keepSettled()
  }

  async #removeSettled(): Promise<void> {
    for (let first = this.#segments[0]; first !== undefined && first.last <= this.#settled; first = this.#segments[0]) {
      if (this.#segments.length === 1) await this.#closeFile()
      this.#segments.shift()
      await rm(first.path, { force: true })
    }
  }

  #keepSettled(): Promise<void> {
    const kept: Settled = { settled: this.#settled, next: this.#next, marks: Object.fromEntries(this.#marks), parked: this.#parked }
    return writeWhole(this.#settledPath, JSON.stringify(kept))
  }

  async #closeFile(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }

  get #settledPath(): string {
    return join(this.#folder, 'settled.json')
  }
}

/** Where it is not there, or was cut off by a loss of power, everything in the segments is sent again. */
async function readSettled(path: string): Promise<Settled> {
  const nothing: Settled = { settled: 0, next: 1, marks: {}, parked: [] }
  try {
    return { ...nothing, ...(JSON.parse(await readFile(path, 'utf8')) as Partial<Settled>) }
  } catch {
    return nothing
  }
}

/** Lines that can't be read are left out. */
function parseLines(text: string): readonly Line[] {
  return text.split('\n').flatMap((line): Line[] => {
    if (line === '') return []
    try {
      const parsed = JSON.parse(line) as Partial<Line>
      return typeof parsed.f === 'number' && Array.isArray(parsed.v) ? [parsed as Line] : []
    } catch {
      return []
    }
  })
}

const newestOf = (lines: readonly Line[]): number => lines.reduce((newest, { v }) => Math.max(newest, v.at(-1)?.[3] ?? 0), 0)
