/** One step by hand, outside a run: the same executors, deadlines and exclusive keys. */
import type { Step } from '#gen/hive/v1/step.ts'
import type { StepContext } from '../steps/executor.ts'
import { defaultGrace, type ExecutionEnvironment } from './execute.ts'
import type { Grip } from './keyed-lock.ts'
import { bind, carryOut, defaultTimeout, LeftBehind, type StepOutcome, withinDeadline } from './step-runner.ts'

/** Throws what the executor threw, 'blocked', 'not-converged', 'timeout' or 'cancelled'. `log` gets the executor's lines. */
export async function operate(
  step: Partial<Step> & Pick<Step, 'spec'>,
  environment: ExecutionEnvironment,
  signal: AbortSignal,
  log: (line: string) => void,
): Promise<StepOutcome> {
  const bound = bind(environment.executors, step.spec)
  const contextWith = (own: AbortSignal): StepContext => ({
    signal: own,
    hostName: environment.hostName,
    log,
    progress: () => undefined,
    blobPath: environment.blobPath,
  })
  const limits = { timeout: (step.timeoutSeconds || defaultTimeout) * 1000, grace: environment.grace ?? defaultGrace }
  let grip: Grip | undefined
  let held: Promise<void> = Promise.resolve()
  try {
    if (bound.exclusive !== undefined) grip = await environment.keys.acquire(bound.exclusive, 'an operation by hand', signal)
    return await withinDeadline(limits, signal, (own) => carryOut(bound, contextWith(own), () => contextWith(AbortSignal.timeout(60_000))))
  } catch (error) {
    if (error instanceof LeftBehind) {
      grip?.abandon()
      held = error.settled
    }
    throw error
  } finally {
    const { release } = grip ?? {}
    if (release !== undefined) void held.then(release)
  }
}
