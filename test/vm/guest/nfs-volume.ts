/**
 * In a guest: a server of NFS 4.1 as EFS is one (a root that all may see, no other protocol version), and the agent's own code that makes
 * a volume's folder on it. Writes what it saw as JSON; the test judges it.
 */
import { execFileSync, spawn } from 'node:child_process'
import { appendFileSync, chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { writable } from '../../../agent/adapters/gate.ts'
import { makeNfsFolder, mountPointOf } from '../../../agent/adapters/nfs-folder.ts'
import { folderMountOptions, volumeMountOptions } from '../../../coordinator/phases/efs-mount-options.ts'
import { HiveError } from '../../../proto/errors.ts'

const server = 'fs-1.efs.eu-west-1.amazonaws.com'
const exported = '/srv/efs'
const sh = (...argv: readonly [string, ...string[]]): string => execFileSync(argv[0], argv.slice(1), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
const nfsMounts = (): readonly string[] =>
  readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .filter((line) => / nfs4? /.test(line))
const spec = (folder: string, options = folderMountOptions) => ({ server, folder, options })
const make = (folder: string, options?: string): Promise<void> => writable(() => makeNfsFolder(spec(folder, options), new AbortController().signal))
const left = (folder: string) => ({ mounts: nfsMounts(), mountPoint: existsSync(mountPointOf({ folder })) })

async function startServer(): Promise<void> {
  mkdirSync(exported, { recursive: true })
  chmodSync(exported, 0o755)
  sh('mount', '-t', 'tmpfs', 'efs', exported)
  sh('modprobe', 'nfsd')
  sh('mount', '-t', 'nfsd', 'nfsd', '/proc/fs/nfsd')
  for (const folder of ['/var/lib/nfs', '/var/lib/nfs/v4recovery', '/run/rpc_pipefs']) mkdirSync(folder, { recursive: true })
  for (const table of ['etab', 'rmtab', 'xtab']) writeFileSync(`/var/lib/nfs/${table}`, '')
  // Nobody has locks to reclaim: without this every new file waits for 90 s.
  for (const time of ['nfsv4gracetime', 'nfsv4leasetime']) writeFileSync(`/proc/fs/nfsd/${time}`, '10\n')
  writeFileSync('/etc/exports', `${exported} *(rw,fsid=0,no_root_squash,no_subtree_check,insecure,sec=sys)\n`)
  sh('exportfs', '-ra')
  spawn('rpc.mountd', ['-F', '-N', '3', '-V', '4'], { stdio: ['ignore', 'inherit', 'inherit'], detached: true }).unref()
  sh('rpc.nfsd', '-N', '3', '-V', '4.1', '-U', '4')
}

/** What the docker daemon does for a volume of its local driver: the name resolved, then the bare system call, without mount.nfs. */
function mountVolume(folder: string, at: string): string {
  mkdirSync(at, { recursive: true })
  sh('mount', '-i', '-t', 'nfs', '-o', volumeMountOptions(server).replace(server, '127.0.0.1'), `:/${folder}`, at)
  return nfsMounts().find((line) => line.includes(` ${at} `)) ?? ''
}

const timed = async <T>(work: () => Promise<T>): Promise<{ readonly milliseconds: number; readonly value: T }> => {
  const start = performance.now()
  const value = await work()
  return { value, milliseconds: Math.round(performance.now() - start) }
}

async function main(): Promise<unknown> {
  await startServer()
  // A new file system's name is known only later.
  const early = make('files')
  await wait(2000)
  appendFileSync('/etc/hosts', `127.0.0.1 ${server}\n`)
  const first = await timed(() => early)
  const made = statSync(`${exported}/files`)
  const afterFirst = left('files')

  writeFileSync(`${exported}/files/kept`, 'data')
  chmodSync(`${exported}/files`, 0o750)
  const again = await timed(() => make('files'))
  const mode = statSync(`${exported}/files`).mode & 0o7777

  const volume = mountVolume('files', '/mnt/files')
  const read = readFileSync('/mnt/files/kept', 'utf8')
  writeFileSync('/mnt/files/written', 'by a container')
  const written = readFileSync(`${exported}/files/written`, 'utf8')
  const beside = await timed(() => make('other'))
  sh('umount', '/mnt/files')

  // As a killed run leaves it.
  mkdirSync(mountPointOf({ folder: 'files' }), { recursive: true })
  sh('mount', '-t', 'nfs', '-o', folderMountOptions, `${server}:/`, mountPointOf({ folder: 'files' }))
  const stale = nfsMounts()
  await make('files')
  const afterStale = left('files')

  let missing = ''
  try {
    mountVolume('never-made', '/mnt/never')
  } catch (error) {
    missing = String(error)
  }

  mkdirSync(mountPointOf({ folder: 'late' }), { recursive: true })
  sh('mount', '-t', 'nfs', '-o', folderMountOptions, `${server}:/`, mountPointOf({ folder: 'late' }))
  sh('rpc.nfsd', '0')
  const away = await timed(() =>
    make('late', `${folderMountOptions},retry=0`).then(
      () => undefined,
      (error: unknown) =>
        error instanceof HiveError ? { code: error.code, message: error.message, hint: error.hint } : { code: 'not ours', message: String(error) },
    ),
  )
  return {
    first: { ...first, mode: made.mode & 0o7777, owner: made.uid, ...afterFirst },
    again: { ...again, mode },
    volume: { mount: volume, read, written, missing },
    beside,
    stale: { before: stale, ...afterStale },
    away: { ...away, ...left('late') },
    folders: readdirSync(exported).sort(),
  }
}

console.log(JSON.stringify(await main()))
