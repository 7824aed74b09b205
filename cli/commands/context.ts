/** `hivecoord context`: handing a stage's keys and allocations on, and keeping them to oneself for a while. */
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { exportContext, importContext } from '../../coordinator/context/share.ts'
import { releaseTeamLock, takeTeamLock, teamLockOf } from '../../coordinator/context/team-lock.ts'
import { contextDirOf, loadSettings } from '../../coordinator/inventory/settings.ts'
import { writeFileAtomic } from '../../coordinator/run/atomic-file.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { passphrase } from './passphrase.ts'

/** Without the inventory, which may need what is imported. */
function placeOf({ options }: App) {
  const { stage } = loadSettings(options.root, options.stage)
  return { root: options.root, stage, contextDir: options.contextDir === undefined ? contextDirOf(options.root, stage) : resolve(options.contextDir) }
}

export function registerContext(program: Command, app: () => App): void {
  const context = program.command('context').description("a stage's keys, CA and allocations: share them with a team, or keep them to yourself")
  context
    .command('export')
    .description("write the stage's context into one encrypted file")
    .argument('<file>')
    .option('--passphrase-file <file>', 'else HIVE_CONTEXT_PASSPHRASE, else it is asked for')
    .action(async (file: string, options: { passphraseFile?: string }) => {
      const given = app()
      const path = resolve(file)
      if (existsSync(path)) throw new HiveError('conflict', `${path} is there already`, { hint: 'name another file, or remove it' })
      const place = placeOf(given)
      const sealed = await exportContext(place, () => passphrase({ file: options.passphraseFile, twice: true, signal: given.signal }), new Date())
      writeFileAtomic(path, sealed)
      given.renderer.result({ file: path, stage: place.stage, bytes: sealed.length }, `${path}: the context of stage ${place.stage}, encrypted`)
    })
  context
    .command('import')
    .description('take the context of a stage from such a file')
    .argument('<file>')
    .option('--passphrase-file <file>', 'else HIVE_CONTEXT_PASSPHRASE, else it is asked for')
    .option('--overwrite <stage>', 'the stage once more, where it has a context already; the present one is kept beside it')
    .action(async (file: string, options: { passphraseFile?: string; overwrite?: string }) => {
      const given = app()
      const place = placeOf(given)
      const ask = () => passphrase({ file: options.passphraseFile, twice: false, signal: given.signal })
      const { about, before } = await importContext(place, contentOf(file), ask, { overwrite: options.overwrite, now: new Date() })
      given.renderer.result(
        { stage: place.stage, contextDir: place.contextDir, exported: about, before },
        `${place.contextDir}: the context of stage ${place.stage} as ${about.by} exported it at ${about.at}${before === undefined ? '' : `; what was there before is in ${before}`}`,
      )
    })
  context
    .command('lock')
    .description('keep the stage to yourself: nobody else who works in this context folder changes anything meanwhile')
    .option('--reason <text>', 'why, for those who are refused', '')
    .action((options: { reason: string }) => {
      const given = app()
      const lock = takeTeamLock(placeOf(given).contextDir, options.reason, new Date())
      given.renderer.result(lock, `kept by ${lock.by}`)
    })
  context
    .command('unlock')
    .description('let others work again')
    .option('--force <who>', 'although somebody else keeps it: who that is, USER@MACHINE')
    .action((options: { force?: string }) => {
      const given = app()
      const lock = releaseTeamLock(placeOf(given).contextDir, options.force)
      given.renderer.result({ was: lock }, lock === undefined ? 'nobody kept it' : `no longer kept by ${lock.by}`)
    })
  context
    .command('show')
    .description('show where the context folder is, and who keeps it')
    .action(() => {
      const given = app()
      const place = placeOf(given)
      const lock = teamLockOf(place.contextDir)
      const kept = lock === undefined ? 'nobody keeps it' : `kept by ${lock.by} since ${lock.since}${lock.reason === '' ? '' : `: ${lock.reason}`}`
      given.renderer.result({ ...place, lock }, `${place.contextDir}, stage ${place.stage}: ${kept}`)
    })
}

function contentOf(file: string): Buffer {
  try {
    return readFileSync(resolve(file))
  } catch (cause) {
    throw new HiveError('invalid-input', `${file} can't be read: ${messageOf(cause)}`, { cause })
  }
}
