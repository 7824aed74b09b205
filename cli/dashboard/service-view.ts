/** Services and their tasks as rows. Pure. */
import type { ServiceInfo, TaskInfo } from '#gen/hive/v1/docker.ts'
import type { StageFacts } from '../../coordinator/dashboard/facts.ts'
import { hasEnded } from '../../proto/task-states.ts'
import { moment } from '../commands/backup.ts'
import { type Action, type Mark, mark } from './mark.ts'
import type { ViewInput } from './view.ts'

export interface TaskRow {
  readonly id: string
  /** "1", or '' of a service that runs on each host. */
  readonly slot: string
  readonly host: string
  readonly state: Mark
  readonly since: string
  readonly why: string
}

export interface ServiceRow {
  readonly name: string
  /** "2 of 2" */
  readonly replicas: Mark
  readonly mode: string
  readonly image: string
  /** A change that is under way, or stands still. */
  readonly update: Mark | undefined
  readonly ports: readonly string[]
  readonly tasks: readonly TaskRow[]
  readonly actions: readonly Action[]
}

/** Those that are not whole come first. Services that the inventory does not have come with the others. */
export function serviceRows(site: ViewInput['site'], facts: StageFacts | undefined, operates: boolean): readonly ServiceRow[] {
  const running = new Map(facts?.status.services?.map((service) => [service.name, service]))
  const own = new Set(site.services.map(({ name }) => name))
  const names = [...own, ...[...running.keys()].filter((name) => !own.has(name))]
  const tasks = Map.groupBy(facts?.tasks ?? [], ({ service }) => service)
  const rows = names.map((name): ServiceRow => {
    const service = running.get(name)
    if (service === undefined) return unseen(name, facts)
    const { image, mode, ports } = service
    return {
      name,
      mode,
      image,
      replicas: mark(`${service.running} of ${service.desired}`, service.running < service.desired ? 'bad' : 'good'),
      update: updateMark(service),
      ports: ports.filter(({ published }) => published > 0).map(({ published, protocol }) => `${published}/${protocol}`),
      tasks: taskRows(tasks.get(name) ?? []),
      actions: operates && own.has(name) ? actionsOn(service) : [],
    }
  })
  const gravity = ({ replicas }: ServiceRow): number => (replicas.tone === 'bad' ? 0 : replicas.tone === 'warn' ? 1 : 2)
  return rows.toSorted((a, b) => gravity(a) - gravity(b) || a.name.localeCompare(b.name))
}

const unseen = (name: string, facts: StageFacts | undefined): ServiceRow => ({
  name,
  mode: '',
  image: '',
  replicas: facts === undefined ? mark('asked', 'quiet') : facts.status.services === undefined ? mark('not known', 'bad') : mark('not deployed', 'warn'),
  update: undefined,
  ports: [],
  tasks: [],
  actions: [],
})

const actionsOn = ({ name, mode }: ServiceInfo): readonly Action[] => [
  { kind: 'restart', name },
  ...(mode === 'replicated' ? [{ kind: 'scale', name } as const] : []),
  { kind: 'rollback', name },
]

function updateMark({ updateState }: ServiceInfo): Mark | undefined {
  if (updateState === '' || updateState === 'completed' || updateState === 'rollback_completed') return undefined
  return mark(updateState.replaceAll('_', ' '), updateState.includes('paused') ? 'bad' : 'warn')
}

/** Those that are to run; of the others the last one of a slot that failed, which tells why. */
function taskRows(tasks: readonly TaskInfo[]): readonly TaskRow[] {
  const wanted = tasks.filter(({ state, desiredState }) => !hasEnded(state) || desiredState === 'running')
  const failed = tasks
    .filter((task) => hasEnded(task.state) && task.desiredState !== 'running' && task.error !== '')
    .toSorted((a, b) => (b.since?.getTime() ?? 0) - (a.since?.getTime() ?? 0))
    .slice(0, 1)
  return [...wanted.toSorted((a, b) => a.slot - b.slot || a.node.localeCompare(b.node)), ...failed].map(
    ({ id, slot, node, state, desiredState, since, error }) => ({
      id,
      slot: slot === 0 ? '' : String(slot),
      host: node,
      state: mark(state, state === 'running' && desiredState === 'running' ? 'good' : hasEnded(state) ? 'bad' : 'warn'),
      since: since === undefined ? '' : moment(since),
      why: error,
    }),
  )
}

/** What runs on a host, by service. */
export function tasksOn(node: string, tasks: readonly TaskInfo[]): readonly string[] {
  const here = tasks.filter((task) => task.node === node && task.state === 'running')
  return [...Map.groupBy(here, ({ service }) => service)]
    .map(([service, { length }]) => (length === 1 ? service : `${service} ×${length}`))
    .toSorted((a, b) => a.localeCompare(b))
}
