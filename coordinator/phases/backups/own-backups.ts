/** What the repository server backs up of itself: hive-zabbix, then hive-registry. */
import type { BackupScript, BackupTarget } from '#gen/hive/v1/steps_backup.ts'
import { zabbixDatabaseBackup } from '../../../proto/monitoring/zabbix-database.ts'
import type { Site } from '../../inventory/site.ts'
import { zabbixHere } from '../../zabbix/zabbix-here.ts'

export interface OwnBackup {
  readonly script: BackupScript
  readonly target: BackupTarget
}

/** Where the agent keeps the registry's data, whether a package or a container runs it. */
const registryStorage = '/var/lib/docker-registry'
const defaultDays = 3

const nothing: BackupScript = {
  service: '',
  name: '',
  directory: '',
  backupCommand: '',
  backupFile: '',
  restoreCommand: '',
  restoreFile: '',
  batchScripts: [],
  drillCommand: '',
  standalone: false,
  container: '',
  onHost: false,
  stopUnits: [],
  stopContainers: [],
  packed: false,
}

/** In the order in which hive-builder makes them. */
export const ownBackups = async (site: Site): Promise<readonly OwnBackup[]> => [...((await zabbixHere(site)).runs ? [zabbix(site)] : []), registry(site)]

/** The agent packs it, so that a dump that fails is no short one that gzip has made whole. */
function zabbix(site: Site): OwnBackup {
  const { container, dump, restore, stopped, extension } = zabbixDatabaseBackup(site.zabbix.images.database)
  return {
    script: {
      ...nothing,
      name: 'hive-zabbix',
      container,
      backupCommand: commandOf(dump),
      restoreCommand: commandOf(restore),
      stopContainers: [...stopped],
      packed: true,
    },
    target: {
      name: 'hive-zabbix',
      service: '',
      ext: `${extension}.gz`,
      cleanupDaysBefore: daysOf(site, 'hive_zabbix_backup_cleanup_days_before'),
      noFile: false,
    },
  }
}

/** What `sh -c` is given. */
const commandOf = (argv: readonly string[]): string => argv.at(-1) ?? ''

const registry = (site: Site): OwnBackup => ({
  script: {
    ...nothing,
    name: 'hive-registry',
    directory: registryStorage,
    onHost: true,
    stopUnits: ['docker-registry.service'],
    stopContainers: ['hive-registry'],
  },
  target: { name: 'hive-registry', service: '', ext: 'tar.gz', cleanupDaysBefore: daysOf(site, 'hive_registry_backup_cleanup_days_before'), noFile: false },
})

export function daysOf(site: Site, variable: string): number {
  const repository = site.hosts.find(({ isRepository }) => isRepository)
  const value = repository === undefined ? undefined : site.variable(repository.name, variable)
  return value === undefined || !Number.isInteger(Number(value)) || Number(value) < 0 ? defaultDays : Number(value)
}
