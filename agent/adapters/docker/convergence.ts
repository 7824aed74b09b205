/** Whether a service's tasks run as its spec says, judged from one look at them. Pure. */
import { hasEnded } from '../../../proto/task-states.ts'
import type { Service, Task } from './api-types.ts'
import { canonicalTask, differences } from './compare-service.ts'
import type { Sight } from './task-watch.ts'

export type Verdict =
  | { readonly kind: 'converged' }
  | { readonly kind: 'waiting'; readonly what: string }
  /** It will not come about by waiting. */
  | { readonly kind: 'failed'; readonly what: string; readonly hint: string; readonly task: Task | undefined }

/** A task that ran this long has not failed at its start, milliseconds. */
const settleTime = 1000
/** As often as this one slot may fail before it is given up. */
const patience = 3
/** How long a task may find no node, milliseconds: a node may be just coming back. */
const placementPatience = 15_000

export interface JudgeOptions {
  /** Docker's clock and ours may differ a little; tasks are judged by the time they were made against this service's update. */
  readonly now: number
  /** Milliseconds since waiting began. */
  readonly waited: number
}

export function judge(sight: Sight, options: JudgeOptions): Verdict {
  const { service } = sight
  if (service === undefined) return { kind: 'failed', what: 'the service was removed while it was awaited', hint: '', task: undefined }
  const template = canonicalTask(
    { ...service.Spec.TaskTemplate, Networks: service.Spec.TaskTemplate.Networks ?? service.Spec.Networks ?? [] },
    sight.networkNames,
  )
  const isCurrent = (task: Task): boolean => differences(canonicalTask(task.Spec, sight.networkNames), template).length === 0
  const current = sight.tasks.filter(isCurrent)
  const failures = current.filter((task) => failed(task) && Date.parse(task.CreatedAt) >= Date.parse(service.UpdatedAt) - 1000)
  const given = givenUp(failures, options.now - options.waited)
  if (given !== undefined) return { kind: 'failed', ...explain(given, failures.length), task: given }

  const wanted = wantedTasks(service, sight)
  const running = current.filter((task) => task.DesiredState === 'running' && task.Status.State === 'running')
  const settled = running.filter((task) => isSettled(task, failures, options))
  const finished = restarts(service) ? [] : current.filter((task) => task.Status.State === 'complete')
  const old = sight.tasks.filter((task) => !isCurrent(task) && task.DesiredState === 'running' && !hasEnded(task.Status.State))
  if (old.length === 0 && settled.length + finished.length >= wanted) return { kind: 'converged' }

  const paused = service.UpdateStatus?.State === 'paused' && old.length > 0
  if (paused) return { kind: 'failed', what: `docker stopped the update: ${service.UpdateStatus?.Message ?? ''}`, hint: '', task: latest(failures) }

  const pending = current.find((task) => task.DesiredState === 'running' && task.Status.State === 'pending' && task.Status.Err !== undefined)
  if (pending !== undefined && isStuck(pending, options)) return { kind: 'failed', ...explain(pending, 1), task: pending }
  const last = latest([...current, ...failures])
  const why =
    pending?.Status.Err ?? (last !== undefined && !running.includes(last) ? `${last.Status.State}${last.Status.Err ? `: ${last.Status.Err}` : ''}` : '')
  return {
    kind: 'waiting',
    what: `${running.length + finished.length} of ${wanted} tasks run${old.length > 0 ? `, ${old.length} old` : ''}${why === '' ? '' : ` (${why})`}`,
  }
}

/** Why it is not there yet when the time is over: the most telling task of what was last seen. */
export function explainWaiting(sight: Sight): { what: string; hint: string; task: Task | undefined } {
  const telling = latest(sight.tasks.filter((task) => task.Status.Err !== undefined && task.Status.Err !== '')) ?? latest(sight.tasks)
  return telling === undefined
    ? { what: 'docker made no task for it', hint: 'no node may take it: see its constraints', task: undefined }
    : { ...explain(telling, 1), task: telling }
}

/** An update makes one task after the other: the last may just have been made, and wait for the port of the one that it replaces. */
const isStuck = (pending: Task, { now, waited }: JudgeOptions): boolean => waited > placementPatience && now - Date.parse(pending.CreatedAt) > placementPatience

