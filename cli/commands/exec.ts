/** `hivecoord exec SERVICE COMMAND…` and `hivecoord shell SERVICE`: inside the running container of a service, wherever it runs. */
import type { Command } from 'commander'
import type { App } from '../app.ts'
import { positive } from './numbers.ts'
import { runInside } from './run-inside.ts'

/** The first one that the image has. */
const anyShell = 'for shell in ash bash; do command -v "$shell" >/dev/null 2>&1 && exec "$shell"; done; exec sh'

const numberOption = ['-n, --number <n>', 'which running task, 1 is the first', positive, 1] as const
const userOption = ['-u, --user <user>', 'as this user'] as const

export function registerExec(program: Command, app: () => App): void {
  program
    .command('exec')
    .description('run a command in the running container of a service; its exit code is this one’s')
    .argument('<service>')
    .argument('<command...>')
    .option(...numberOption)
    .option('-i, --interactive', 'pass standard input on')
    .option('-t, --tty', 'give the command a terminal')
    .option(...userOption)
    .passThroughOptions()
    .action(async (service: string, words: string[], options: { number: number; interactive?: boolean; tty?: boolean; user?: string }) => {
      // `exec SERVICE -- COMMAND` and `exec SERVICE COMMAND` are the same.
      const command = words[0] === '--' ? words.slice(1) : words
      const tty = options.tty === true
      const stdin = options.interactive === true || tty
      process.exitCode = await runInside(app(), { service, number: options.number, command, tty, stdin, user: options.user ?? '' })
    })
  program
    .command('shell')
    .description('a shell in the running container of a service: ash, bash or sh')
    .argument('<service>')
    .option(...numberOption)
    .option(...userOption)
    .action(async (service: string, { number, user = '' }: { number: number; user?: string }) => {
      const tty = process.stdin.isTTY === true && process.stdout.isTTY === true
      process.exitCode = await runInside(app(), { service, number, command: ['sh', '-c', anyShell], tty, stdin: true, user })
    })
}
