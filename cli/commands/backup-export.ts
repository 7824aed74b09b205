/** `hivecoord backup export`: the latest files onto this machine. */
import { createHash } from 'node:crypto'
import { link, mkdir, open, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import type { Command } from 'commander'
import type { StoredFile } from '#gen/hive/v1/backup.ts'
import type { AgentClient } from '../../coordinator/client/agent-client.ts'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { bytes } from '../render/backup-events.ts'
import { repository } from './backup.ts'

export function registerBackupExport(backup: Command, app: () => App): void {
  backup
    .command('export')
    .description('copy the latest files of the repository server to this machine')
    .argument('[names...]', 'services or backups, else all')
    .option('--to <folder>', 'where they are put', '.')
    .action(async (names: string[], { to }: { to: string }) => {
      const { signal, renderer } = app()
      const { client } = await repository(app())
      const { backups } = await client.backupStore.list({}, { signal })
      const unknown = names.filter((name) => !backups.some((one) => one.name === name || (one.service !== '' && one.service === name)))
      if (unknown.length > 0)
        throw new HiveError('not-found', `no backup belongs to ${unknown.join(', ')}`, { hint: `there are ${backups.map((one) => one.name).join(', ')}` })
      const wanted = backups.filter((one) => !one.noFile && (names.length === 0 || names.includes(one.name) || names.includes(one.service)))
      await mkdir(to, { recursive: true })
      const files: { name: string; file: string; size: number }[] = []
      for (const { name, files: there } of wanted) {
        if (!there.some(({ latest }) => latest)) {
          renderer.event({ code: 'warning', message: `${name} has no latest file` })
          process.exitCode = 1
          continue
        }
        const { file, size } = await fetchFile(client, name, to, signal)
        renderer.event({ code: 'notice', message: `${file} (${bytes(size)})` })
        files.push({ name, file: path.join(to, file), size: Number(size) })
      }
      renderer.result(files, `${files.length} ${files.length === 1 ? 'file' : 'files'} in ${to}`)
    })
}

/** Whole and under its name, or not at all; a file of this name that is there stays. */
async function fetchFile(client: AgentClient, name: string, to: string, signal: AbortSignal): Promise<StoredFile> {
  const part = path.join(to, `.backup-${name}.${process.pid}.part`)
  const target = await open(part, 'w', 0o600)
  const hash = createHash('sha256')
  let facts: StoredFile | undefined
  let whole = false
  let size = 0n
  try {
    for await (const { output } of client.backupStore.export({ name, file: '' }, { signal })) {
      if (output?.$case === 'file') facts = output.value
      if (output?.$case === 'end') whole = true
      if (output?.$case !== 'chunk') continue
      hash.update(output.value)
      size += BigInt(output.value.length)
      await target.writeFile(output.value)
    }
    if (facts === undefined || !whole || size !== facts.size || (facts.sha256 !== '' && hash.digest('hex') !== facts.sha256))
      throw new HiveError('command-failed', `${facts?.file ?? name} did not arrive whole`, {
        hint: 'hivecoord backup verify tells whether it is whole on the repository server',
      })
    await target.sync()
    await target.close()
    await putInPlace(part, path.join(to, facts.file))
    return facts
  } catch (error) {
    await target.close().catch(() => undefined)
    await rm(part, { force: true })
    throw error
  }
}

async function putInPlace(part: string, file: string): Promise<void> {
  try {
    await link(part, file)
    await rm(part)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') throw new HiveError('conflict', `${file} is there already`, { hint: 'it stays; export into another folder' })
    // A file system without hard links.
    await rename(part, file)
  }
}