/**
 * A task that runs may be about to fail, as the ones before it in its slot did: then it must have run for longer. Where the node's
 * clock is ahead of ours, the time that we waited counts instead.
 */
function isSettled(task: Task, failures: readonly Task[], options: JudgeOptions): boolean {
  const needed = failures.some((other) => slotOf(other) === slotOf(task)) ? 5 * settleTime : settleTime
  const age = options.now - Date.parse(task.Status.Timestamp)
  return age >= needed || (age < 0 && options.waited > 5 * needed)
}

const slotOf = (task: Task): string => (task.Slot ? String(task.Slot) : `@${task.NodeID ?? ''}`)

const failed = (task: Task): boolean => task.Status.State === 'failed' || task.Status.State === 'rejected'

const restarts = (service: Service): boolean => {
  const condition = service.Spec.TaskTemplate.RestartPolicy?.Condition
  return condition === undefined || condition === '' || condition === 'any'
}

/**
 * The last failure of a slot (of a node, for global services) that failed too often, or that will not be tried again. Where it is tried
 * again for ever, what failed before the waiting began counts for nothing: a host that was without power a few times left as many failures.
 */
function givenUp(failures: readonly Task[], began: number): Task | undefined {
  for (const ofSlot of Map.groupBy(failures, slotOf).values()) {
    const last = latest(ofSlot)
    const attempts = last?.Spec.RestartPolicy
    const tries = attempts?.Condition === 'none' ? 1 : Math.min(patience, (attempts?.MaxAttempts ?? 0) > 0 ? (attempts?.MaxAttempts ?? 0) + 1 : patience)
    const final = attempts?.Condition === 'none' || (attempts?.MaxAttempts ?? 0) > 0
    const counted = final ? ofSlot : ofSlot.filter((task) => Date.parse(task.Status.Timestamp) >= began - 1000)
    if (counted.length >= tries) return last
  }
  return undefined
}

const latest = (tasks: readonly Task[]): Task | undefined =>
  tasks.reduce<Task | undefined>(
    (newest, task) => (newest === undefined || Date.parse(task.CreatedAt) >= Date.parse(newest.CreatedAt) ? task : newest),
    undefined,
  )

function wantedTasks(service: Service, sight: Sight): number {
  if (service.Spec.Mode?.Global === undefined) return service.Spec.Mode?.Replicated?.Replicas ?? 1
  // Swarm makes one task a node that may take it; how many these are shows in the tasks themselves.
  const nodes = new Set(sight.tasks.filter((task) => task.DesiredState === 'running').map((task) => task.NodeID))
  const up = sight.nodes.filter((node) => node.Status.State === 'ready' && node.Spec.Availability === 'active')
  return Math.max(nodes.size, (service.Spec.TaskTemplate.Placement?.Constraints ?? []).length === 0 ? up.length : Math.min(1, up.length))
}

/** What a task's failure means, and what to do about it. */
export function explain(task: Task, times: number): { what: string; hint: string } {
  const error = task.Status.Err ?? task.Status.Message ?? ''
  const often = times > 1 ? ` (${times} times)` : ''
  if (/no suitable node/i.test(error))
    return { what: `no node may take it: ${error}`, hint: 'compare its constraints with the labels, the free ports and the memory of the nodes' }
  if (/no such image|image.*not found|manifest unknown/i.test(error))
    return {
      what: `its image is not on the host and cannot be pulled${often}: ${error}`,
      hint: 'build-images makes it; deploy-services brings it to the hosts',
    }
  if (task.Status.State === 'rejected')
    return { what: `docker rejected it${often}: ${error}`, hint: 'volumes, mounts, networks or ports of the service do not fit the host' }
  if (/unhealthy/i.test(error))
    return { what: `its health check fails${often}: ${error}`, hint: 'its last log lines follow; what is asked is healthcheck.test in the inventory' }
  const exit = task.Status.ContainerStatus?.ExitCode
  if (task.Status.State === 'failed' && exit !== undefined && exit !== 0) return { what: `its container ended with exit code ${exit}${often}`, hint: '' }
  return { what: `${task.Status.State}${often}${error === '' ? '' : `: ${error}`}`, hint: '' }
}
