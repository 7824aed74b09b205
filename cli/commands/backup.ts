/** `hivecoord backup …`: what the repository server keeps of the services' data. */
import type { Command } from 'commander'
import pc from 'picocolors'
import { type BackupEvent, BackupEvent_Kind as Kind, type ListBackupsResponse, type StoredBackup } from '#gen/hive/v1/backup.ts'
import type { AgentClient } from '../../coordinator/client/agent-client.ts'
import { answering } from '../../coordinator/client/site-agents.ts'
import type { Stage } from '../../coordinator/index.ts'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { bytes, eventJson, showBackupEvents } from '../render/backup-events.ts'
import { columns } from '../render/format.ts'
import { registerBackupExport } from './backup-export.ts'
import { registerBackupRestore } from './backup-restore.ts'

export function registerBackup(program: Command, app: () => App): void {
  const backup = program.command('backup').description('backups of the services’ data on the repository server')
  backup
    .command('run')
    .description('back up now; it goes on when this command is interrupted')
    .argument('[names...]', 'services or backups, else all')
    .action(async (names: string[]) => {
      const { client } = await repository(app())
      await follow(app(), client.backupStore.run({ names }, { signal: app().signal }), 'backed up')
    })
  backup
    .command('list')
    .description('what there is of each, when it last succeeded, and when a drill last restored it')
    .option('--files', 'all files, not the latest only')
    .action(async ({ files = false }: { files?: boolean }) => {
      const { client } = await repository(app())
      const list = await client.backupStore.list({}, { signal: app().signal })
      app().renderer.result(listJson(list), files ? filesTable(list) : backupsTable(list))
    })
  backup
    .command('verify')
    .description('read files from end to end: size, checksum, and that archives and dumps are whole')
    .argument('[names...]', 'services or backups, else all')
    .option('--file <file>', 'this file; else the latest of each')
    .option('--all-files', 'every file')
    .action(async (names: string[], { file = '', allFiles = false }: { file?: string; allFiles?: boolean }) => {
      if (file !== '' && names.length !== 1)
        throw new HiveError('invalid-input', '--file belongs to one backup', { hint: 'name it: hivecoord backup verify NAME --file FILE' })
      const { client } = await repository(app())
      await follow(app(), client.backupStore.verify({ names, file, allFiles }, { signal: app().signal }), 'verified')
    })
  backup
    .command('drill')
    .description('restore the latest into throw-away containers and volumes, and keep the date as proven')
    .argument('[names...]', 'services or backups, else all')
    .action(async (names: string[]) => {
      const { client } = await repository(app())
      await follow(app(), client.backupStore.drill({ names }, { signal: app().signal }), 'proven')
    })
  registerBackupRestore(backup, app)
  registerBackupExport(backup, app)
}

/** The agent of the repository server. Throws HiveError 'unreachable'. */
export async function repository({ open, signal }: App): Promise<{ readonly stage: Stage; readonly client: AgentClient }> {
  const stage = await open()
  const host = stage.site.hosts.find(({ isRepository }) => isRepository)
  if (host === undefined) throw new HiveError('not-found', `stage ${stage.site.stage} has no repository server`)
  const client = await answering(stage.agents, host.name, signal)
  return { stage, client }
}

/** Shows what happens; exit code 1 where something failed. */
async function follow({ renderer, options }: App, events: AsyncIterable<BackupEvent>, done: string): Promise<void> {
  const ends = await showBackupEvents(events, options)
  const failed = ends.filter(({ kind }) => kind === Kind.FAILED)
  if (failed.length > 0) process.exitCode = 1
  const good = ends.length - failed.length
  renderer.result(ends.map(eventJson), `${good} ${done}${failed.length === 0 ? '' : `, ${pc.red(`${failed.length} failed`)}`}`)
}

/** "2026-11-26 01:00" by this machine's clock. */
export const moment = (at: Date | undefined): string => (at === undefined ? '–' : `${at.toLocaleDateString('sv')} ${at.toLocaleTimeString('sv').slice(0, 5)}`)

export function backupsTable({ backups, folder, next, doing, offsite }: ListBackupsResponse): string {
  const rows = backups.map((backup) => {
    const latest = backup.files.find((file) => file.latest)
    const state = stateOf(backup)
    return [
      backup.name,
      backup.service === '' ? pc.dim('(repository server)') : backup.service,
      moment(backup.record?.lastSuccess ?? latest?.at),
      backup.noFile ? '' : latest === undefined ? 'no file' : bytes(latest.size),
      backup.noFile ? '' : String(backup.files.length),
      backup.noFile ? '' : moment(backup.record?.proven),
      state,
    ]
  })
  const table = columns([['NAME', 'SERVICE', 'LAST', 'SIZE', 'FILES', 'PROVEN', ''].map((head) => pc.dim(head)), ...rows])
  const copies =
    offsite === undefined
      ? []
      : [
          `copy elsewhere: ${moment(offsite.lastSuccess)}${offsite.lastFailure === undefined ? '' : pc.red(`, failed ${moment(offsite.lastFailure)}: ${offsite.reason}`)}`,
        ]
  return [table, '', `in ${folder} of the repository server; next run ${moment(next)}`, ...copies, ...(doing === '' ? [] : [`now: ${doing}`])].join('\n')
}

const stateOf = ({ record }: StoredBackup): string =>
  record?.lastFailure !== undefined ? pc.red(`failed ${moment(record.lastFailure)}: ${record.reason}`) : record === undefined ? pc.yellow('not made yet') : ''

export function filesTable({ backups }: ListBackupsResponse): string {
  const rows = backups.flatMap(({ files }) =>
    files.map((file) => [
      file.file,
      moment(file.at),
      bytes(file.size),
      moment(file.proven),
      file.latest ? 'latest' : file.sha256 === '' ? pc.dim('no manifest') : '',
    ]),
  )
  return rows.length === 0 ? 'no files' : columns([['FILE', 'AT', 'SIZE', 'PROVEN', ''].map((head) => pc.dim(head)), ...rows])
}

/** Sizes as numbers, so that they fit into JSON. */
export function listJson({ backups, offsite, ...rest }: ListBackupsResponse) {
  const record = (of: StoredBackup['record']) => (of === undefined ? undefined : { ...of, size: Number(of.size) })
  return {
    ...rest,
    offsite: record(offsite),
    backups: backups.map((backup) => ({ ...backup, record: record(backup.record), files: backup.files.map((file) => ({ ...file, size: Number(file.size) })) })),
  }
}
