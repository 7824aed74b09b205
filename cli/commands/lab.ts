/** `hivecoord lab …`: power, network cables and loss of hosts that this machine itself makes, for drills on the private stage. */
import type { Command } from 'commander'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { askForName } from './ask.ts'
import { findHost } from './find-host.ts'

export function registerLab(program: Command, app: () => App): void {
  const lab = program.command('lab').description('power, cables and loss of hosts that this machine makes (nspawn stages)')
  lab
    .command('power')
    .description('switch a host off as a power cut does, or on')
    .argument('<action>', 'off or on')
    .argument('<host>')
    .action(async (action: string, name: string) => {
      const { open, signal, renderer } = app()
      const stage = await open()
      const host = findHost(stage.site, name).name
      const power = stage.provider.power?.bind(stage.provider)
      if (power === undefined) throw unsupported(stage.site.effectiveProvider)
      await power({ site: stage.site, state: stage.state, emit: (event) => renderer.event(event), signal }, host, oneOf(action, ['off', 'on']))
      renderer.result({ host, power: action }, `${host}: power ${action}`)
    })
  lab
    .command('cable')
    .description("unplug or plug a host's network cable")
    .argument('<action>', 'unplug or plug')
    .argument('<host>')
    .action(async (action: string, name: string) => {
      const { open, signal, renderer } = app()
      const stage = await open()
      const host = findHost(stage.site, name).name
      const cable = stage.provider.cable?.bind(stage.provider)
      if (cable === undefined) throw unsupported(stage.site.effectiveProvider)
      await cable({ site: stage.site, state: stage.state, emit: (event) => renderer.event(event), signal }, host, oneOf(action, ['unplug', 'plug']))
      renderer.result({ host, cable: action }, `${host}: cable ${action === 'plug' ? 'plugged in' : 'unplugged'}`)
    })
  lab
    .command('lose')
    .description('take a host away with its disk, as a fire does')
    .argument('<host>')
    .option('-y, --yes', 'do not ask')
    .action(async (name: string, options: { yes?: boolean }) => {
      const { open, signal, renderer } = app()
      const stage = await open()
      const host = findHost(stage.site, name)
      const lose = stage.provider.lose?.bind(stage.provider)
      if (lose === undefined) throw unsupported(stage.site.effectiveProvider)
      if (options.yes !== true)
        await askForName(`This removes ${host.name} with everything on its disk.`, host.shortName, {
          unasked: `lab lose removes all that is on ${host.name}`,
          hint: 'add --yes to mean it',
          refused: `${host.name} is as it was`,
          signal,
        })
      await lose({ site: stage.site, state: stage.state, emit: (event) => renderer.event(event), signal }, host.name)
      renderer.result({ host: host.name, lost: true }, `${host.name} is lost, with its disk`)
    })
}

const unsupported = (provider: string): HiveError =>
  new HiveError('unsupported', `hosts of provider ${provider} have no cables here`, { hint: 'only stages whose hosts this machine makes (nspawn)' })

function oneOf<T extends string>(given: string, allowed: readonly [T, T]): T {
  const found = allowed.find((word) => word === given)
  if (found === undefined) throw new HiveError('invalid-input', `${given} is not one of ${allowed.join(', ')}`)
  return found
}
