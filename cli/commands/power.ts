/** `hivecoord halt`, `start` and `destroy` of a whole stage. */
import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'

export function registerPower(program: Command, app: () => App): void {
  program
    .command('halt')
    .description('stop all hosts of the stage in order; nothing is lost')
    .action(async () => {
      const { open, renderer } = app()
      const stage = await open()
      await stage.halt()
      renderer.result({ halted: stage.site.hosts.map(({ name }) => name) }, `stage ${stage.site.stage} is halted`)
    })
  program
    .command('start')
    .description('start the hosts of a halted stage')
    .action(async () => {
      const { open, renderer } = app()
      const stage = await open({ makesHosts: true })
      await stage.start()
      renderer.result({ started: stage.site.hosts.map(({ name }) => name) }, `stage ${stage.site.stage} is started`)
    })
  program
    .command('destroy')
    .description('remove all hosts of the stage with everything on them; keys, certificates and allocations stay')
    .option('-y, --yes', 'do not ask')
    .action(async (options: { yes?: boolean }) => {
      const { open, renderer, signal } = app()
      const stage = await open()
      if (options.yes !== true) await confirm(stage.site.name, stage.site.stage, signal)
      await stage.destroy()
      renderer.result({ destroyed: stage.site.hosts.map(({ name }) => name) }, `stage ${stage.site.stage} is destroyed`)
    })
}

/** The site's name must be typed. Throws HiveError 'blocked' where nobody can be asked, 'cancelled' for another answer. */
async function confirm(name: string, stage: string, signal: AbortSignal): Promise<void> {
  if (!process.stdin.isTTY) throw new HiveError('blocked', `destroy removes all data of ${name}, stage ${stage}`, { hint: 'add --yes to mean it' })
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const left = new AbortController()
  terminal.once('close', () => left.abort())
  try {
    const answer = await terminal
      .question(`This removes all hosts and data of ${name}, stage ${stage}. Type ${name} to go on: `, { signal: AbortSignal.any([signal, left.signal]) })
      // Ctrl-C and Ctrl-D are a no.
      .catch(() => {
        process.stderr.write('\n')
        return ''
      })
    if (answer.trim() !== name) throw new HiveError('cancelled', 'nothing was destroyed')
  } finally {
    terminal.close()
  }
}
