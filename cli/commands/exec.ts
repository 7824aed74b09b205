/** `hivecoord exec SERVICE COMMAND…`: a command inside the running container of a service, wherever it runs. */
import type { Command } from 'commander'
import type { ExecInput } from '#gen/hive/v1/docker.ts'
import type { App } from '../app.ts'
import { runningTask } from './find-container.ts'
import { positive } from './numbers.ts'

export function registerExec(program: Command, app: () => App): void {
  program
    .command('exec')
    .description('run a command in the running container of a service; its exit code is this one’s')
    .argument('<service>')
    .argument('<command...>')
    .option('-n, --number <n>', 'which running task, 1 is the first', positive, 1)
    .option('-i, --interactive', 'pass standard input on')
    .option('-t, --tty', 'give the command a terminal')
    .option('-u, --user <user>', 'as this user')
    .passThroughOptions()
    .action(async (service: string, words: string[], options: { number: number; interactive?: boolean; tty?: boolean; user?: string }) => {
      const { open, signal } = app()
      // `exec SERVICE -- COMMAND` and `exec SERVICE COMMAND` are the same.
      const command = words[0] === '--' ? words.slice(1) : words
      const stage = await open()
      const task = await runningTask(stage, service, options.number, signal)
      const client = await stage.agents.client(task.host)
      const tty = options.tty === true
      const stdin = options.interactive === true || tty
      const inputs = execInputs({ container: task.containerId, command, tty, stdin, user: options.user ?? '' })
      if (tty && process.stdin.isTTY) process.stdin.setRawMode(true)
      try {
        for await (const { output } of client.container.exec(inputs, { signal })) {
          if (output?.$case === 'stdout') process.stdout.write(output.value)
          if (output?.$case === 'stderr') process.stderr.write(output.value)
          if (output?.$case === 'exitCode') process.exitCode = output.value
        }
      } finally {
        if (tty && process.stdin.isTTY) process.stdin.setRawMode(false)
        process.stdin.destroy()
      }
    })
}

interface ExecRequest {
  readonly container: string
  readonly command: string[]
  readonly tty: boolean
  readonly stdin: boolean
  readonly user: string
}

async function* execInputs(request: ExecRequest): AsyncGenerator<ExecInput> {
  const size = request.tty ? { rows: process.stdout.rows ?? 24, columns: process.stdout.columns ?? 80 } : undefined
  yield { input: { $case: 'start', value: { ...request, environment: {}, size } } }
  if (!request.stdin) return
  for await (const chunk of process.stdin) yield { input: { $case: 'stdin', value: Buffer.from(chunk as Uint8Array) } }
  yield { input: { $case: 'closeStdin', value: true } }
}
