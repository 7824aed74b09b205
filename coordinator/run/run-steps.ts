/**
 * Carries out a phase's changes.
 *
 * - A host gets in one run all of its steps that are ready in the same tick: what they need is done, or goes along.
 * - A run's key is made of the deploy, the steps and their specs, so that asking again after a lost answer starts nothing twice.
 * - A failed step, or a host that is lost, stops what needs it; the others go on to the end of the phase. All errors come back.
 * - Cancelled: agents are asked to stop, nothing more is given out.
 */
import { createHash } from 'node:crypto'
import { type Step, StepSpec } from '#gen/hive/v1/step.ts'
import { HiveError } from '../../proto/errors.ts'
import type { AgentClient } from '../client/agent-client.ts'
import { isUnreachable, reportOf } from '../client/errors.ts'
import type { SiteAgents } from '../client/site-agents.ts'
import type { Emit, ErrorReport, PhaseName, PlannedStep } from '../events.ts'
import type { Blob } from '../phases/phase.ts'
import type { Bind } from './bind-step.ts'
import { Schedule } from './schedule.ts'
import { toHiveEvent } from './step-events.ts'
import { uploadBlobs } from './upload-blobs.ts'
import { type Patience, persistently, usualPatience, watchRun } from './watch-run.ts'

export interface RunStepsInput {
  readonly phase: PhaseName
  readonly steps: readonly Step[]
  readonly planned: readonly PlannedStep[]
  /** Hosts that did not answer the plan; their steps are left out. */
  readonly unreachable: ReadonlySet<string>
  readonly blobs: ReadonlyMap<string, readonly Blob[]>
  readonly agents: Pick<SiteAgents, 'client' | 'forget'>
  readonly bind: Bind
  readonly deployId: string
  /** Told to agents: USER@HOST. */
  readonly owner: string
  readonly emit: Emit
  readonly signal: AbortSignal
  readonly patience?: Patience
}

export interface RunStepsResult {
  readonly changed: number
  readonly errors: readonly ErrorReport[]
}

/** Milliseconds. */
const cancelDeadline = 3_000
/** Milliseconds; the same key again is the same run. */
const startDeadline = 10_000

export async function runSteps(input: RunStepsInput): Promise<RunStepsResult> {
  return new PhaseRun(input).toEnd()
}

class PhaseRun {
  readonly #input: RunStepsInput
  readonly #steps: ReadonlyMap<string, Step>
  readonly #schedule: Schedule
  readonly #errors: ErrorReport[] = []
  #changed = 0
  #dispatching = 0
  #ticking = false
  #ended: () => void = () => undefined

  constructor(input: RunStepsInput) {
    this.#input = input
    this.#steps = new Map(input.steps.map((step) => [step.id, step]))
    const changing = new Set(input.planned.filter(({ outcome }) => outcome.kind === 'change').map(({ stepId }) => stepId))
    this.#schedule = new Schedule(input.steps, changing, input.unreachable)
  }

  async toEnd(): Promise<RunStepsResult> {
    for (const { id, because } of this.#schedule.skippedFromStart()) {
      this.#tellSkipped(id, because)
      const step = this.#steps.get(id)
      const away = this.#steps.get(because)?.host
      this.#errors.push(
        reportOf(new HiveError('unreachable', `${step?.title ?? id} needs ${because}, and ${away} does not answer`, { host: step?.host, stepId: id })),
      )
    }
    const ended = new Promise<void>((resolve) => {
      this.#ended = resolve
    })
    this.#tick()
    await ended
    return { changed: this.#changed, errors: this.#errors }
  }

  /** Gives out what is ready, once for all results that came in the same turn of the event loop. */
  #tick(): void {
    if (this.#ticking) return
    this.#ticking = true
    setImmediate(() => {
      this.#ticking = false
      if (this.#input.signal.aborted) for (const { id } of this.#schedule.skipWaiting('')) this.#tellSkipped(id, undefined)
      for (const [host, ids] of this.#schedule.take()) {
        this.#dispatching++
        void this.#dispatch(host, ids).finally(() => {
          this.#dispatching--
          this.#tick()
        })
      }
      if (this.#dispatching === 0 && this.#schedule.done) this.#ended()
    })
  }

  async #dispatch(host: string, ids: readonly string[]): Promise<void> {
    const { agents, signal } = this.#input
    const steps = ids.flatMap((id) => this.#steps.get(id) ?? [])
    try {
      const client = await agents.client(host)
      await this.#runOn(client, steps)
      this.#fail(host, steps, new HiveError('internal', `the agent of ${host} ended the run without a result`, { host }))
    } catch (error) {
      if (signal.aborted) {
        for (const { id } of steps) this.#settle(id, 'skipped')
        return
      }
      if (isUnreachable(error)) agents.forget(host)
      this.#fail(host, steps, error)
    }
  }

