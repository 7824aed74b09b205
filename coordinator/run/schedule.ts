/**
 * The order of a phase's steps, as a pure value: what may start now, what follows from each result.
 *
 * - A step that is already as it should be is not started, unless something it needs has changed, or goes along: then its agent
 *   looks again.
 * - A step is given out with the batch in which all it needs is done, or is given out with it to the same host.
 * - A failed or skipped step skips everything that needs it, and nothing else.
 * - A step of an unreachable host is left out. What needs it is skipped, unless other hosts have the same step (same id before
 *   the @): then it is each host's own preparation, and the host that is away makes up for it when it is back.
 * - Every step ends in exactly one state.
 */
import { HiveError } from '../../proto/errors.ts'

export interface ScheduledStep {
  readonly id: string
  readonly host: string
  readonly needs: readonly string[]
}

export type EndState = 'ok' | 'changed' | 'unchanged' | 'failed' | 'skipped' | 'unreachable'
type State = EndState | 'waiting' | 'running'

export interface Skipped {
  readonly id: string
  /** The step because of which. */
  readonly because: string
}

const whatOf = (id: string): string => id.slice(0, id.lastIndexOf('@') + 1)

export class Schedule {
  readonly #steps = new Map<string, ScheduledStep>()
  readonly #states = new Map<string, State>()
  readonly #dependants = new Map<string, string[]>()
  /** Steps whose absence on a host that is away does not matter to others. */
  readonly #ownPreparation = new Set<string>()
  readonly #changing: ReadonlySet<string>
  readonly #because = new Map<string, string>()

  /** `changing`: ids planned as a change. Throws HiveError 'internal' when needs form a circle. */
  constructor(steps: readonly ScheduledStep[], changing: ReadonlySet<string>, unreachable: ReadonlySet<string> = new Set()) {
    this.#changing = changing
    for (const step of steps) this.#steps.set(step.id, step)
    const hostsOf = new Map<string, Set<string>>()
    for (const step of steps) {
      const what = whatOf(step.id)
      hostsOf.set(what, (hostsOf.get(what) ?? new Set()).add(step.host))
      for (const need of this.#knownNeeds(step)) {
        const dependants = this.#dependants.get(need)
        if (dependants === undefined) this.#dependants.set(need, [step.id])
        else dependants.push(step.id)
      }
    }
    for (const step of steps) {
      const hosts = hostsOf.get(whatOf(step.id))
      if (step.id.includes('@') && [...(hosts ?? [])].some((host) => !unreachable.has(host))) this.#ownPreparation.add(step.id)
    }
    for (const step of this.#inOrder(steps)) {
      const active = changing.has(step.id) || this.#knownNeeds(step).some((need) => this.#states.get(need) === 'waiting')
      this.#states.set(step.id, unreachable.has(step.host) ? 'unreachable' : active ? 'waiting' : 'ok')
    }
    for (const step of steps) if (this.#states.get(step.id) === 'unreachable' && !this.#ownPreparation.has(step.id)) this.#skipDependants(step.id, [])
  }

  /** Needs first. */
  #inOrder(steps: readonly ScheduledStep[]): ScheduledStep[] {
    const ordered: ScheduledStep[] = []
    const left = new Map(steps.map((step) => [step.id, this.#knownNeeds(step).length]))
    const ready = steps.filter((step) => left.get(step.id) === 0)
    for (let step = ready.shift(); step !== undefined; step = ready.shift()) {
      ordered.push(step)
      for (const id of this.#dependants.get(step.id) ?? []) {
        const count = (left.get(id) ?? 0) - 1
        left.set(id, count)
        const dependant = this.#steps.get(id)
        if (count === 0 && dependant !== undefined) ready.push(dependant)
      }
    }
    if (ordered.length < steps.length) {
      const circle = steps.filter((step) => !ordered.includes(step)).map(({ id }) => id)
      throw new HiveError('internal', `steps need each other in a circle: ${circle.slice(0, 5).join(', ')}`)
    }
    return ordered
  }

  /** Needs that are not part of this phase (or were left out by --limit) count as done. */
  #knownNeeds(step: ScheduledStep): string[] {
    return step.needs.filter((need) => this.#steps.has(need))
  }

  /** What has to be started now, by host, each list in an order in which needs come first. They count as running from now on. */
  take(): ReadonlyMap<string, readonly string[]> {
    const batches = new Map<string, string[]>()
    const taken = new Set<string>()
    for (let again = true; again; ) {
      again = false
      for (const step of this.#steps.values()) {
        if (this.#states.get(step.id) !== 'waiting' || taken.has(step.id)) continue
        const needs = this.#knownNeeds(step)
        const ready = needs.every((need) => this.#satisfied(need) || (taken.has(need) && this.#steps.get(need)?.host === step.host))
        if (!ready) continue
        again = true
        if (!this.#changing.has(step.id) && !needs.some((need) => taken.has(need) || this.#states.get(need) === 'changed')) {
          this.#states.set(step.id, 'ok')
          continue
        }
        taken.add(step.id)
        batches.set(step.host, [...(batches.get(step.host) ?? []), step.id])
      }
    }
    for (const id of taken) this.#states.set(id, 'running')
    return batches
  }

  #satisfied(id: string): boolean {
    const state = this.#states.get(id)
    return state === 'ok' || state === 'changed' || state === 'unchanged' || (state === 'unreachable' && this.#ownPreparation.has(id))
  }

  /** Notes a result; answers what is skipped because of it. A second result of the same step is ignored. */
  finish(id: string, result: 'changed' | 'unchanged' | 'failed' | 'skipped'): readonly Skipped[] {
    if (this.#states.get(id) !== 'running') return []
    this.#states.set(id, result)
    const skipped: Skipped[] = []
    if (result === 'failed' || result === 'skipped') this.#skipDependants(id, skipped)
    return skipped
  }

  /** Gives up what has not begun; answers what. */
  skipWaiting(because: string): readonly Skipped[] {
    const skipped: Skipped[] = []
    for (const [id, state] of this.#states) {
      if (state !== 'waiting') continue
      this.#skip(id, because, skipped)
    }
    return skipped
  }

  #skipDependants(id: string, skipped: Skipped[]): void {
    for (const dependant of this.#dependants.get(id) ?? []) {
      // What runs already is told of its need's end by its own agent.
      if (this.#states.get(dependant) !== 'waiting') continue
      this.#skip(dependant, id, skipped)
      this.#skipDependants(dependant, skipped)
    }
  }

  #skip(id: string, because: string, skipped: Skipped[]): void {
    this.#states.set(id, 'skipped')
    this.#because.set(id, because)
    skipped.push({ id, because })
  }

  /** Steps that never begin because a host they rely on is away; known from the start. */
  skippedFromStart(): readonly Skipped[] {
    return [...this.#because].map(([id, because]) => ({ id, because }))
  }

  stateOf(id: string): State | undefined {
    return this.#states.get(id)
  }

  /** Nothing runs and nothing waits. */
  get done(): boolean {
    return [...this.#states.values()].every((state) => state !== 'waiting' && state !== 'running')
  }

  states(): ReadonlyMap<string, State> {
    return this.#states
  }
}
