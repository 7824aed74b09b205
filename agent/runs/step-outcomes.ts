/**
 * What plans and runs last said of this host's steps, as far as something is left to do: steps that failed, and steps that a plan found
 * different and no run has set right since. For whoever watches the host; no step asks it.
 */
import { readFile } from 'node:fs/promises'
import { type RunEvent, type StepPlan, StepResult } from '#gen/hive/v1/run.ts'
import { writeWhole } from './state-file.ts'

type State = 'different' | 'failed'
interface Outcome {
  readonly title: string
  readonly state: State
  /** Milliseconds since 1970. */
  readonly at: number
}
interface Titled {
  readonly id: string
  readonly title: string
}

/** Milliseconds: a step that no plan has named for so long is of no inventory any more. */
const forgotten = 30 * 86_400_000

export class StepOutcomes {
  readonly #path: string
  readonly #now: () => Date
  readonly #open: Map<string, Outcome>
  #writing: Promise<void> | undefined
  #dirty = false

  private constructor(path: string, now: () => Date, open: Map<string, Outcome>) {
    this.#path = path
    this.#now = now
    this.#open = open
  }

  /** What can't be read is taken for nothing. */
  static async load(path: string, now: () => Date): Promise<StepOutcomes> {
    const text = await readFile(path, 'utf8').catch(() => '{}')
    let kept: Record<string, Outcome> = {}
    try {
      kept = JSON.parse(text) as Record<string, Outcome>
    } catch {
      kept = {}
    }
    return new StepOutcomes(path, now, new Map(Object.entries(kept)))
  }

  /** A plan tells all that it looked at. A step that is blocked is different, too. */
  planned(steps: readonly Titled[], plans: readonly StepPlan[]): void {
    const titles = new Map(steps.map(({ id, title }) => [id, title]))
    for (const { stepId, outcome } of plans) {
      if (outcome?.$case === 'ok') this.#open.delete(stepId)
      else if (this.#open.get(stepId)?.state !== 'failed') this.#set(stepId, titles.get(stepId) ?? stepId, 'different')
    }
    this.#keep()
  }

  /** A run has ended; steps that were skipped are as they were before. */
  ran(steps: readonly Titled[], events: readonly RunEvent[]): void {
    const titles = new Map(steps.map(({ id, title }) => [id, title]))
    for (const { stepId, event } of events) {
      if (event?.$case !== 'finished') continue
      const { result } = event.value
      if (result === StepResult.FAILED) this.#set(stepId, titles.get(stepId) ?? stepId, 'failed')
      else if (result === StepResult.CHANGED || result === StepResult.UNCHANGED) this.#open.delete(stepId)
    }
    this.#keep()
  }

  /** Titles, in the order in which they came to be so. */
  titles(state: State): readonly string[] {
    const oldest = this.#now().getTime() - forgotten
    return [...this.#open.values()].filter((one) => one.state === state && one.at >= oldest).map(({ title }) => title)
  }

  /** Resolves when all is on disk, or can't be. */
  async settled(): Promise<void> {
    await this.#writing
  }

  #set(id: string, title: string, state: State): void {
    this.#open.delete(id)
    this.#open.set(id, { title, state, at: this.#now().getTime() })
  }

  /** One write at a time, and one more where something changed meanwhile. */
  #keep(): void {
    this.#dirty = true
    this.#writing ??= this.#write()
  }

  async #write(): Promise<void> {
    while (this.#dirty) {
      this.#dirty = false
      // A full disk is told by what matters more; this is kept in memory.
      await writeWhole(this.#path, JSON.stringify(Object.fromEntries(this.#open))).catch(() => undefined)
    }
    this.#writing = undefined
  }
}
