/** One answer of a tool for all who ask within a moment. */

/** Milliseconds: the checks of one plan begin within a few of them. */
const sharedTime = 300

export interface SharedAnswer<T> {
  /** Rejects with the signal's reason when it is aborted; others go on waiting for the same answer. */
  get(signal?: AbortSignal): Promise<T>
  forget(): void
}

/** `ask` must end by itself. An answer is not shared beyond a change of `version`, and a failure not beyond those who wait for it. */
export function sharedAnswer<T>(ask: () => Promise<T>, version: () => number = () => 0, now: () => number = () => performance.now()): SharedAnswer<T> {
  let last: { readonly version: number; readonly promise: Promise<T>; since: number } | undefined
  return {
    get(signal) {
      signal?.throwIfAborted()
      if (last === undefined || last.version !== version() || now() - last.since > sharedTime) {
        const promise = ask()
        const mine = { version: version(), promise, since: Number.POSITIVE_INFINITY }
        last = mine
        promise.then(
          () => {
            mine.since = now()
          },
          () => {
            if (last === mine) last = undefined
          },
        )
      }
      return signal === undefined ? last.promise : unlessAborted(last.promise, signal)
    },
    forget() {
      last = undefined
    },
  }
}

/** The promise's outcome; rejects with the signal's reason when it is aborted before it. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const onAbort = (): void => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
