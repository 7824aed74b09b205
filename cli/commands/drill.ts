/** `hivecoord drill …`: what a site promises, tried out and measured, in private and staging stages. */
import type { Command } from 'commander'
import pc from 'picocolors'
import { type Drilled, planDrill, refuseStage } from '../../coordinator/drill/failover.ts'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { foundExitCode } from '../exit-codes.ts'
import { columns } from '../render/format.ts'
import { askForName } from './ask.ts'
import { verdictText } from './host-text.ts'
import { allowedServices } from './limit.ts'

interface FailoverOptions {
  readonly service?: string
  readonly yes?: boolean
  readonly undo?: boolean
  readonly plan?: boolean
  readonly wait?: boolean
  readonly allow?: string
  readonly http?: string
  readonly drain?: boolean
}

export function registerDrill(program: Command, app: () => App): void {
  const drill = program.command('drill').description('try out what the site promises, and measure it; not in production')
  drill
    .command('failover')
    .description('take the host under a service away, measure until it answers again, and let the host come back')
    .option('--service <service>', 'the service whose host goes')
    .option('-y, --yes', 'do not ask')
    .option('--undo', 'only put back what a drill that was killed took away')
    .option('--plan', 'only tell which host would go, and what the guard says; exit code 4 where that is no')
    .option('--wait', 'wait until it is safe, as long as something moves')
    .option('--allow <services>', 'services that may stop meanwhile, separated by commas')
    .option('--drain', 'drain the host, as for planned work, instead of switching it off')
    .option('--http <path>', 'ask for this page; else it is enough that the published TCP port takes connections')
    .action(async (options: FailoverOptions) => {
      const { open, renderer, signal } = app()
      const stage = await open()
      const { site, powerSwitch } = stage
      refuseStage(site.stage)
      if (options.undo === true) {
        const hosts = await stage.undoDrill(signal)
        renderer.result({ putBack: hosts }, hosts.length === 0 ? 'no drill has left a host away' : `${hosts.join(', ')} is whole again`)
        return
      }
      const { service } = options
      if (service === undefined) throw new HiveError('invalid-input', 'which service? --service names it', { hint: 'hivecoord ps' })
      if (!site.services.some(({ name }) => name === service))
        throw new HiveError('invalid-input', `--service names ${service}, which is no service of stage ${site.stage}`)
      const allowed = allowedServices(site, options.allow)
      if (options.plan === true) {
        const { host, way, verdict } = planDrill(await stage.lookAtHosts(signal), service, options.drain === true ? undefined : powerSwitch, allowed)
        renderer.result({ service, host, way, ...verdict }, verdictText(host, verdict, way === 'power' ? 'switched off' : 'drained'))
        if (!verdict.yes) process.exitCode = foundExitCode
        return
      }
      if (options.yes !== true)
        await askForName(`This takes the host under ${service} away for some minutes.`, service, {
          unasked: `drill failover takes the host under ${service} away`,
          hint: 'add --yes to mean it, --plan to see which host that is',
          refused: 'nothing was taken away',
          signal,
        })
      const drilled = await stage.drillFailover({ service, allowed, wait: options.wait === true, http: options.http, drain: options.drain === true }, signal)
      renderer.result(drilled, drilledText(drilled))
    })
}

const seconds = (milliseconds: number | undefined): string => (milliseconds === undefined ? '–' : `${(milliseconds / 1000).toFixed(1)} s`)

function drilledText({ service, host, way, probe, outage, detected, restarted, whole }: Drilled): string {
  const { longest, together, count, asked } = outage
  return [
    `${service}: ${host} was ${way === 'power' ? 'switched off' : 'drained'} and is back`,
    columns([
      [
        'did not answer',
        pc.bold(seconds(longest)),
        count > 1 ? `the longest of ${count} times, ${seconds(together)} together` : '',
        pc.dim(`asked ${asked} times: ${probe}`),
      ],
      ['missed by the swarm', seconds(detected), '', pc.dim(way === 'power' ? 'after the host went' : 'it was told')],
      ['runs elsewhere', seconds(restarted), '', pc.dim('after the host went')],
      ['whole again', seconds(whole), '', pc.dim('after the host was let come back')],
    ]),
  ].join('\n')
}
