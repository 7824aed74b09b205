/** `hivecoord logs SERVICE`: what the service's running containers wrote, from the hosts where they run. */
import { type Command, InvalidArgumentError } from 'commander'
import pc from 'picocolors'
import { reportOf } from '../../coordinator/client/errors.ts'
import { messageOf } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { noRunningTask, runningTasks } from './find-container.ts'
import { positive } from './numbers.ts'

/** "10m", "2h", "1d" ago, or a time that Date understands. */
export function parseSince(text: string): Date {
  const span = /^(\d+)([smhd])$/.exec(text)
  const unit = { s: 1, m: 60, h: 3600, d: 86_400 }[span?.[2] ?? '']
  const time = span === null || unit === undefined ? new Date(text) : new Date(Date.now() - Number(span[1]) * unit * 1000)
  if (Number.isNaN(time.getTime())) throw new InvalidArgumentError('write a span such as 10m, 2h or 1d, or a time such as 2026-11-23T10:00')
  return time
}

function parsePattern(text: string): RegExp {
  try {
    return new RegExp(text)
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error))
  }
}

export function registerLogs(program: Command, app: () => App): void {
  program
    .command('logs')
    .description('show what the running containers of a service wrote')
    .argument('<service>')
    .option('-f, --follow', 'go on as more comes')
    .option('--since <time>', '10m, 2h, 1d or a time', parseSince)
    .option('--tail <n>', 'only the last lines of each container', positive, 100)
    .option('--grep <regex>', 'only lines that match', parsePattern)
    .action(async (service: string, options: { follow?: boolean; since?: Date; tail: number; grep?: RegExp }) => {
      const { open, signal, renderer, options: global } = app()
      const stage = await open()
      const tasks = await runningTasks(stage, service, signal)
      if (tasks.length === 0) throw noRunningTask(service)
      const width = Math.max(0, ...tasks.map((task) => task.node.length))
      await Promise.all(
        tasks.map(async (task) => {
          const fromHost = async (): Promise<void> => {
            const reached = await stage.agents.reach(task.host, signal)
            if ('error' in reached) throw reached.error
            const request = { container: task.containerId, follow: options.follow === true, tail: options.tail, since: options.since, timestamps: false }
            for await (const line of reached.client.container.logs(request, { signal })) {
              if (options.grep !== undefined && !options.grep.test(line.line)) continue
              if (global.output === 'json')
                process.stdout.write(`${JSON.stringify({ service, host: task.host, at: line.at, stderr: line.stderr, line: line.line })}\n`)
              else
                process.stdout.write(`${tasks.length > 1 ? pc.cyan(`${task.node.padEnd(width)} `) : ''}${pc.dim(line.at?.toISOString() ?? '')} ${line.line}\n`)
            }
          }
          // One host that is away does not take the others' lines along.
          await fromHost().catch((error: unknown) => {
            if (signal.aborted) throw error
            renderer.error(reportOf(error, task.host))
            process.exitCode = 1
          })
        }),
      )
    })
}
