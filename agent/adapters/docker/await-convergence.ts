/** Waits until a service's tasks run as its spec says, or says why they do not. */
import { HiveError } from '../../../proto/errors.ts'
import type { Task } from './api-types.ts'
import { explainWaiting, judge } from './convergence.ts'
import { lastLogLines } from './logs.ts'
import { isWithoutLeader } from './swarm.ts'
import { nextSight, type Sight } from './task-watch.ts'
import { pause } from './wait.ts'

const shownLogLines = 20

export interface Watcher {
  readonly signal: AbortSignal
  log(line: string): void
}

/**
 * @param timeout milliseconds
 * @throws HiveError 'not-converged' with the task's error, the node it was on and the last lines of its log
 */
export async function awaitConvergence(serviceId: string, name: string, timeout: number, watcher: Watcher): Promise<void> {
  const began = Date.now()
  let said = ''
  let last: Sight | undefined
  for (;;) {
    const waited = Date.now() - began
    const sight = await sightOf(serviceId, watcher.signal)
    if (sight !== undefined) {
      last = sight
      const verdict = judge(sight, { now: Date.now(), waited })
      if (verdict.kind === 'converged') return
      if (verdict.kind === 'failed') throw await notConverged(name, verdict, sight, watcher.signal)
      if (verdict.what !== said) watcher.log(verdict.what)
      said = verdict.what
    }
    if (waited >= timeout) {
      const why = last === undefined ? { what: 'no manager answered', hint: '', task: undefined } : explainWaiting(last)
      throw await notConverged(name, { ...why, what: `${why.what}, after ${Math.round(timeout / 1000)} s` }, last, watcher.signal)
    }
  }
}

/** undefined while managers elect a leader, which passes. */
async function sightOf(serviceId: string, signal: AbortSignal): Promise<Sight | undefined> {
  try {
    return await nextSight(serviceId, signal)
  } catch (error) {
    if (signal.aborted) throw new HiveError('cancelled', 'stopped while waiting for tasks', { cause: error })
    if (!isWithoutLeader(error)) throw error
    await pause(1000, signal)
    return undefined
  }
}

async function notConverged(
  name: string,
  why: { readonly what: string; readonly hint: string; readonly task: Task | undefined },
  sight: Sight | undefined,
  signal: AbortSignal,
): Promise<HiveError> {
  const node = sight?.nodes.find((candidate) => candidate.ID === why.task?.NodeID)?.Description.Hostname
  const started = why.task?.Status.ContainerStatus?.ContainerID
  const log = why.task === undefined || started === undefined || started === '' ? [] : await lastLogLines('tasks', why.task.ID, shownLogLines, signal)
  return new HiveError('not-converged', `service ${name} does not run: ${why.what}${node === undefined ? '' : ` on ${node}`}`, {
    log,
    ...(why.hint === '' ? {} : { hint: why.hint }),
  })
}
