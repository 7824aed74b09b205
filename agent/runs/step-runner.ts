/** One step: check, apply, verify, within its deadline, and what to do with work that does not stop. */
import type { Step } from '#gen/hive/v1/step.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'
import { readOnly, writable } from '../adapters/gate.ts'
import type { CheckOutcome, Executor, Executors, SpecCase, StepContext } from '../steps/executor.ts'

/** Seconds for a step that names no timeout. */
export const defaultTimeout = 600

/** A step's executor with its spec bound, so that callers need not know the kind. */
export interface BoundStep {
  readonly exclusive: string | undefined
  check(context: StepContext): Promise<CheckOutcome>
  apply(context: StepContext): Promise<void>
  /** `verify`, or else `check` again. */
  verify(context: StepContext): Promise<CheckOutcome>
  readonly cleanup: ((context: StepContext) => Promise<void>) | undefined
}

/** Throws HiveError 'unsupported' for a kind this agent does not know. */
export function bind(executors: Partial<Executors>, spec: Step['spec']): BoundStep {
  const kind = spec?.kind
  // The union of executors cannot be called with the union of specs; that they belong together is the mapped type's promise.
  const executor = kind === undefined ? undefined : (executors as Partial<Record<SpecCase, Executor<unknown>>>)[kind.$case]
  if (kind === undefined || executor === undefined) {
    throw new HiveError(
      'unsupported',
      kind === undefined ? 'this agent does not know what the step asks for' : `this agent does not know how to do ${kind.$case}`,
      {
        hint: 'the coordinator is newer: hivecoord agent upgrade brings the agent to its version',
      },
    )
  }
  const { value } = kind
  const { cleanup } = executor
  return {
    exclusive: executor.exclusive?.(value),
    check: (context) => readOnly(async () => executor.check(value, context)),
    apply: (context) => writable(async () => executor.apply(value, context)),
    verify: (context) => readOnly(async () => (executor.verify === undefined ? executor.check(value, context) : executor.verify(value, context))),
    cleanup: cleanup === undefined ? undefined : (context) => writable(async () => cleanup.call(executor, value, context)),
  }
}

export type StepOutcome = { readonly changed: false } | { readonly changed: true; readonly reason: string }

/**
 * Check, apply, verify. Cleans up after a failed apply, for which `cleanupContext` is asked then. Throws HiveError 'blocked' or
 * 'not-converged', or what the executor threw.
 */
export async function carryOut(step: BoundStep, context: StepContext, cleanupContext: () => StepContext): Promise<StepOutcome> {
  const before = await step.check(context)
  if (before.kind === 'ok') return { changed: false }
  if (before.kind === 'blocked') throw new HiveError('blocked', before.reason, { hint: before.hint })
  context.signal.throwIfAborted()
  try {
    await step.apply(context)
    context.signal.throwIfAborted()
    const after = await step.verify(context)
    if (after.kind !== 'ok') throw new HiveError('not-converged', `applied, but: ${after.reason}`, { hint: after.kind === 'blocked' ? after.hint : undefined })
    return { changed: true, reason: before.reason }
  } catch (error) {
    // What cleanup meets must not hide why the step failed.
    await step.cleanup?.(cleanupContext()).catch((failure: unknown) => context.log(`clean-up failed: ${messageOf(failure)}`))
    throw error
  }
}

export interface Limits {
  /** Milliseconds for the work, and then for its end after the abort. */
  readonly timeout: number
  readonly grace: number
}

/** Thrown by `withinDeadline` for work that goes on although it was told to stop; `settled` resolves when it has ended after all. */
export class LeftBehind extends HiveError {
  readonly settled: Promise<void>
  constructor(code: 'timeout' | 'cancelled', message: string, settled: Promise<void>) {
    super(code, message, { hint: 'look at what hangs on the host; restarting hive-agent ends it' })
    this.settled = settled
  }
}

/**
 * Runs `work` with a signal that is aborted when `outer` is or the timeout has passed. Work that ends in time answers or throws
 * for itself, except that an abort is told as 'timeout' or 'cancelled'. Work that does not end within the grace after its abort
 * is left behind; `extend` gives it more milliseconds, for cleaning up.
 */
export async function withinDeadline<T>(
  limits: Limits,
  outer: AbortSignal,
  work: (signal: AbortSignal, extend: (milliseconds: number) => void) => Promise<T>,
): Promise<T> {
  const own = new AbortController()
  const reasonOf = (): HiveError =>
    outer.aborted ? new HiveError('cancelled', 'the run was cancelled') : new HiveError('timeout', `not done within ${limits.timeout / 1000} s`)
  let timer: NodeJS.Timeout | undefined
  let leave: (() => void) | undefined
  let over = false
  const armed = (then: () => void, milliseconds: number): void => {
    clearTimeout(timer)
    if (!over) timer = setTimeout(then, milliseconds)
  }
  let onAbort: (() => void) | undefined
  try {
    outer.throwIfAborted()
    const running = work(own.signal, (milliseconds) => {
      if (leave !== undefined) armed(leave, milliseconds)
    })
    const settled = running.then(
      () => undefined,
      () => undefined,
    )
    const abandoned = new Promise<never>((_, reject) => {
      onAbort = (): void => {
        if (own.signal.aborted) return
        const reason = reasonOf()
        own.abort(reason)
        leave = (): void => {
          const code = reason.code === 'timeout' ? 'timeout' : 'cancelled'
          reject(new LeftBehind(code, `${reason.message}, and it did not stop ${limits.grace / 1000} s after it was told to`, settled))
        }
        armed(leave, limits.grace)
      }
      outer.addEventListener('abort', onAbort, { once: true })
      armed(onAbort, limits.timeout)
    })
    return await Promise.race([running, abandoned])
  } catch (error) {
    if (error instanceof LeftBehind || !(own.signal.aborted || outer.aborted)) throw error
    const reason = own.signal.aborted && own.signal.reason instanceof HiveError ? own.signal.reason : reasonOf()
    if (error === reason || !(error instanceof HiveError)) throw reason
    throw new HiveError(reason.code, reason.message, { hint: error.hint, log: error.log, cause: error })
  } finally {
    over = true
    clearTimeout(timer)
    if (onAbort !== undefined) outer.removeEventListener('abort', onAbort)
  }
}
