/** Carries out a run's steps in the order of their needs. */
import pLimit, { type LimitFunction } from 'p-limit'
import { StepResult } from '#gen/hive/v1/run.ts'
import type { Step } from '#gen/hive/v1/step.ts'
import { HiveError } from '../../proto/errors.ts'
import { toErrorInfo } from '../../proto/status.ts'
import type { Executors, StepContext } from '../steps/executor.ts'
import type { Graph } from './graph.ts'
import type { Grip, KeyedLock } from './keyed-lock.ts'
import type { Run } from './run.ts'
import type { StepOutcomes } from './step-outcomes.ts'
import { bind, carryOut, defaultTimeout, LeftBehind, type StepOutcome, withinDeadline } from './step-runner.ts'

export interface ExecutionEnvironment {
  readonly hostName: string
  readonly executors: Partial<Executors>
  /** Exclusive keys, shared by all runs of the agent. */
  readonly keys: KeyedLock
  readonly blobPath: (sha256: string) => Promise<string>
  readonly now: () => Date
  /** Steps of one run at a time. Default 16. */
  readonly parallel?: number
  /** Milliseconds for a step to stop after it was told to. Default 10 000. */
  readonly grace?: number
  /** Hears what plans and runs say of steps. */
  readonly outcomes?: StepOutcomes
}

export const defaultGrace = 10_000
/** Milliseconds for cleanup after a failed apply. */
const cleanupTime = 60_000
/** Milliseconds between two progress events of one thing. */
const progressInterval = 500

/**
 * Resolves when every step has ended and the run is closed; never rejects.
 *
 * - A step begins when all it needs inside the run has succeeded, a slot is free and its exclusive key is.
 * - A step that only waits has given its slot back, and keeps its key.
 * - A failed step skips its dependants, and nobody else.
 * - A step that does not stop gives back its slot but keeps its key, until it ends after all.
 */
export async function execute(run: Run, steps: readonly Step[], graph: Graph, environment: ExecutionEnvironment): Promise<void> {
  const slots = pLimit(environment.parallel ?? 16)
  const byId = new Map(steps.map((step) => [step.id, step]))
  const results = new Map<string, Promise<boolean>>()

  const skip = (id: string, reason: string): Promise<boolean> =>
    run.finished(id, { result: StepResult.SKIPPED, milliseconds: 0n, error: undefined, reason }).then(() => false)

  const cancelled = (): string => (run.abort.signal.reason instanceof HiveError ? run.abort.signal.reason.message : 'the run was cancelled')

  const settle = async (step: Step): Promise<boolean> => {
    const needs = graph.needs.get(step.id) ?? []
    const done = await Promise.all(needs.map(resultOf))
    const failed = needs.find((_, index) => done[index] === false)
    if (failed !== undefined) return skip(step.id, `${titleOf(byId.get(failed))} was not done`)
    if (run.abort.signal.aborted) return skip(step.id, cancelled())
    let grip: Grip | undefined
    try {
      const bound = bind(environment.executors, step.spec)
      if (bound.exclusive !== undefined) grip = await environment.keys.acquire(bound.exclusive, titleOf(step), run.abort.signal)
      return await untilItOnlyWaits(slots, (onlyWaits) =>
        run.abort.signal.aborted ? skip(step.id, cancelled()) : carryOutStep(run, step, environment, grip, onlyWaits),
      )
    } catch (error) {
      if (run.abort.signal.aborted) return skip(step.id, cancelled())
      return fail(run, step, 0, error)
    } finally {
      grip?.release()
    }
  }

  const resultOf = (id: string): Promise<boolean> => {
    const known = results.get(id)
    if (known !== undefined) return known
    const step = byId.get(id)
    const result = step === undefined ? Promise.resolve(true) : settle(step)
    results.set(id, result)
    return result
  }

  const all = await Promise.all(steps.map(({ id }) => resultOf(id)))
  await run.finish(all.every((ok) => ok))
}

/** Does the work in a slot, which is free again when the work tells so or has ended. Answers as the work does. */
function untilItOnlyWaits<T>(slots: LimitFunction, work: (onlyWaits: () => void) => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    void slots(() => new Promise<void>((free) => void work(free).then(resolve, reject).finally(free)))
  })
}

/** From the event started to the event finished. Takes the key over where the step is left behind. */
async function carryOutStep(run: Run, step: Step, environment: ExecutionEnvironment, grip: Grip | undefined, onlyWaits: () => void): Promise<boolean> {
  const begun = performance.now()
  const passed = (): number => Math.round(performance.now() - begun)
  try {
    await run.started(step.id)
    const bound = bind(environment.executors, step.spec)
    const limits = { timeout: (step.timeoutSeconds || defaultTimeout) * 1000, grace: environment.grace ?? defaultGrace }
    const outcome: StepOutcome = await withinDeadline(limits, run.abort.signal, (signal, extend) =>
      carryOut(bound, { ...contextOf(run, step, environment, signal), onlyWaits }, () => {
        extend(cleanupTime + limits.grace)
        return contextOf(run, step, environment, AbortSignal.timeout(cleanupTime))
      }),
    )
    const result = outcome.changed ? StepResult.CHANGED : StepResult.UNCHANGED
    return await run.finished(step.id, { result, milliseconds: BigInt(passed()), error: undefined, reason: outcome.changed ? outcome.reason : '' })
  } catch (error) {
    if (error instanceof LeftBehind && grip !== undefined) {
      grip.abandon()
      leaveWith(grip, error.settled)
    }
    return fail(run, step, passed(), error)
  }
}

/** The caller's release must not free a key whose work goes on: from now on only the end of that work does. */
function leaveWith(grip: Grip, settled: Promise<void>): void {
  const { release } = grip
  grip.release = () => undefined
  void settled.then(release)
}

function fail(run: Run, step: Step, milliseconds: number, error: unknown): Promise<boolean> {
  return run.finished(step.id, { result: StepResult.FAILED, milliseconds: BigInt(milliseconds), error: { ...toErrorInfo(error), stepId: step.id }, reason: '' })
}

function contextOf(run: Run, step: Step, environment: ExecutionEnvironment, signal: AbortSignal): StepContext {
  const told = new Map<string, number>()
  return {
    signal,
    hostName: environment.hostName,
    log: (line) => run.log(step.id, line),
    progress: (what, done, total, unit) => {
      const now = performance.now()
      if (now - (told.get(what) ?? -progressInterval) < progressInterval && done !== total) return
      told.set(what, now)
      run.progress(step.id, what, done, total, unit)
    },
    blobPath: environment.blobPath,
  }
}

const titleOf = (step: Step | undefined): string => (step === undefined || step.title === '' ? (step?.id ?? 'a step') : step.title)
