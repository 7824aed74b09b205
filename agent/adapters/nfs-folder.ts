/**
 * A folder at the root of an NFS file system, made through a short mount of the agent's own. Mounts outlive whoever made them, so one
 * that was left by a killed run is taken away first.
 */
import { mkdir, readFile, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { NfsFolder } from '#gen/hive/v1/steps_docker.ts'
import { HiveError } from '../../proto/errors.ts'
import { type CommandOptions, run } from './command.ts'
import { assertMayMutate } from './gate.ts'
import { stateFolder } from './state-folder.ts'

/** Milliseconds. mount.nfs itself tries for two minutes, then says why it could not. */
const mountTimeout = 180_000
/** Of one operation on a soft mount, which answers an error long before. */
const workTimeout = 120_000
/** Both ways of unmounting fit into the time that the clean-up of a step has. */
const unmountTimeout = 25_000
/** A new file system's name is known to the resolver only some time after it is made. */
const resolveTimeout = 240_000
const resolvePause = 5_000

/** Where `folder`'s file system is mounted for a moment. */
export const mountPointOf = ({ folder }: Pick<NfsFolder, 'folder'>): string => join(stateFolder(), 'nfs', folder)

/** Throws HiveError 'invalid-input' where the name is a path, so that nothing outside of the file system can be meant. */
export function checkFolderName(folder: string): void {
  if (!/^[A-Za-z0-9][\w.-]*$/.test(folder)) throw new HiveError('invalid-input', `'${folder}' is no name of a folder`)
}

/** Whether something is mounted exactly there, by the text of /proc/self/mountinfo (proc(5): the fifth field, blanks as octal). */
export const isMountedAt = (mountinfo: string, path: string): boolean =>
  mountinfo
    .split('\n')
    .some((line) => line.split(' ')[4]?.replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))) === path)

const isMounted = async (at: string): Promise<boolean> => isMountedAt(await readFile('/proc/self/mountinfo', 'utf8'), at)

/** The name may be known a little later. */
export const isUnresolved = (error: unknown): boolean =>
  error instanceof HiveError && error.log.some((line) => /failed to resolve server|name or service not known|temporary failure in name resolution/i.test(line))

/**
 * The folder is there, empty if it was not, 0755 and root's. Throws HiveError: 'command-failed' with what mount said, 'timeout',
 * 'cancelled'.
 */
export async function makeNfsFolder(spec: NfsFolder, signal: AbortSignal): Promise<void> {
  checkFolderName(spec.folder)
  const at = mountPointOf(spec)
  await unmountNfsFolder(spec)
  assertMayMutate(`make ${at}`)
  await mkdir(at, { recursive: true, mode: 0o700 })
  try {
    await mount(spec, at, signal)
    // A command and not a call of this process: should the server go away, no thread of the agent hangs with it.
    await run(['mkdir', '-p', '-m', '0755', '--', join(at, spec.folder)], { timeout: workTimeout, signal })
  } catch (error) {
    await unmountNfsFolder(spec).catch(() => undefined)
    throw error
  }
  await unmountNfsFolder(spec)
}

/** Also after an interruption; nothing to do is fine. What is on the file system stays. */
export async function unmountNfsFolder(spec: Pick<NfsFolder, 'folder'>): Promise<void> {
  const at = mountPointOf(spec)
  while (await isMounted(at)) {
    // Detached where it is busy or its server is away: the kernel lets go of it when it can. An umount that is stopped while it waits
    // for the server may have done its work all the same.
    await run(['umount', at], { timeout: unmountTimeout }).catch(async () => {
      if (await isMounted(at)) await run(['umount', '-l', at], { timeout: unmountTimeout })
    })
  }
  assertMayMutate(`remove ${at}`)
  await rmdir(at).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
}

async function mount({ server, options }: NfsFolder, at: string, signal: AbortSignal): Promise<void> {
  const end = performance.now() + resolveTimeout
  const settings: CommandOptions = { timeout: mountTimeout, signal }
  for (;;) {
    try {
      await run(['mount', '-t', 'nfs', '-o', options, `${server}:/`, at], settings)
      return
    } catch (error) {
      if (isUnresolved(error) && performance.now() < end) await delay(resolvePause, undefined, { signal }).catch(() => undefined)
      else throw explained(error, server)
    }
  }
}

function explained(error: unknown, server: string): unknown {
  if (!(error instanceof HiveError) || error.code !== 'command-failed') return error
  const text = error.log.join('\n')
  const hint = /unknown filesystem type|helper program|bad option/i.test(text)
    ? 'the NFS client is missing: run the phase setup-hosts'
    : isUnresolved(error)
      ? "the host's resolver does not know the file system: its VPC must resolve names (enableDnsSupport), and its zone have a mount target: run the phase build-infra"
      : "the host must reach TCP port 2049 of the file system's mount target: run the phase build-infra, which sees to its security group"
  return new HiveError(error.code, `the file system ${server} can't be mounted: ${error.message}`, { hint, log: error.log, cause: error })
}
