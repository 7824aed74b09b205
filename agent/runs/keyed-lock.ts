import { HiveError } from '../../proto/errors.ts'

interface Waiter {
  readonly holder: string
  readonly go: () => void
  readonly fail: (error: HiveError) => void
}
interface Held {
  holder: string
  abandoned: boolean
  readonly waiting: Waiter[]
}

export interface Grip {
  release(): void
  /** The work under this key does not stop: the key stays held, and who waits for it is told so instead of waiting for ever. */
  abandon(): void
}

/**
 * Keys that at most one piece of work holds at a time.
 *
 * Invariants:
 * - a key has at most one holder;
 * - who came first gets it first;
 * - a waiter that is aborted leaves the queue and never gets the key;
 * - an abandoned key is given to nobody until it is released, and nobody waits for it.
 */
export class KeyedLock {
  readonly #held = new Map<string, Held>()

  /** Throws the signal's reason when aborted while waiting, HiveError 'blocked' when the key is abandoned. */
  async acquire(key: string, holder: string, signal: AbortSignal): Promise<Grip> {
    signal.throwIfAborted()
    const held = this.#held.get(key)
    if (held === undefined) {
      this.#held.set(key, { holder, abandoned: false, waiting: [] })
      return this.#grip(key)
    }
    if (held.abandoned) throw abandonedError(key, held.holder)
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        held.waiting.splice(held.waiting.indexOf(waiter), 1)
        reject(signal.reason)
      }
      const settle = (then: () => void) => (): void => {
        signal.removeEventListener('abort', leave)
        then()
      }
      const waiter: Waiter = { holder, go: settle(resolve), fail: (error) => settle(() => reject(error))() }
      held.waiting.push(waiter)
      signal.addEventListener('abort', leave, { once: true })
    })
    return this.#grip(key)
  }

  /** Who holds the key now; undefined where nobody does. */
  holderOf(key: string): string | undefined {
    return this.#held.get(key)?.holder
  }

  #grip(key: string): Grip {
    let released = false
    return {
      release: () => {
        if (released) return
        released = true
        const held = this.#held.get(key)
        const next = held?.waiting.shift()
        if (held === undefined || next === undefined) {
          this.#held.delete(key)
          return
        }
        held.holder = next.holder
        held.abandoned = false
        next.go()
      },
      abandon: () => {
        const held = this.#held.get(key)
        if (released || held === undefined) return
        held.abandoned = true
        for (const waiter of held.waiting.splice(0)) waiter.fail(abandonedError(key, held.holder))
      },
    }
  }
}

const abandonedError = (key: string, holder: string): HiveError =>
  new HiveError('blocked', `"${key}" is still held by ${holder}, which did not stop`, {
    hint: 'look at what hangs on the host; restarting hive-agent ends it',
  })
