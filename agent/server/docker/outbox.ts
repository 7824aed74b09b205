/** Hands what callbacks bring to one async reader, in order. */
export class Outbox<T> implements AsyncIterable<T> {
  readonly #waiting: T[] = []
  #wake: (() => void) | undefined
  #closed = false
  #error: unknown

  /** Answers how many items wait: a producer that can pause should do so when there are many. */
  put(item: T): number {
    this.#waiting.push(item)
    this.#wake?.()
    return this.#waiting.length
  }

  /** How many items wait. */
  get waiting(): number {
    return this.#waiting.length
  }

  close(): void {
    this.#closed = true
    this.#wake?.()
  }

  /** The reader gets what waits, then this error. */
  fail(error: unknown): void {
    this.#error ??= error
    this.close()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const next = this.#waiting.shift()
      if (next !== undefined) {
        yield next
        continue
      }
      if (this.#closed) {
        if (this.#error !== undefined) throw this.#error
        return
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
  }
}
