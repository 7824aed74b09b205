/**
 * What was made anew and holds no history yet gets that of the latest backup, before anything writes into it. Where there is history it stays:
 * a restore over it is made by hand.
 */
import type { EnsureHistory } from '#gen/hive/v1/steps_backup.ts'
import { HiveError } from '../../proto/errors.ts'
import { run } from '../adapters/command.ts'
import { defaultBackupConfig, readBackupConfig } from '../watchers/backup/config.ts'
import { loadOwn } from '../watchers/backup/restore-own.ts'
import { BackupFolder } from '../watchers/backup/store.ts'
import { change, type Executor, ok, type StepContext } from './executor.ts'

export const ensureHistory: Executor<EnsureHistory> = {
  exclusive: () => 'backup files',

  async check(spec, { signal }) {
    const found = await latest(spec)
    // Where it cannot be said nothing would be replaced either.
    if (found === undefined || (await holds(spec, signal).catch(unlessAborted(signal)))) return ok
    return change('it was made anew', 'no history', `that of ${found.file}`)
  },

  async apply(spec, context) {
    const found = await latest(spec)
    if (found === undefined || (await holds(spec, context.signal))) return
    const { folder, file, script } = found
    context.log(`reading ${file} from end to end`)
    const { size } = await folder.verify(file, context.signal)
    context.log(`restoring ${file}`)
    await loadOwn({ script, data: folder.open(file, context.signal), size, signal: context.signal, onLine: (line) => context.log(line) }, 0)
  },

  /** A backup of something that held nothing itself leaves nothing to see. */
  verify: async () => ok,
}

const unlessAborted = (signal: AbortSignal) => (): true => {
  signal.throwIfAborted()
  return true
}

async function latest({ backup }: EnsureHistory) {
  const config = await readBackupConfig(defaultBackupConfig)
  const target = config?.schedule?.targets.find(({ name, service }) => name === backup && service === '')
  const script = config?.scripts.find(({ name, service }) => name === backup && service === '')
  if (config?.schedule === undefined || target === undefined || script === undefined) return undefined
  const { folder: path, owner, group } = config.schedule
  const folder = new BackupFolder({ folder: path, owner, group, now: () => new Date() })
  const file = await folder.latest(backup, target.ext)
  return file === undefined ? undefined : { folder, file, script }
}

/** Without tables, without a container and while it starts there is nothing that a restore could replace. */
async function holds({ container, holding, backup }: EnsureHistory, signal: StepContext['signal']): Promise<boolean> {
  const { code, stdout, stderr } = await run(['docker', 'exec', container, ...holding], {
    readOnly: true,
    signal,
    okCodes: Array.from({ length: 256 }, (_, index) => index),
  })
  if (code === 0) return stdout.trim() !== ''
  if (/does not exist|doesn't exist|no such container|is not running/i.test(stderr)) return false
  throw new HiveError('command-failed', `whether there is history that ${backup} would replace cannot be said: ${stderr.trim().split('\n').at(-1) ?? ''}`, {
    hint: `docker logs ${container} on the host`,
  })
}
