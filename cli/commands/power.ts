/** `hivecoord halt`, `start` and `destroy` of a whole stage. */
import type { Command } from 'commander'
import type { App } from '../app.ts'
import { askForName } from './ask.ts'

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
      const { name, stage: which } = stage.site
      if (options.yes !== true)
        await askForName(`This removes all hosts and data of ${name}, stage ${which}.`, name, {
          unasked: `destroy removes all data of ${name}, stage ${which}`,
          hint: 'add --yes to mean it',
          refused: 'nothing was destroyed',
          signal,
        })
      await stage.destroy()
      renderer.result({ destroyed: stage.site.hosts.map(({ name }) => name) }, `stage ${stage.site.stage} is destroyed`)
    })
}
