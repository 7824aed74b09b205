/** Where a service runs, asked from any manager that answers. */
import type { TaskInfo } from '#gen/hive/v1/docker.ts'
import type { Stage } from '../../coordinator/index.ts'
import { managersOf } from '../../coordinator/phases/swarm-role.ts'
import { HiveError } from '../../proto/errors.ts'

/** The first manager that answers. Throws HiveError 'unreachable'. */
export async function anyManager(stage: Stage, signal: AbortSignal) {
  for (const name of managersOf(stage.site.hosts)) {
    const reached = await stage.agents.reach(name, signal)
    if ('client' in reached) return reached.client
  }
  throw new HiveError('unreachable', `no manager of stage ${stage.site.stage}'s swarm answers`, { hint: 'see `hivecoord status`' })
}

/** Throws HiveError 'not-found' for a service the inventory does not know. */
export function knownService(stage: Stage, service: string): void {
  const { services } = stage.site
  if (services.some(({ name }) => name === service)) return
  throw new HiveError('not-found', `stage ${stage.site.stage} has no service ${service}`, { hint: `it has ${services.map(({ name }) => name).join(', ')}` })
}

/** Running tasks of a service, by slot. Throws HiveError 'not-found' for a service the inventory does not know. */
export async function runningTasks(stage: Stage, service: string, signal: AbortSignal): Promise<readonly (TaskInfo & { readonly host: string })[]> {
  knownService(stage, service)
  const manager = await anyManager(stage, signal)
  const { tasks } = await manager.service.tasks({ service, runningOnly: true }, { signal })
  const hostOf = (node: string): string => stage.site.hosts.find(({ shortName }) => shortName === node)?.name ?? node
  return tasks
    .filter((task) => task.containerId !== '')
    .sort((a, b) => a.slot - b.slot || a.node.localeCompare(b.node))
    .map((task) => ({ ...task, host: hostOf(task.node) }))
}

/** The n-th running task, 1-based. */
export async function runningTask(stage: Stage, service: string, n: number, signal: AbortSignal) {
  const tasks = await runningTasks(stage, service, signal)
  const task = tasks[n - 1]
  if (task !== undefined) return task
  if (tasks.length === 0) throw noRunningTask(service)
  throw new HiveError('not-found', `${service} has ${tasks.length} running task${tasks.length === 1 ? '' : 's'}, not ${n}`)
}

export const noRunningTask = (service: string): HiveError =>
  new HiveError('not-found', `${service} has no running task`, { hint: '`hivecoord status` shows what runs, `hivecoord deploy-services` says why not' })
