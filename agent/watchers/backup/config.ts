/** What the agent was told of backups: /etc/hive-agent/backup.json. */
import { readFile } from 'node:fs/promises'
import { EnsureBackups } from '#gen/hive/v1/steps_backup.ts'
import { HiveError } from '../../../proto/errors.ts'

export const defaultBackupConfig = '/etc/hive-agent/backup.json'

/** The same bytes for the same content. */
export const renderBackupConfig = (config: EnsureBackups): string => `${JSON.stringify(EnsureBackups.fromPartial(config), undefined, 1)}\n`

/** undefined where the host was told nothing. Throws HiveError 'invalid-input' for a file that is none. */
export async function readBackupConfig(path: string): Promise<EnsureBackups | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new HiveError('invalid-input', `${path} can't be read`, { cause: error })
  }
  try {
    // fromPartial fills in what an older version did not write.
    return EnsureBackups.fromPartial(JSON.parse(text) as Parameters<typeof EnsureBackups.fromPartial>[0])
  } catch (cause) {
    throw new HiveError('invalid-input', `${path} is no configuration of backups`, { cause, hint: 'hivecoord setup-hosts writes it anew' })
  }
}
