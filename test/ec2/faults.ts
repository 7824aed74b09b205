/** What a test wants to go wrong, and where it wants to be asked. */
import { type Answer, type Call, errorAnswer } from './call.ts'

interface Failure {
  readonly action: string
  readonly code: string
  readonly message: string
  readonly status: number
  left: number
}

/** Called at a write; `nth` counts the writes that match from 1. 'drop': the client's connection is broken, nothing is done. */
export type Hook = (call: Call, nth: number) => Promise<'drop' | undefined> | 'drop' | undefined | Promise<void> | void

interface Watch {
  readonly action: string
  readonly when: 'before' | 'after'
  readonly fn: Hook
  seen: number
}

const named = (action: string, call: Call): boolean => action === '*' || action === call.action

export class Faults {
  readonly #failures: Failure[] = []
  readonly #lost: { readonly action: string; left: number }[] = []
  readonly #watches = new Set<Watch>()

  forget(): void {
    this.#failures.length = 0
    this.#lost.length = 0
    this.#watches.clear()
  }

  fail(action: string, code: string, message: string, status: number, times: number): void {
    this.#failures.push({ action, code, message, status, left: times })
  }

  loseAnswer(action: string, nth: number): void {
    this.#lost.push({ action, left: nth })
  }

  watch(action: string, when: Watch['when'], fn: Hook): () => void {
    const watch = { action, when, fn, seen: 0 }
    this.#watches.add(watch)
    return () => void this.#watches.delete(watch)
  }

  /** The error this call gets; one of its times is used up. */
  failureOf(call: Call): Answer | undefined {
    const found = this.#failures.find(({ action, left }) => left > 0 && named(action, call))
    if (found === undefined) return undefined
    found.left -= 1
    return errorAnswer(call, found.status, found.code, found.message)
  }

  /** Whether the answer to this write, which was performed, gets lost. */
  losesAnswer(call: Call): boolean {
    let lost = false
    for (const each of this.#lost)
      if (named(each.action, call)) {
        each.left -= 1
        if (each.left === 0) lost = true
      }
    return lost
  }

  async ask(when: Watch['when'], call: Call): Promise<'drop' | undefined> {
    let answer: 'drop' | undefined
    for (const watch of this.#watches)
      if (watch.when === when && named(watch.action, call)) {
        watch.seen += 1
        if ((await watch.fn(call, watch.seen)) === 'drop') answer = 'drop'
      }
    return answer
  }
}
