/** `hivecoord volume delete`: the one way by which the data of a mirrored volume is removed. */
import type { Command } from 'commander'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { exitCodeOf } from '../exit-codes.ts'
import { askForName } from './ask.ts'

export function registerVolume(program: Command, app: () => App): void {
  const volume = program.command('volume').description('mirrored volumes of the stage')
  volume
    .command('delete')
    .description('remove a mirrored volume that the inventory has no more, with its data, from all hosts; refused while something uses it')
    .argument('<name>')
    .option('--yes-delete <name>', 'do not ask; the name once more')
    .action(async (name: string, { yesDelete }: { yesDelete?: string }) => {
      const { open, renderer, signal } = app()
      const stage = await open({ writes: true })
      // Before anybody is asked whether to do it.
      stage.checkDeletable(name)
      if (yesDelete === undefined)
        await askForName(`This removes all data of the volume ${name} of ${stage.site.name}, stage ${stage.site.stage}.`, name, {
          unasked: `volume delete removes all data of ${name}`,
          hint: `add --yes-delete ${name} to mean it`,
          refused: 'nothing was deleted',
          signal,
        })
      else if (yesDelete !== name) throw new HiveError('invalid-input', `--yes-delete names ${yesDelete}, not ${name}`)
      const result = await stage.deleteVolume(name)
      if (!result.ok) for (const error of result.errors) renderer.error(error)
      const { ok, unreachable } = result
      const hosts = unreachable.join(', ')
      renderer.result(
        result,
        !ok
          ? ''
          : unreachable.length === 0
            ? `volume ${name} is deleted`
            : `volume ${name} is deleted but on ${hosts}, which did not answer: do it again when they are back`,
      )
      process.exitCode = exitCodeOf(result) ?? process.exitCode
    })
}
