/**
 * `hivecoord backup restore NAME`: the file is read whole, the host where the service runs is asked for leave, then the repository server
 * sends the file there.
 */
import { createReadStream, statSync } from 'node:fs'
import path from 'node:path'
import type { Command } from 'commander'
import { type ImportBackupInput, BackupEvent_Kind as Kind, type StoredBackup, type StoredFile } from '#gen/hive/v1/backup.ts'
import type { AgentClient } from '../../coordinator/client/agent-client.ts'
import { answering } from '../../coordinator/client/site-agents.ts'
import type { Stage } from '../../coordinator/index.ts'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { bytes, showBackupEvents } from '../render/backup-events.ts'
import { shortHost } from '../render/format.ts'
import { askForName } from './ask.ts'
import { repository } from './backup.ts'

interface RestoreOptions {
  readonly from?: string
  readonly confirm?: string
}

const chunkSize = 1024 * 1024

export function registerBackupRestore(backup: Command, app: () => App): void {
  backup
    .command('restore')
    .description('put a backup back into its service; what the service holds is replaced')
    .argument('<name>', 'the backup, or a service that has one')
    .option('--from <file>', 'a file of backup list --files, or one on this machine; else the latest')
    .option('--confirm <service>', 'the service’s name: do it without being asked')
    .action((name: string, options: RestoreOptions) => restore(app(), name, options))
}

async function restore(app: App, name: string, { from = '', confirm }: RestoreOptions): Promise<void> {
  const { signal, renderer, options } = app
  const { stage, client } = await repository(app)
  const target = await findBackup(client, name, signal)
  const holder = target.service === '' ? target.name : target.service
  if (confirm !== undefined && confirm !== holder)
    throw new HiveError('invalid-input', `${target.name} is restored into ${holder}, not into ${confirm}`, { hint: `--confirm ${holder}` })
  const file = await fileToRestore(app, client, target, from)
  const wholeFile = await checked(app, client, target, file)
  // Looked for before it is asked: where the service does not run nothing can be restored.
  const host = target.service === '' ? undefined : await hostOf(stage, target, signal)
  if (confirm === undefined)
    await askForName(`What ${holder} holds is replaced by ${wholeFile.file} (${bytes(wholeFile.size)}).`, holder, {
      unasked: `a restore replaces what ${holder} holds`,
      hint: `add --confirm ${holder} to mean it`,
      refused: 'nothing was restored',
      signal,
    })
  const ticket = host === undefined ? '' : await leaveOf(stage, host, target, wholeFile.sha256, signal)
  const request = { name: target.name, file: wholeFile.file, sha256: wholeFile.sha256, confirm: holder, host: host ?? '', ticket }
  await showBackupEvents(client.backupStore.restore(request, { signal }), options)
  renderer.result(
    { name: target.name, service: holder, file: wholeFile.file, host },
    `restored ${holder} from ${wholeFile.file}${host === undefined ? '' : ` on ${shortHost(host)}`}`,
  )
}

export async function findBackup(client: AgentClient, name: string, signal: AbortSignal): Promise<StoredBackup> {
  const { backups } = await client.backupStore.list({}, { signal })
  const exact = backups.find((one) => one.name === name)
  const found = exact === undefined ? backups.filter((one) => one.service === name && !one.noFile) : [exact]
  const [only] = found
  if (only === undefined) throw new HiveError('not-found', `no backup belongs to ${name}`, { hint: `there are ${backups.map((one) => one.name).join(', ')}` })
  if (found.length > 1) throw new HiveError('invalid-input', `${name} has several backups`, { hint: `name one: ${found.map((one) => one.name).join(', ')}` })
  return only
}

/** A file of this machine is sent there first. */
async function fileToRestore({ signal }: App, client: AgentClient, target: StoredBackup, from: string): Promise<string> {
  if (from === '' || target.files.some(({ file }) => file === from)) return from
  const local = statSync(from, { throwIfNoEntry: false })
  if (local?.isFile() !== true)
    throw new HiveError('not-found', `${from} is neither a file of ${target.name} on the repository server nor one on this machine`, {
      hint: 'hivecoord backup list --files shows those there',
    })
  const { file } = await client.backupStore.import(importMessages(from, target.name, local.mtime), { signal })
  if (file === undefined) throw new HiveError('internal', 'the repository server did not say what it took')
  return file.file
}

async function* importMessages(file: string, name: string, at: Date): AsyncGenerator<ImportBackupInput> {
  yield { input: { $case: 'start', value: { name, file: path.basename(file), at } } }
  for await (const chunk of createReadStream(file, { highWaterMark: chunkSize })) yield { input: { $case: 'chunk', value: chunk as Buffer } }
  yield { input: { $case: 'end', value: true } }
}

async function checked(
  { signal, options }: App,
  client: AgentClient,
  target: StoredBackup,
  file: string,
): Promise<Pick<StoredFile, 'file' | 'size' | 'sha256'>> {
  const ends = await showBackupEvents(client.backupStore.verify({ names: [target.name], file, allFiles: false }, { signal }), options)
  const failed = ends.find(({ kind }) => kind === Kind.FAILED)
  if (failed !== undefined) throw new HiveError('blocked', `nothing was restored: ${failed.text}`, { hint: 'hivecoord backup list --files shows older ones' })
  const good = ends.find(({ kind }) => kind === Kind.DONE)
  if (good === undefined) throw new HiveError('not-found', `${target.name} has no file that could be restored`)
  return good
}

/** Where the service runs now, as its host says. */
async function hostOf({ site, agents }: Stage, { service, name }: StoredBackup, signal: AbortSignal): Promise<string> {
  const hives = site.hosts.filter(({ isHive }) => isHive).map((host) => host.name)
  const asked = await agents.askAll(hives, ({ backup }) => backup.offers({}, { signal }), signal)
  const found = [...asked]
    .flatMap(([host, given]) => ('answer' in given ? given.answer.offers.map((offer) => ({ host, ...offer })) : []))
    .filter((offer) => offer.service === service && offer.script === name)
    .sort((a, b) => a.slot - b.slot)[0]
  if (found !== undefined) return found.host
  const silent = [...asked].filter(([, given]) => 'error' in given).map(([host]) => shortHost(host))
  throw new HiveError('not-found', `${service} runs on no host that answers, so there is nothing to restore into`, {
    hint: silent.length === 0 ? 'hivecoord status shows what runs' : `${silent.join(', ')} did not answer`,
  })
}

async function leaveOf({ agents }: Stage, host: string, { service, name }: StoredBackup, sha256: string, signal: AbortSignal): Promise<string> {
  const client = await answering(agents, host, signal)
  const { ticket } = await client.backup.allowRestore({ service, script: name, sha256, confirm: service }, { signal })
  return ticket
}
