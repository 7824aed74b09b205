/** `hivecoord cp SOURCE DESTINATION`: files of a service's container, from and to this machine. */
import { existsSync, lstatSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Command } from 'commander'
import tar from 'tar-fs'
import type { WriteFilesRequest } from '#gen/hive/v1/docker.ts'
import type { AgentClient } from '../../coordinator/client/agent-client.ts'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { type Copy, lastPart, parseCopy, parted, renamed } from './copy-paths.ts'
import { runningTask } from './find-container.ts'
import { positive } from './numbers.ts'

interface CopyOptions {
  readonly number: number
  readonly archive?: boolean
  readonly followLink?: boolean
}

/** As tar-stream has them; the types of tar-fs know less. */
type LinkHeaders = tar.Headers & { readonly linkname?: string | null }

interface Container {
  readonly client: AgentClient
  readonly id: string
  readonly signal: AbortSignal
}

/** As docker: so much of a link to a link to a link is followed. */
const mostLinks = 10

export function registerCopy(program: Command, app: () => App): void {
  program
    .command('cp')
    .description('copy a file or folder out of the container of a service, or into it; one side is SERVICE:PATH')
    .argument('<source>', 'a path here, SERVICE:PATH, or - for a tar archive from standard input')
    .argument('<destination>', 'SERVICE:PATH, a path here, or - for a tar archive to standard output')
    .option('-n, --number <n>', 'which running task, 1 is the first', positive, 1)
    .option('-a, --archive', 'keep the ids of users and groups')
    .option('-L, --follow-link', 'copy what the source, a symbolic link, leads to')
    .action(async (source: string, destination: string, options: CopyOptions) => {
      const { open, signal, renderer } = app()
      const copy = parseCopy(source, destination)
      const stage = await open()
      const task = await runningTask(stage, copy.service, options.number, signal)
      const container = { client: await stage.agents.client(task.host), id: task.containerId, signal }
      await (copy.direction === 'out' ? copyOut(copy, container, options) : copyIn(copy, container, options))
      if (copy.to !== '-') renderer.result({ source, destination, host: task.host }, '')
    })
}

const stat = ({ client, id, signal }: Container, path: string) => client.container.statFile({ container: id, path }, { signal })

async function copyOut({ service, from, to }: Copy, container: Container, { archive = false, followLink = false }: CopyOptions): Promise<void> {
  let path = from
  let file = await stat(container, path)
  for (let links = 0; followLink && file.linkTarget !== '' && links < mostLinks; links += 1) {
    path = file.linkTarget
    file = await stat(container, path)
  }
  if (!file.exists) throw new HiveError('not-found', `${service} has no file ${from}`)
  const chunks = container.client.container.readFiles({ container: container.id, path }, { signal: container.signal })
  const archived = Readable.from(bytesOf(chunks), { objectMode: false })
  if (to === '-') return pipeline(archived, process.stdout, { end: false })
  const place = localPlace(to, lastPart(from), file.folder)
  const names = (header: LinkHeaders): tar.Headers => {
    const name = renamed(header.name, place.name)
    // A hard link names a file of the same archive.
    return header.linkname && header.type === 'link'
      ? ({ ...header, name, linkname: renamed(header.linkname, place.name) } as tar.Headers)
      : { ...header, name }
  }
  // Links may lead anywhere, as in the container; nothing is written through them.
  const unpacked = tar.extract(place.folder, { map: names, chown: archive, validateSymlinks: false } as tar.ExtractOptions)
  await pipeline(archived, unpacked)
}

async function* bytesOf(chunks: AsyncIterable<{ readonly archive: Uint8Array }>): AsyncGenerator<Uint8Array> {
  for await (const { archive } of chunks) yield archive
}

/** Where here, and under which name; '' for what is in the folder. Throws HiveError 'not-found', 'conflict'. */
function localPlace(to: string, name: string, isFolder: boolean): { readonly folder: string; readonly name: string } {
  const here = statSync(to, { throwIfNoEntry: false })
  if (here?.isDirectory() === true) return { folder: to, name }
  if (here !== undefined && isFolder) throw new HiveError('conflict', `${to} is a file here, and a folder comes`)
  const { folder, name: own } = parted(to)
  if (!existsSync(folder)) throw new HiveError('not-found', `there is no folder ${folder} here`)
  if (to.endsWith('/') && !isFolder) throw new HiveError('not-found', `there is no folder ${to} here`)
  return { folder, name: own }
}

async function copyIn({ service, from, to }: Copy, container: Container, { archive = false, followLink = false }: CopyOptions): Promise<void> {
  let target = await stat(container, to)
  let path = to
  if (target.exists && target.linkTarget !== '') {
    path = target.linkTarget
    target = await stat(container, path)
  }
  if (from === '-') {
    if (!target.folder) throw new HiveError('not-found', `${service} has no folder ${to}`)
    return send(container, path, archive, process.stdin)
  }
  const entry = lstatSync(from, { throwIfNoEntry: false })
  if (entry === undefined) throw new HiveError('not-found', `there is no file ${from} here`)
  const source = followLink && entry.isSymbolicLink() ? realpathSync(from) : from
  const isFolder = statSync(source, { throwIfNoEntry: false })?.isDirectory() === true && (followLink || !entry.isSymbolicLink())
  if (target.exists && !target.folder && isFolder) throw new HiveError('conflict', `${to} is a file in ${service}, and a folder comes`)
  const place = target.folder ? { folder: path, name: lastPart(from) } : parted(path)
  if (!target.folder && !(await stat(container, place.folder)).folder) throw new HiveError('not-found', `${service} has no folder ${place.folder}`)
  if (!target.exists && to.endsWith('/') && !isFolder) throw new HiveError('not-found', `${service} has no folder ${to}`)
  const absolute = resolve(source)
  const packed = tar.pack(dirname(absolute), { entries: [basename(absolute)], map: (header) => ({ ...header, name: renamed(header.name, place.name) || '.' }) })
  await send(container, place.folder, archive, packed as unknown as Readable)
}

async function send({ client, id, signal }: Container, folder: string, keepOwners: boolean, archived: Readable): Promise<void> {
  await client.container.writeFiles(messages({ container: id, folder, keepOwners }, archived), { signal })
}

async function* messages(start: { container: string; folder: string; keepOwners: boolean }, archived: Readable): AsyncGenerator<WriteFilesRequest> {
  yield { input: { $case: 'start', value: start } }
  for await (const chunk of archived) yield { input: { $case: 'archive', value: Buffer.from(chunk as Uint8Array) } }
}
