/** `hivecoord swarm recover`: a swarm that has lost the majority of its managers for good, made whole from one that is left. */
import type { Command } from 'commander'
import pc from 'picocolors'
import type { Diagnosis } from '../../coordinator/index.ts'
import { titleOf } from '../../coordinator/swarm/recover.ts'
import type { App } from '../app.ts'
import { foundExitCode } from '../exit-codes.ts'
import { askForName } from './ask.ts'
import { findHost } from './find-host.ts'
import { splitNames } from './limit.ts'

interface RecoverOptions {
  readonly from?: string
  readonly gone?: string
  readonly yes?: boolean
}

export function registerSwarm(program: Command, app: () => App): void {
  program
    .command('swarm')
    .description('the swarm of the hosts as a whole')
    .command('recover')
    .description('make the swarm whole where most of its managers are gone for good; without --from it only tells')
    .option('--from <host>', 'the manager that goes on alone: the one with the newest log')
    .option('--gone <hosts>', 'hosts that do not come back, separated by commas')
    .option('-y, --yes', 'do not ask')
    .action(async (options: RecoverOptions) => {
      const { open, renderer, signal } = app()
      const stage = await open()
      const hostNamed = (name: string): string => findHost(stage.site, name).name
      const gone = new Set(splitNames(options.gone).map(hostNamed))
      const from = options.from === undefined ? undefined : findHost(stage.site, options.from)
      const diagnosis = await stage.diagnoseSwarm({ from: from?.name, gone }, signal)
      if (from === undefined) {
        renderer.result(inJson(diagnosis), linesOf(diagnosis).join('\n'))
        if (diagnosis.steps.length > 0 || diagnosis.state !== 'majority') process.exitCode = foundExitCode
        return
      }
      if (diagnosis.refusals.length === 0 && diagnosis.steps.length > 0) {
        for (const message of linesOf(diagnosis)) renderer.event({ code: 'notice', message })
        if (options.yes !== true)
          await askForName('Hosts that are gone must not come back as they were.', from.shortName, {
            unasked: 'swarm recover counts out managers that may hold what others do not',
            hint: 'add --yes to mean it',
            refused: 'nothing was done',
            signal,
          })
      }
      const done = await stage.recoverSwarm({ from: from.name, gone }, signal)
      const left = [...gone].map((name) => `hivecoord host replace ${findHost(stage.site, name).shortName}`)
      renderer.result(
        { done, gone: [...gone] },
        [
          done.length === 0 ? 'nothing was to be recovered' : 'the swarm has a majority',
          ...(left.length === 0 ? [] : [`hosts that are gone are made anew by: ${left.join('; ')}`]),
        ].join('\n'),
      )
    })
}

const inJson = ({ steps, ...rest }: Diagnosis) => ({ ...rest, steps: steps.map((step) => ({ host: step.host, kind: step.kind, title: titleOf(step) })) })

function linesOf({ state, findings, refusals, newest, steps }: Diagnosis): readonly string[] {
  const heads = {
    majority: steps.length === 0 ? pc.green('the swarm has a majority') : pc.yellow('the swarm has a majority, and is not whole'),
    undecided: pc.red('the swarm has no majority now'),
    lost: pc.red('the swarm has lost its majority, and does not get it back by itself'),
  }
  return [
    heads[state],
    ...findings.map((line) => `  ${line}`),
    ...(newest === undefined ? [] : [`${newest} has the newest log`]),
    ...refusals.map((line) => pc.yellow(line)),
    ...(refusals.length > 0 ? [] : steps.map((step) => `→ ${step.host}: ${titleOf(step)}`)),
  ]
}
