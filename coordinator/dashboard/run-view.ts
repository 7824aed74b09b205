/** A run as its journal tells it so far: phases, and the steps that began in them. */
import type { ErrorReport, HiveEvent } from '../events.ts'
import type { JournalEntry } from '../run/journal.ts'

export interface StepView {
  readonly id: string
  readonly host: string
  readonly title: string
  readonly state: 'running' | 'unchanged' | 'changed' | 'failed' | 'skipped'
  /** What it changes, or why it failed; the last line that it logged while it runs. */
  readonly text: string
  /** 0 to 1, while it tells. */
  readonly progress: number | undefined
  readonly milliseconds: number | undefined
}

export interface PhaseView {
  readonly name: string
  readonly state: 'running' | 'ok' | 'failed'
  /** Steps that its plan would change; undefined: not planned yet. */
  readonly toChange: number | undefined
  readonly changed: number | undefined
  readonly milliseconds: number | undefined
  readonly steps: readonly StepView[]
}

export interface RunView {
  readonly runId: string
  readonly command: string
  readonly started: string
  /** undefined: it goes on, or its coordinator died. */
  readonly finished: string | undefined
  readonly ok: boolean | undefined
  readonly changed: number | undefined
  readonly milliseconds: number | undefined
  readonly errors: readonly ErrorReport[]
  readonly phases: readonly PhaseView[]
}

type Growing<T> = { -readonly [K in keyof T]: T[K] }
type GrowingPhase = Omit<Growing<PhaseView>, 'steps'> & { readonly steps: Map<string, Growing<StepView>> }

/** Takes a journal's entries in their order. An entry that names what none before it began is left out. */
export class RunFold {
  readonly #run: Growing<Omit<RunView, 'phases'>>
  readonly #phases = new Map<string, GrowingPhase>()

  constructor(runId: string) {
    this.#run = { runId, command: '', started: '', finished: undefined, ok: undefined, changed: undefined, milliseconds: undefined, errors: [] }
  }

  take({ at, event }: JournalEntry): void {
    const run = this.#run
    if (run.started === '') run.started = at
    switch (event.code) {
      case 'run.started':
        run.command = event.command
        return
      case 'run.finished':
        Object.assign(run, { finished: at, ok: event.ok, changed: event.changed, milliseconds: event.milliseconds, errors: event.errors })
        return
      case 'phase.started':
        this.#phases.set(event.phase, {
          name: event.phase,
          state: 'running',
          toChange: undefined,
          changed: undefined,
          milliseconds: undefined,
          steps: new Map(),
        })
        return
      case 'notice':
      case 'warning':
        return
      default:
        this.#ofPhase(event)
    }
  }

  #ofPhase(event: Extract<HiveEvent, { readonly phase: unknown }>): void {
    const phase = this.#phases.get(event.phase)
    if (phase === undefined) return
    if (event.code === 'phase.planned') phase.toChange = event.steps.filter(({ outcome }) => outcome.kind === 'change').length
    else if (event.code === 'phase.finished')
      Object.assign(phase, { state: event.ok ? 'ok' : 'failed', changed: event.changed, milliseconds: event.milliseconds })
    else if (event.code !== 'phase.started') takeStep(phase.steps, event)
  }

  get view(): RunView {
    const phases = [...this.#phases.values()].map((phase): PhaseView => ({ ...phase, steps: [...phase.steps.values()].map((step) => ({ ...step })) }))
    return { ...this.#run, phases }
  }
}

type StepEvent = Extract<HiveEvent, { readonly stepId: string; readonly phase: unknown }>

function takeStep(steps: Map<string, Growing<StepView>>, event: StepEvent): void {
  const { stepId: id, host } = event
  if (event.code === 'step.started') {
    steps.set(id, { id, host, title: event.title, state: 'running', text: '', progress: undefined, milliseconds: undefined })
    return
  }
  if (event.code === 'step.finished') {
    const { title, result, reason, error, milliseconds } = event
    steps.set(id, { id, host, title, state: result, text: error?.message ?? reason, progress: undefined, milliseconds })
    return
  }
  const step = steps.get(id)
  if (step === undefined) return
  if (event.code === 'step.log') step.text = event.line
  else {
    step.text = event.what
    step.progress = event.total > 0 ? Math.min(1, Math.max(0, event.done / event.total)) : undefined
  }
}
