/**
 * One who asks, for all who look.
 *
 * - Nothing is asked while nobody looks.
 * - One question at a time, and the beginnings of two are at least `interval` apart, whoever comes and goes meanwhile.
 * - Who comes to look is told at once what is known, and of each answer from then on.
 */
export interface PollerOptions<T> {
  /** Rejects only for the signal, which is aborted by `close`. */
  readonly ask: (signal: AbortSignal) => Promise<T>
  /** Milliseconds. */
  readonly interval: number
  readonly clock?: PollerClock
}

export interface PollerClock {
  /** Milliseconds. */
  now(): number
  /** Answers how to call it off. */
  after(milliseconds: number, call: () => void): () => void
}

const realTime: PollerClock = {
  now: () => performance.now(),
  after(milliseconds, call) {
    const timer = setTimeout(call, milliseconds)
    return () => clearTimeout(timer)
  },
}

export class Poller<T> {
  readonly #options: PollerOptions<T>
  readonly #clock: PollerClock
  readonly #closed = new AbortController()
  readonly #watching = new Set<(answer: T) => void>()
  #latest: { readonly answer: T } | undefined
  #begun = Number.NEGATIVE_INFINITY
  #asking = false
  #callOff: (() => void) | undefined

  constructor(options: PollerOptions<T>) {
    this.#options = options
    this.#clock = options.clock ?? realTime
  }

  get latest(): T | undefined {
    return this.#latest?.answer
  }

  /** Answers how to end it. */
  watch(told: (answer: T) => void): () => void {
    const watcher = (answer: T): void => told(answer)
    this.#watching.add(watcher)
    if (this.#latest !== undefined) told(this.#latest.answer)
    this.#schedule()
    return () => {
      this.#watching.delete(watcher)
      if (this.#watching.size === 0) this.#rest()
    }
  }

  /** The next answer, or what is known after `patience` milliseconds. */
  async next(patience: number): Promise<T | undefined> {
    const old = this.#latest
    return new Promise((resolve) => {
      const done = (): void => {
        callOff()
        end()
        resolve(this.latest)
      }
      const callOff = this.#clock.after(patience, done)
      // What is known already is no answer to this question, unless it is too early for another one.
      const end = this.watch(() => (this.#latest === old && !this.#tooEarly() ? undefined : queueMicrotask(done)))
    })
  }

  close(): void {
    this.#closed.abort()
    this.#watching.clear()
    this.#rest()
  }

  #tooEarly(): boolean {
    return !this.#asking && this.#clock.now() < this.#begun + this.#options.interval
  }

  #rest(): void {
    this.#callOff?.()
    this.#callOff = undefined
  }

  #schedule(): void {
    if (this.#asking || this.#callOff !== undefined || this.#watching.size === 0 || this.#closed.signal.aborted) return
    const wait = Math.max(0, this.#begun + this.#options.interval - this.#clock.now())
    this.#callOff = this.#clock.after(wait, () => {
      this.#callOff = undefined
      void this.#ask()
    })
  }

  async #ask(): Promise<void> {
    this.#asking = true
    this.#begun = this.#clock.now()
    try {
      const answer = await this.#options.ask(this.#closed.signal)
      this.#latest = { answer }
      for (const told of [...this.#watching]) told(answer)
    } catch (error) {
      if (!this.#closed.signal.aborted) throw error
    } finally {
      this.#asking = false
      this.#schedule()
    }
  }
}
