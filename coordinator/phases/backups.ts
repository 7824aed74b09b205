/**
 * What each host's agent is told of backups. Hive hosts get the scripts of all services, which may come to run there; the repository server
 * gets when, whereto and of what, and no commands but its own. setup-hosts and deploy-services make the same step, so that changed scripts
 * need deploy-services only.
 */
import type { Step } from '#gen/hive/v1/step.ts'
import type { BackupSchedule, BackupScript, BackupTarget, EnsureBackups } from '#gen/hive/v1/steps_backup.ts'
import type { Host, BackupScript as ScriptOfService, Service, Site } from '../inventory/site.ts'
import { type OwnBackup, ownBackups } from './backups/own-backups.ts'
import { type StepOptions, step } from './phase.ts'

/** Whether the agent of this host has to know anything of backups. */
export const takesPartInBackups = (host: Host): boolean => host.isHive || host.isRepository

export async function backupsStep(phase: 'setup-hosts' | 'deploy-services', site: Site, host: Host, options: StepOptions = {}): Promise<Step> {
  const title = host.isRepository ? `backups at ${site.backups.at}` : 'backups of services'
  return step(phase, 'backups', host.name, title, 'ensureBackups', await backupsOf(site, host), options)
}

export async function backupsOf(site: Site, host: Host): Promise<EnsureBackups> {
  const repository = site.hosts.find(({ isRepository }) => isRepository)
  const own = host.isRepository ? await ownBackups(site) : []
  const ofServices = host.isHive ? servicesOf(site).flatMap((service) => service.backupScripts.map((script) => toScript(service, script))) : []
  return {
    repository: repository?.name ?? '',
    scripts: [...ofServices, ...own.map(({ script }) => script)],
    ...(host.isRepository ? { schedule: scheduleOf(site, host, own) } : {}),
  }
}

/** As hive-builder goes through them. */
const servicesOf = ({ services, stage }: Site): readonly Service[] =>
  services.filter(({ stages }) => stages.includes(stage)).sort((a, b) => (a.name < b.name ? -1 : 1))

const toScript = (service: Service, script: ScriptOfService): BackupScript => ({
  service: service.name,
  name: script.name,
  directory: script.directory ?? '',
  backupCommand: script.backupCommand ?? '',
  backupFile: script.backupFile ?? '',
  restoreCommand: script.restoreCommand ?? '',
  restoreFile: script.restoreFile ?? '',
  batchScripts: [...script.batchScripts],
  drillCommand: script.drillCommand ?? '',
  standalone: service.standalone,
  container: '',
  onHost: false,
  stopUnits: [],
  stopContainers: [],
  packed: false,
})

function scheduleOf(site: Site, host: Host, own: readonly OwnBackup[]): BackupSchedule {
  const { at, restic } = site.backups
  const { admin, adminGroup } = host.settings
  const home = admin === 'root' ? '/root' : `/home/${admin}`
  const ofServices = servicesOf(site).flatMap((service) =>
    service.backupScripts.map(
      ({ name, ext, cleanupDaysBefore, directory, backupCommand }): BackupTarget => ({
        name,
        service: service.name,
        ext,
        cleanupDaysBefore,
        noFile: directory === undefined && backupCommand === undefined,
      }),
    ),
  )
  return {
    at,
    folder: `${home}/backup`,
    owner: admin,
    group: admin === 'root' ? 'root' : adminGroup,
    hosts: site.hosts.filter(({ isHive }) => isHive).map(({ name, address, settings }) => ({ name, address, port: settings.agentPort })),
    targets: [...own.map(({ target }) => target), ...ofServices],
    offsite: restic === undefined ? undefined : { ...restic, environment: { ...restic.environment }, keep: { ...restic.keep } },
  }
}
