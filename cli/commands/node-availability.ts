/** `hivecoord node availability`: whether a swarm node runs tasks. What takes them away is weighed by the guard first. */
import type { Command } from 'commander'
import { answering } from '../../coordinator/client/site-agents.ts'
import { weighLoss } from '../../coordinator/guard/weigh-loss.ts'
import { refused } from '../../coordinator/hosts/ask-guard.ts'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { findHost } from './find-host.ts'
import { allowedServices } from './limit.ts'

interface AvailabilityOptions {
  readonly allow?: string
  readonly force?: string
}

export function registerAvailability(node: Command, app: () => App): void {
  node
    .command('availability')
    .description('let a swarm node run tasks (active), keep what it has (pause), or move them away (drain)')
    .argument('<host>')
    .argument('<node>')
    .argument('<active|pause|drain>')
    .option('--allow <services>', 'with drain: services that may stop meanwhile, separated by commas')
    .option('--force <node>', 'drain in spite of what the guard says: the node once more')
    .action(async (name: string, target: string, availability: string, options: AvailabilityOptions) => {
      const { open, signal, renderer } = app()
      const stage = await open()
      const nameOf = (given: string): string => stage.site.hosts.find((host) => host.name === given || host.shortName === given)?.name ?? given
      if (options.force !== undefined && nameOf(options.force) !== nameOf(target))
        throw new HiveError('invalid-input', `--force names ${options.force}, and not ${target}`)
      if (availability === 'drain' && options.force === undefined) {
        const verdict = weighLoss(await stage.lookAtHosts(signal), { kind: 'tasks', host: nameOf(target) }, allowedServices(stage.site, options.allow))
        if (!verdict.yes) throw refused(verdict, { host: target }, 'draining', false)
      }
      const client = await answering(stage.agents, findHost(stage.site, name).name, signal)
      const done = await client.swarm.setAvailability({ node: target, availability }, { signal })
      renderer.result(done, done.changed ? done.reason : 'no change')
    })
}
