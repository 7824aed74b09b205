/** `hivecoord host add` and `hivecoord host replace`: a host becomes part of the site, another machine takes a host's place. */
import type { Command } from 'commander'
import pc from 'picocolors'
import { type ReplacementPlan, refuse } from '../../coordinator/hosts/replace.ts'
import { mirroredVolumesOf } from '../../coordinator/inventory/mirrored-volumes.ts'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { foundExitCode } from '../exit-codes.ts'
import { askForName, askToGoOn } from './ask.ts'
import { findHost } from './find-host.ts'
import { verdictLines } from './host-text.ts'
import { allowedServices, splitNames } from './limit.ts'

interface ReplaceOptions {
  readonly plan?: boolean
  readonly allow?: string
  readonly force?: string
  readonly lose?: string
  readonly yes?: string
}

export function registerAdd(host: Command, app: () => App): void {
  host
    .command('add')
    .description('deploy, so that a host that the inventory has become part of the site, and wait until it is ready, filled and as the inventory says')
    .argument('<host>')
    .action(async (name: string) => {
      const { open, renderer, signal } = app()
      const stage = await open({ writes: true, makesHosts: true, setsUpRegistry: true })
      const found = findHost(stage.site, name)
      await stage.addHost(found, signal)
      renderer.result({ added: found.name }, `${found.name} is part of the site: ready, filled, and as the inventory says`)
    })
}

export function registerReplace(host: Command, app: () => App): void {
  host
    .command('replace')
    .description(
      'another machine takes a host’s place: same name, address and node id; its part in the swarm, its copies of volumes and its images are made anew',
    )
    .argument('<host>')
    .option('--plan', 'only tell what would be done, and what speaks against it; exit code 4 where something does')
    .option('--allow <services>', 'services that may stop meanwhile, separated by commas')
    .option('--force <host>', 'in spite of what speaks against it: the host once more')
    .option('--lose <volumes>', 'with --force: volumes whose last valid copy may go, separated by commas')
    .option('--yes <host>', 'do not ask: the host whose machine is given up, once more')
    .action(async (name: string, options: ReplaceOptions) => {
      const { open, renderer, signal } = app()
      const stage = await open({ writes: options.plan !== true, makesHosts: options.plan !== true })
      const { site } = stage
      const found = findHost(site, name)
      const same = (given: string | undefined, option: string): boolean => {
        if (given !== undefined && findHost(site, given).name !== found.name)
          throw new HiveError('invalid-input', `${option} names ${given}, and not ${found.shortName}`)
        return given !== undefined
      }
      const allowed = allowedServices(site, options.allow)
      const given = new Set(splitNames(options.lose))
      const noVolume = [...given].find((one) => !mirroredVolumesOf(site).some((volume) => volume.name === one))
      if (noVolume !== undefined) throw new HiveError('invalid-input', `--lose names ${noVolume}, which is no mirrored volume of stage ${site.stage}`)
      const forced = new Set(same(options.force, '--force') ? [found.name] : [])
      const meant = same(options.yes, '--yes')
      const plan = await stage.planReplacement(found, allowed, signal)
      if (options.plan === true) {
        renderer.result(plan, linesOf(plan).join('\n'))
        if (plan.refusals.length > 0) process.exitCode = foundExitCode
        return
      }
      refuse(plan, { forced, given })
      for (const message of linesOf(plan)) renderer.event({ code: 'notice', message })
      if (plan.discards && !meant)
        await askForName(`This gives up the machine of ${found.name}, with all that is on its own disk.`, found.shortName, {
          unasked: `host replace gives up the machine of ${found.name}, with all that is on its own disk`,
          hint: `add --yes ${found.shortName} to mean it`,
          refused: 'nothing was done',
          signal,
        })
      else if (!meant) await askToGoOn(`Replace ${found.shortName}?`, 'nothing was done', signal)
      await stage.replaceHost(found, { allowed, forced, wait: false, given }, signal)
      renderer.result({ replaced: found.name }, `${found.name} is replaced: ready, filled, and as the inventory says`)
    })
}

function linesOf({ host, begun, verdict, refusals, steps }: ReplacementPlan): readonly string[] {
  return [
    ...(begun === undefined ? [] : [`the replacement of ${host} was begun at ${begun.since}: it goes on`]),
    ...steps.map((step) => `→ ${step}`),
    ...(begun?.machineGone === true ? [] : verdictLines(verdict).map((line) => `  ${line}`)),
    ...refusals.map((line) => pc.red(line)),
  ]
}
