import type { RunEvent, RunSummary, StepFinished } from '#gen/hive/v1/run.ts'
import { StepResult } from '#gen/hive/v1/run.ts'
import { toErrorInfo } from '../../proto/status.ts'
import { encodeEvent, type Journal, type RunHeader } from './journal.ts'

type Payload = NonNullable<RunEvent['event']>

/** Log lines and progress of one run above this number, or these bytes, are dropped: they would fill memory and disk. */
const chatterLimit = 20_000
const chatterBytes = 4 * 1024 * 1024
const lineLimit = 4096

/**
 * One run's events: in the journal first, then for whoever watches.
 *
 * Invariants:
 * - events are published in the order of their numbers, without a gap, each after its journal line was written or refused;
 * - a step's end that could not be journaled is published as a failure of that step, never as a success;
 * - after the event run_finished nothing follows.
 */
export class Run {
  readonly header: RunHeader
  readonly events: RunEvent[] = []
  readonly abort = new AbortController()
  ended: Date | undefined
  ok = false
  readonly #journal: Journal
  readonly #now: () => Date
  #seq = 0n
  #chatter = 0
  #chatterBytes = 0
  #watchers = new Set<() => void>()

  constructor(header: RunHeader, journal: Journal, now: () => Date) {
    this.header = header
    this.#journal = journal
    this.#now = now
  }

  /** Resolves when the line is on disk and published; rejects (after publishing) where it could not be written. */
  started(stepId: string): Promise<void> {
    return this.#emit(stepId, { $case: 'started', value: {} }, true)
  }

  log(stepId: string, line: string): void {
    this.#say(stepId, { $case: 'log', value: { line: line.slice(0, lineLimit) } })
  }

  progress(stepId: string, what: string, done: number, total: number, unit: string): void {
    this.#say(stepId, { $case: 'progress', value: { what, done, total, unit } })
  }

  /** Resolves with what was published: success turns into failure where the journal refuses it. */
  async finished(stepId: string, result: StepFinished): Promise<boolean> {
    try {
      await this.#emit(stepId, { $case: 'finished', value: result }, true)
      return isSuccess(result.result)
    } catch {
      return false
    }
  }

  /** Ends the run and closes its journal. */
  async finish(ok: boolean): Promise<void> {
    this.ok = ok
    this.ended = this.#now()
    await this.#emit('', { $case: 'runFinished', value: { ok } }, true).catch(() => undefined)
    await this.#journal.close().catch(() => undefined)
  }

  #say(stepId: string, event: Payload): void {
    if (this.#chatter > chatterLimit || this.ended !== undefined) return
    this.#chatter += 1
    if (event.$case === 'log') this.#chatterBytes += Buffer.byteLength(event.value.line)
    const full = this.#chatter === chatterLimit || this.#chatterBytes > chatterBytes
    if (full) this.#chatter = chatterLimit + 1
    const said: Payload = full ? { $case: 'log', value: { line: 'further output of this run is left out' } } : event
    // Output that cannot be kept is no reason to stop the work.
    this.#emit(stepId, said, false).catch(() => undefined)
  }

  #emit(stepId: string, payload: Payload, sync: boolean): Promise<void> {
    this.#seq += 1n
    const event: RunEvent = { seq: this.#seq, at: this.#now(), stepId, event: payload }
    return this.#journal.append(encodeEvent(event), sync).then(
      () => this.#publish(event),
      (error: unknown) => {
        this.#publish({ ...event, event: refused(payload, error) })
        throw error
      },
    )
  }

  #publish(event: RunEvent): void {
    this.events.push(event)
    const watchers = this.#watchers
    this.#watchers = new Set()
    for (const wake of watchers) wake()
  }

  /** True when there is something beyond `seen` events; false after `milliseconds` of silence or an abort. */
  async changed(seen: number, milliseconds: number, signal: AbortSignal): Promise<boolean> {
    if (this.events.length > seen) return true
    if (signal.aborted) return false
    return new Promise((resolve) => {
      const end = (answer: boolean) => (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', gone)
        this.#watchers.delete(wake)
        resolve(answer)
      }
      const wake = end(true)
      const gone = end(false)
      const timer = setTimeout(gone, milliseconds)
      signal.addEventListener('abort', gone, { once: true })
      this.#watchers.add(wake)
    })
  }

  get finishedPublished(): boolean {
    return this.events.at(-1)?.event?.$case === 'runFinished'
  }
}

export const isSuccess = (result: StepResult): boolean => result === StepResult.UNCHANGED || result === StepResult.CHANGED

/** What is published in place of an event that could not be journaled. */
function refused(payload: Payload, error: unknown): Payload {
  if (payload.$case === 'runFinished') return { $case: 'runFinished', value: { ok: false } }
  if (payload.$case !== 'finished' || !isSuccess(payload.value.result)) return payload
  return { $case: 'finished', value: { ...payload.value, result: StepResult.FAILED, error: toErrorInfo(error) } }
}

export const summaryOf = (header: RunHeader, ended: Date | undefined, ok: boolean): RunSummary => ({
  runId: header.runId,
  key: header.key,
  owner: header.owner,
  deployId: header.deployId,
  started: header.started,
  ended,
  active: ended === undefined,
  ok,
  titles: header.steps.map(({ title }) => title),
  stepIds: header.steps.map(({ id }) => id),
})
