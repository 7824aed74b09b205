/** `hivecoord ps`, `restart`, `scale` and `rollback`: services of the swarm by name, asked of whichever manager answers. */
import { type Command, InvalidArgumentError } from 'commander'
import type { OperationResponse, TaskInfo } from '#gen/hive/v1/docker.ts'
import type { AgentClient } from '../../coordinator/client/agent-client.ts'
import { hasEnded } from '../../proto/task-states.ts'
import type { App } from '../app.ts'
import { columns, duration } from '../render/format.ts'
import { anyManager, knownService } from './find-container.ts'

export function registerTasks(program: Command, app: () => App): void {
  program
    .command('ps')
    .description('tasks of a service, or of all services: where they run, since when, and why not')
    .argument('[service]')
    .option('-a, --all', 'also those of the past that docker remembers')
    .action(async (service: string | undefined, { all = false }: { all?: boolean }) => {
      const { open, signal, renderer } = app()
      const stage = await open()
      if (service !== undefined) knownService(stage, service)
      const manager = await anyManager(stage, signal)
      const { tasks } = await manager.service.tasks({ service: service ?? '', runningOnly: false }, { signal })
      const shown = tasks.filter((task) => all || !hasEnded(task.state) || task.desiredState === 'running').sort(byServiceAndSlot)
      renderer.result(
        shown,
        shown.length === 0 ? 'no tasks' : columns([['TASK', 'HOST', 'STATE', 'SINCE', 'WHY'], ...shown.map((task) => row(task, Date.now()))]),
      )
    })

  const onService = (name: string, description: string, made: (command: Command) => Command, work: Work): void => {
    made(program.command(name).description(description).argument('<service>')).action(async (service: string, ...rest: unknown[]) => {
      const { open, signal, renderer } = app()
      const stage = await open()
      knownService(stage, service)
      const { done, hint } = await work(await anyManager(stage, signal), service, rest, signal)
      renderer.result({ service, ...done }, [`${service}: ${done.reason}`, ...(done.changed && hint !== undefined ? [hint] : [])].join('\n'))
    })
  }
  onService(
    'restart',
    'replace all tasks of a service, one after the other',
    (command) => command,
    async (manager, name, _rest, signal) => ({ done: await manager.service.restart({ name }, { signal }) }),
  )
  onService(
    'scale',
    'run so many tasks of a service, until the next deploy',
    (command) => command.argument('<replicas>', 'how many', wholeNumber),
    async (manager, name, [replicas], signal) => ({
      done: await manager.service.scale({ name, replicas: Number(replicas) }, { signal }),
      hint: `the next deploy goes by the inventory again: \`replicas: ${replicas}\` there makes it last`,
    }),
  )
  onService(
    'rollback',
    'take back the last change of a service, until the next deploy',
    (command) => command,
    async (manager, name, _rest, signal) => ({
      done: await manager.service.rollback({ name }, { signal }),
      hint: `the next deploy goes by the inventory again; \`hivecoord images rollback ${name}\` keeps an earlier image through deploys`,
    }),
  )
}

type Work = (
  manager: AgentClient,
  service: string,
  rest: readonly unknown[],
  signal: AbortSignal,
) => Promise<{ readonly done: OperationResponse; readonly hint?: string }>

function wholeNumber(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new InvalidArgumentError('write a whole number, 0 for none')
  return Number(text)
}

const byServiceAndSlot = (a: TaskInfo, b: TaskInfo): number =>
  a.service.localeCompare(b.service) || a.slot - b.slot || a.node.localeCompare(b.node) || (b.since?.getTime() ?? 0) - (a.since?.getTime() ?? 0)

/** `now` in milliseconds since 1970. Tasks of global services have no slot: the host tells them apart. */
export function row(task: TaskInfo, now: number): readonly string[] {
  const name = task.slot === 0 ? task.service : `${task.service}.${task.slot}`
  const state = task.state === task.desiredState || hasEnded(task.state) ? task.state : `${task.state}, to be ${task.desiredState}`
  const since = task.since === undefined ? '' : duration(Math.max(0, now - task.since.getTime()))
  return [name, task.node, state, since, task.error]
}
