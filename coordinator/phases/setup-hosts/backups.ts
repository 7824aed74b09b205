/** Backups: what each agent is told, and the program that makes copies elsewhere. */
import type { Step } from '#gen/hive/v1/step.ts'
import type { Host, Site } from '../../inventory/site.ts'
import { backupsStep, takesPartInBackups } from '../backups.ts'
import { hostStep, idOf, phase, when } from './host-step.ts'

/** After the users: the folder is the administrator's. */
export const backups = async (site: Site, host: Host): Promise<readonly Step[]> => [
  ...when(host.isRepository && site.backups.restic !== undefined, restic(host)),
  ...(takesPartInBackups(host) ? [await backupsStep(phase, site, host, { needs: [idOf('users', host), idOf('restic', host)] })] : []),
  ...when(host.isRepository && site.backups.restic !== undefined, copiesBack(host)),
]

/** Before anything that a restored backup would replace is written to, and before the first backup is due. */
const copiesBack = (host: Host): Step =>
  hostStep(
    host,
    'backup-files',
    'backups of a former server, from the copies elsewhere',
    'ensureBackupFiles',
    {},
    { after: ['backups'], timeoutSeconds: 12 * 3600 },
  )

const restic = (host: Host): Step =>
  hostStep(
    host,
    'restic',
    'restic, for copies of backups',
    'ensurePackages',
    { apt: ['restic'], dnf: ['restic'], absent: [], hold: [] },
    { after: ['package-sources', 'packages'], timeoutSeconds: 1800 },
  )
