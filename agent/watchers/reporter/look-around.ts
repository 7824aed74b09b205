/**
 * Lets the collectors look that are due. Each has a deadline; one that does not end is left alone until it does, and keeps nobody from
 * looking. Why one failed is remembered until it works again.
 */
import { messageOf } from '../../../proto/errors.ts'
import { readOnly } from '../../adapters/gate.ts'
import type { CollectContext, Collected, Collector } from './collector.ts'
import type { Sample } from './value.ts'

/** Milliseconds. */
const defaultDeadline = 15_000

export interface Found extends Collected {
  readonly collector: Collector
}

interface State {
  startedAt: number
  running: boolean
  problem: string | undefined
}

export class LookAround {
  readonly #collectors: readonly Collector[]
  readonly #states = new Map<string, State>()

  constructor(collectors: readonly Collector[]) {
    this.#collectors = collectors
  }

  /**
   * Begins all that are due; `tell` gets what each found, as it comes. Resolves when those have ended that end soon; the others go on.
   * `scale`: seconds of the site's interval by 60. Never rejects.
   */
  async look(context: CollectContext, scale: number, tell: (found: Found) => Promise<void>): Promise<void> {
    const due = this.#collectors.filter((collector) => this.#isDue(collector, context, scale))
    const working = due.map((collector) => ({ collector, done: this.#lookOnce(collector, context, tell) }))
    await Promise.all(working.filter(({ collector }) => (collector.deadline ?? defaultDeadline) <= defaultDeadline).map(({ done }) => done))
  }

  /** One line for each that failed when it last looked. */
  problems(): readonly string[] {
    return this.#collectors.flatMap(({ name }) => {
      const problem = this.#states.get(name)?.problem
      return problem === undefined ? [] : [`${name}: ${problem}`]
    })
  }

  /** All are due again. */
  forget(): void {
    for (const state of this.#states.values()) state.startedAt = Number.NEGATIVE_INFINITY
  }

  #isDue(collector: Collector, { configuration, now }: CollectContext, scale: number): boolean {
    if (collector.concerns?.(configuration) === false) {
      const state = this.#states.get(collector.name)
      if (state !== undefined) state.problem = undefined
      return false
    }
    const state = this.#states.get(collector.name)
    // Rounds come a little early or late.
    return state === undefined || (!state.running && now - state.startedAt >= collector.every * scale * 950)
  }

  async #lookOnce(collector: Collector, context: CollectContext, tell: (found: Found) => Promise<void>): Promise<void> {
    const state: State = { startedAt: context.now, running: true, problem: this.#states.get(collector.name)?.problem }
    this.#states.set(collector.name, state)
    const limit = collector.deadline ?? defaultDeadline
    const deadline = AbortSignal.timeout(limit)
    const signal = AbortSignal.any([context.signal, deadline])
    const work = readOnly(async () => collector.collect({ ...context, signal }))
    void work.then(
      () => {
        state.running = false
      },
      () => {
        state.running = false
      },
    )
    try {
      const collected = await untilAborted(work, signal)
      await tell({ collector, ...('samples' in collected ? collected : { samples: collected as readonly Sample[] }) })
      state.problem = undefined
    } catch (error) {
      if (context.signal.aborted) return
      state.problem = deadline.aborted ? `no answer within ${limit / 1000} s` : messageOf(error)
    }
  }
}

function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason)
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
