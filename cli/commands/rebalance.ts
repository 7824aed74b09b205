/** `hivecoord rebalance`: services that a failure left crowded on few hosts are spread again. */
import type { Command } from 'commander'
import pc from 'picocolors'
import { decideRebalance, type Rebalancing } from '../../coordinator/rebalance/decide.ts'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { foundExitCode } from '../exit-codes.ts'
import { askToGoOn } from './ask.ts'

export function registerRebalance(program: Command, app: () => App): void {
  program
    .command('rebalance')
    .description('spread services again that a failure left crowded on few hosts, one at a time, each whole before the next')
    .argument('[services...]', 'only these, also where they stop while they move; default: all that need not stop their only task with a volume')
    .option('--plan', `only tell which move and why; exit code ${foundExitCode} where some would`)
    .action(async (services: readonly string[], options: { plan?: boolean }) => {
      const { open, renderer, signal } = app()
      const stage = await open()
      const unknown = services.find((name) => !stage.site.services.some((service) => service.name === name))
      if (unknown !== undefined) throw new HiveError('not-found', `stage ${stage.site.stage} has no service ${unknown}`)
      const named = new Set(services)
      const picture = await stage.lookAtHosts(signal)
      if (picture.nodes === undefined)
        throw new HiveError('blocked', 'no manager of the swarm answers: nothing can be moved', { hint: 'hivecoord doctor tells why' })
      const preview = decideRebalance(picture, named)
      if (options.plan === true) {
        renderer.result(asJson(preview), [...previewLines(preview), ...(preview.moves.length === 0 ? ['nothing to move'] : [])].join('\n'))
        if (preview.moves.length > 0) process.exitCode = foundExitCode
        return
      }
      if (preview.moves.length > 0) {
        for (const message of previewLines(preview)) renderer.event({ code: 'notice', message })
        await askToGoOn(`Move ${preview.moves.map(({ service }) => service).join(', ')}?`, 'nothing was moved', signal)
      }
      const { moved, kept } = await stage.rebalance(named, signal)
      renderer.result(
        { moved: moved.map(({ service, tasks }) => ({ service, tasks: Object.fromEntries(tasks) })), kept },
        [
          ...moved.map(({ service, tasks }) => `${service}: ${places(tasks)}`),
          ...kept.map(({ service, why }) => pc.yellow(`${service} stays: ${why}`)),
          ...(moved.length === 0 ? ['nothing to move'] : []),
        ].join('\n'),
      )
    })
}

const places = (tasks: ReadonlyMap<string, number>): string => [...tasks].map(([node, count]) => (count === 1 ? node : `${node} (${count})`)).join(', ')

const previewLines = ({ moves, kept }: Rebalancing): readonly string[] => [
  ...moves.map(
    ({ service, why, interrupts, now, after }) => `${service} moves from ${places(now)} to ${places(after)}: ${why}${interrupts ? '. It stops meanwhile' : ''}`,
  ),
  ...kept.map(({ service, why }) => `${service} stays: ${why}`),
]

const asJson = ({ moves, kept }: Rebalancing): unknown => ({
  moves: moves.map(({ now, after, ...move }) => ({ ...move, now: Object.fromEntries(now), after: Object.fromEntries(after) })),
  kept,
})
