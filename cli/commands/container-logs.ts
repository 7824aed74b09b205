/** What the running containers of a service wrote, from the hosts where they run. */
import pc from 'picocolors'
import { reportOf } from '../../coordinator/client/errors.ts'
import { answering } from '../../coordinator/client/site-agents.ts'
import type { Stage } from '../../coordinator/index.ts'
import type { App } from '../app.ts'
import { noRunningTask, runningTasks } from './find-container.ts'

export interface LogWish {
  readonly follow: boolean
  readonly since: Date | undefined
  /** 0: all. */
  readonly tail: number
  readonly grep: RegExp | undefined
}

export async function showContainerLogs(app: App, stage: Stage, service: string, wish: LogWish): Promise<void> {
  const { signal, renderer, options: global } = app
  const tasks = await runningTasks(stage, service, signal)
  if (tasks.length === 0) throw noRunningTask(service)
  const width = Math.max(0, ...tasks.map((task) => task.node.length))
  await Promise.all(
    tasks.map(async (task) => {
      const fromHost = async (): Promise<void> => {
        const client = await answering(stage.agents, task.host, signal)
        const request = { container: task.containerId, follow: wish.follow, tail: wish.tail, since: wish.since, timestamps: false }
        for await (const line of client.container.logs(request, { signal })) {
          if (wish.grep !== undefined && !wish.grep.test(line.line)) continue
          if (global.output === 'json')
            process.stdout.write(`${JSON.stringify({ service, host: task.host, at: line.at, stderr: line.stderr, line: line.line })}\n`)
          else process.stdout.write(`${tasks.length > 1 ? pc.cyan(`${task.node.padEnd(width)} `) : ''}${pc.dim(line.at?.toISOString() ?? '')} ${line.line}\n`)
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
}
