import type { EnsureBackups } from '#gen/hive/v1/steps_backup.ts'
import { redact } from '../../proto/redact.ts'
import { readFileState, writeFileAtomic } from '../adapters/files.ts'
import { lineDiff } from '../adapters/line-diff.ts'
import { defaultBackupConfig, readBackupConfig, renderBackupConfig } from '../watchers/backup/config.ts'
import { change, type Executor, ok } from './executor.ts'

const properties = { mode: 0o600, uid: 0, gid: 0 }

/** The watcher reads the file each time that it needs it. */
export const ensureBackups: Executor<EnsureBackups> = {
  exclusive: () => `file:${defaultBackupConfig}`,

  async check(spec) {
    const state = await readFileState(defaultBackupConfig)
    if (state?.content.toString('utf8') === renderBackupConfig(spec)) {
      if (state.mode === properties.mode && state.uid === 0 && state.gid === 0) return ok
      return change(`${defaultBackupConfig} may be read by others`)
    }
    const before = state === undefined ? undefined : await readBackupConfig(defaultBackupConfig).catch(() => undefined)
    const [was, becomes] = [shown(before), shown(spec)]
    const difference = was === becomes ? 'commands or secrets differ' : lineDiff(was, becomes)
    return change(state === undefined ? `${defaultBackupConfig} is not there` : 'what is backed up, or how, differs', '', difference)
  },

  async apply(spec) {
    await writeFileAtomic(defaultBackupConfig, renderBackupConfig(spec), properties)
  },
}

/** Without commands and secrets, which may hold passwords. */
const shown = (config: EnsureBackups | undefined): string =>
  config === undefined
    ? ''
    : `${JSON.stringify(redact('hive.v1.EnsureBackups', config), (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value), 1)}\n`