  async #runOn(client: AgentClient, steps: readonly Step[]): Promise<void> {
    const { phase, blobs, bind, deployId, owner, emit, signal, patience = usualPatience } = this.#input
    const { host } = client
    await persistently(host, patience, signal, () =>
      uploadBlobs(client, steps, blobs.get(host) ?? [], signal, (step, done, total) =>
        emit({ code: 'step.progress', phase, host, stepId: step.id, what: 'upload', done, total, unit: 'bytes' }),
      ),
    )
    const bound = await Promise.all(steps.map((step) => bind(step, signal)))
    const key = keyOf(deployId, steps)
    // Not cut short by the signal: whether the agent has begun must be known, so that it can be asked to stop.
    const start = () => persistently(host, patience, signal, () => client.step.startRun({ key, owner, deployId, steps: bound }, { deadline: startDeadline }))
    let { runId } = await start()
    let cancelled: Promise<unknown> = Promise.resolve()
    const cancel = (): void => {
      cancelled = client.step.cancelRun({ runId }, { deadline: cancelDeadline }).catch(() => undefined)
    }
    signal.addEventListener('abort', cancel, { once: true })
    try {
      if (signal.aborted) cancel()
      signal.throwIfAborted()
      const watch = () => watchRun(client, runId, (event) => this.#onEvent(host, event), signal, patience)
      await watch().catch(async (error: unknown) => {
        if (!(error instanceof HiveError) || error.code !== 'not-found') throw error
        // The agent lost its journal. Steps are idempotent, and the same key does not start what still runs.
        runId = (await start()).runId
        if (signal.aborted) cancel()
        await watch()
      })
    } finally {
      signal.removeEventListener('abort', cancel)
      await cancelled
    }
  }

  #onEvent(host: string, event: Parameters<typeof toHiveEvent>[0]): void {
    const step = this.#steps.get(event.stepId)
    if (step === undefined) return
    const told = toHiveEvent(event, { phase: this.#input.phase, host, title: step.title })
    if (told === undefined || (told.code === 'step.finished' && this.#schedule.stateOf(step.id) !== 'running')) return
    this.#input.emit(told)
    if (told.code !== 'step.finished') return
    if (told.result === 'changed') this.#changed++
    if (told.result === 'failed') this.#errors.push(told.error ?? reportOf(new HiveError('internal', `${step.title} failed without saying why`), host, step.id))
    this.#settle(step.id, told.result)
  }

  /** What of these has no result yet has failed with this error, which is reported once. */
  #fail(host: string, steps: readonly Step[], thrown: unknown): void {
    const open = steps.filter(({ id }) => this.#schedule.stateOf(id) === 'running')
    if (open.length === 0) return
    const error = reportOf(thrown, host, open.length === 1 ? open[0]?.id : undefined)
    this.#errors.push(error)
    for (const step of open) {
      // A need that failed here may have skipped it meanwhile.
      if (this.#schedule.stateOf(step.id) !== 'running') continue
      this.#input.emit({
        code: 'step.finished',
        phase: this.#input.phase,
        host,
        stepId: step.id,
        title: step.title,
        result: 'failed',
        reason: '',
        milliseconds: 0,
        error,
      })
      this.#settle(step.id, 'failed')
    }
  }

  #settle(id: string, result: 'changed' | 'unchanged' | 'failed' | 'skipped'): void {
    for (const skipped of this.#schedule.finish(id, result)) this.#tellSkipped(skipped.id, skipped.because)
    this.#tick()
  }

  #tellSkipped(id: string, because: string | undefined): void {
    const step = this.#steps.get(id)
    if (step === undefined) return
    const { title, host } = step
    const reason = because === undefined ? 'cancelled' : `it needs ${because}`
    this.#input.emit({ code: 'step.finished', phase: this.#input.phase, host, stepId: id, title, result: 'skipped', reason, milliseconds: 0, error: undefined })
  }
}

/** The same deploy, steps and specs give the same key; secrets filled in at dispatch do not count. */
export function keyOf(deployId: string, steps: readonly Step[]): string {
  const hash = createHash('sha256').update(deployId)
  for (const { id, spec } of steps.toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
    const digest = createHash('sha256')
      .update(spec === undefined ? '' : StepSpec.encode(spec).finish())
      .digest()
    hash.update('\0').update(id).update('\0').update(digest)
  }
  return hash.digest('hex')
}
