/**
 * From the queue to Zabbix, in order. Zabbix tells only how many values of a request it did not take, so those are looked for by halves:
 * what it gets twice with the same time it keeps once.
 *
 * Values of one item are a lane. A lane that Zabbix does not take is parked: discovered items exist a minute after their discovery. Its
 * later values wait behind it, so that the order is kept; after ten minutes they are given up, and the lane is left alone for as long.
 */

import type { Value } from './value.ts'
import type { ParkedLane, ValueQueue } from './value-queue.ts'
import { batchSize, type Outgoing, type Receipt } from './zabbix-sender.ts'

export type Send = (values: readonly Outgoing[], signal: AbortSignal) => Promise<Receipt>

/** Milliseconds. */
const patience = 600_000
const quietTime = 600_000
const firstPause = 5_000
const longestPause = 60_000
/** Parked values in all. */
const parkedLimit = 5_000

const laneOf = ({ host, key }: Pick<Value, 'host' | 'key'>): string => `${host}\n${key}`

export class Delivery {
  readonly #queue: ValueQueue
  readonly #send: Send
  readonly #now: () => number
  readonly #known = new Set<string>()
  readonly #quiet = new Map<string, number>()
  #refused = 0

  constructor(queue: ValueQueue, send: Send, now: () => number = Date.now) {
    this.#queue = queue
    this.#send = send
    this.#now = now
  }

  /** Values that were given up because Zabbix does not take them, since this was last asked. */
  takeRefused(): number {
    const refused = this.#refused
    this.#refused = 0
    return refused
  }

  /** Milliseconds until a parked lane is due; undefined: none is parked. */
  get nextRetry(): number | undefined {
    const due = this.#queue.parked.map(({ notBefore }) => notBefore)
    return due.length === 0 ? undefined : Math.max(0, Math.min(...due) - this.#now())
  }

  /** Until the queue is empty. Rejects as `send` does; what was not settled then is sent by the next flush. */
  async flush(signal: AbortSignal): Promise<void> {
    await this.#retry(signal)
    for (;;) {
      signal.throwIfAborted()
      const batch = await this.#queue.next(batchSize)
      if (batch === undefined) return
      const parked = new Map(this.#queue.parked.map((lane) => [laneOf(first(lane)), lane]))
      const waiting = new Set(parked.keys())
      const due = batch.values.filter((value) => !waiting.has(laneOf(value)) && !this.#isQuiet(value))
      this.#refused += batch.values.filter((value) => !waiting.has(laneOf(value)) && this.#isQuiet(value)).length
      const failed = await this.#deliver(due, signal)
      for (const value of batch.values) if (waiting.has(laneOf(value)) || failed.has(value)) this.#park(parked, value)
      await this.#queue.settle(batch.last, this.#bounded([...parked.values()]))
    }
  }

  async #retry(signal: AbortSignal): Promise<void> {
    const now = this.#now()
    const lanes = this.#queue.parked
    const due = lanes.filter(({ notBefore }) => notBefore <= now)
    if (due.length === 0) return
    const failed = new Set<Value>()
    for (const values of batches(due.flatMap((lane) => lane.values))) for (const value of await this.#deliver(values, signal)) failed.add(value)
    const kept = lanes.flatMap((lane): readonly ParkedLane[] => {
      if (!due.includes(lane)) return [lane]
      const values = lane.values.filter((value) => failed.has(value))
      if (values.length === 0) return []
      if (now - lane.since < patience) return [{ ...lane, values, attempts: lane.attempts + 1, notBefore: now + pauseAfter(lane.attempts) }]
      this.#refused += values.length
      this.#quiet.set(laneOf(first(lane)), now + quietTime)
      return []
    })
    await this.#queue.settle(0, kept)
  }

  #park(lanes: Map<string, ParkedLane>, value: Value): void {
    const { host, key, value: text, clock, ns } = value
    const lane = lanes.get(laneOf(value)) ?? { values: [], since: this.#now(), attempts: 0, notBefore: this.#now() + firstPause }
    lanes.set(laneOf(value), { ...lane, values: [...lane.values, { host, key, value: text, clock, ns }] })
  }

  /** The lanes that have waited longest go first where there are too many values. */
  #bounded(lanes: readonly ParkedLane[]): readonly ParkedLane[] {
    let count = lanes.reduce((sum, lane) => sum + lane.values.length, 0)
    return lanes.filter((lane) => {
      if (count <= parkedLimit) return true
      count -= lane.values.length
      this.#refused += lane.values.length
      return false
    })
  }

  #isQuiet(value: Value): boolean {
    const until = this.#quiet.get(laneOf(value))
    if (until === undefined) return false
    if (until > this.#now()) return true
    this.#quiet.delete(laneOf(value))
    return false
  }

  /** Answers the values that Zabbix did not take. */
  async #deliver<T extends Value>(values: readonly T[], signal: AbortSignal): Promise<ReadonlySet<T>> {
    const { failed: count } = values.length === 0 ? { failed: 0 } : await this.#send(values, signal)
    const sorted = values.toSorted((a, b) => this.#newness(a) - this.#newness(b))
    const failed = new Set(await this.#failedOf(sorted, count, signal))
    for (const value of values) {
      if (failed.has(value)) this.#known.delete(laneOf(value))
      else this.#known.add(laneOf(value))
    }
    return failed
  }

  /** Lanes that were taken before come first, so that those that may fail are beside one another. */
  #newness(value: Value): number {
    return this.#known.has(laneOf(value)) ? 0 : value.key.includes('[') ? 2 : 1
  }

  /** `expected`: how many of them have failed already, where they were sent as part of more. */
  async #failedOf<T extends Value>(values: readonly T[], expected: number | undefined, signal: AbortSignal): Promise<readonly T[]> {
    if (values.length === 0) return []
    const failed = expected ?? (await this.#send(values, signal)).failed
    if (failed <= 0) return []
    if (failed >= values.length) return values
    const half = Math.ceil(values.length / 2)
    const [front, back] = [values.slice(0, half), values.slice(half)]
    const { failed: ofFront } = await this.#send(front, signal)
    const ofBack = failed - ofFront
    // An item that came to exist meanwhile makes the numbers disagree: then the second half is asked, too.
    const consistent = ofBack >= 0 && ofBack <= back.length
    return [...(await this.#failedOf(front, ofFront, signal)), ...(await this.#failedOf(back, consistent ? ofBack : undefined, signal))]
  }
}

const first = (lane: ParkedLane): Value => lane.values[0] as Value
const pauseAfter = (attempts: number): number => Math.min(longestPause, firstPause * 2 ** attempts)

function* batches<T>(values: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < values.length; at += batchSize) yield values.slice(at, at + batchSize)
}
