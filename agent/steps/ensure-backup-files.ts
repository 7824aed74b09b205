/** A repository server that was made anew has the backups of the former one, as far as there are copies of them elsewhere. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { EnsureBackupFiles } from '#gen/hive/v1/steps_backup.ts'
import { readFileState, writeFileAtomic } from '../adapters/files.ts'
import { stateFolder } from '../adapters/state-folder.ts'
import { defaultBackupConfig, readBackupConfig } from '../watchers/backup/config.ts'
import { fetchOffsite } from '../watchers/backup/offsite.ts'
import { readRecords } from '../watchers/backup/records.ts'
import { change, type Executor, ok } from './executor.ts'

/** Written when the copies were asked, so that this is done once in a server's life. */
const asked = (): string => join(stateFolder(), 'copies-asked')

export const ensureBackupFiles: Executor<EnsureBackupFiles> = {
  exclusive: () => 'backup files',

  async check() {
    const config = await readBackupConfig(defaultBackupConfig)
    if (config !== undefined && config.schedule?.offsite === undefined) return ok
    if ((await readFileState(asked())) !== undefined || (await hasBackups(config?.schedule?.folder))) return ok
    return change('there are no backups here yet', '', 'those of the copies elsewhere, where there are some')
  },

  async apply(_spec, { signal, log }) {
    const { schedule } = (await readBackupConfig(defaultBackupConfig)) ?? {}
    if (schedule?.offsite === undefined) return
    const found = await fetchOffsite(schedule.offsite, { folder: schedule.folder, signal, onLine: log })
    log(found ? `the backups of the copies elsewhere are in ${schedule.folder}` : 'there are no copies elsewhere yet')
    await writeFileAtomic(asked(), Buffer.from(''), { mode: 0o600, uid: 0, gid: 0 })
  },
}

/** Files, or the memory of having made some. What came half by a call that broke off does not count: only a whole file has a manifest or a link. */
async function hasBackups(folder: string | undefined): Promise<boolean> {
  const files = folder === undefined ? [] : await readdir(folder).catch(() => [])
  const records = await readRecords(join(stateFolder(), 'backups.json'))
  return files.some((name) => name.startsWith('backup-') && name.includes('-latest.')) || Object.keys(records).length > 0
}
