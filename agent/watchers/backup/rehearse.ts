/**
 * A restore into a container that is made for it: the image, command and environment of the service's own, without a network, with empty
 * volumes, removed with them at the end. The data and the network of the service are out of its reach.
 */
import { statfs } from 'node:fs/promises'
import type { BackupScript } from '#gen/hive/v1/steps_backup.ts'
import { HiveError, messageOf } from '../../../proto/errors.ts'
import { containerLogs } from '../../adapters/docker/logs.ts'
import { waitFor } from '../../adapters/docker/wait.ts'
import { dockerDelete, dockerGet, dockerPost } from '../../adapters/docker.ts'
import { packDirectory, readFile, removeFile, shellCommand, writeFile } from './commands.ts'
import { type Content, ContentInspector, inspect } from './content.ts'
import { assertRestorable, load, whole } from './load.ts'
import { codeOf, collect, containerPlace, type Place } from './place.ts'

export const drillLabel = 'hive.backup-drill'

/** Milliseconds that a service gets to be ready for its restore, and its check to succeed. */
const startPatience = 180_000
const checkPatience = 60_000
/** Where a dump waits for restore_command, which is tried until the service is up. */
const waitingDump = ({ standalone }: BackupScript): string => `${standalone ? '/root' : '/tmp'}/hive-drill-dump`
/** Bytes that stay free on docker's disk, and times the size of a dump that a drill may take: dumps are packed. */
const keptFree = 512 * 1024 * 1024
const growth = 4

interface Mount {
  readonly Type: string
  readonly Target: string
  readonly TmpfsOptions?: unknown
}
export interface Model {
  readonly Image: string
  readonly Config: {
    readonly Env?: readonly string[] | null
    readonly Cmd?: readonly string[] | null
    readonly Entrypoint?: readonly string[] | null
    readonly User?: string
    readonly WorkingDir?: string
    readonly Hostname?: string
    readonly Healthcheck?: { readonly Test?: readonly string[] | null } | null
  }
  readonly HostConfig: {
    readonly Mounts?: readonly Mount[] | null
    readonly CapAdd?: readonly string[] | null
    readonly CapDrop?: readonly string[] | null
    readonly Memory?: number
    readonly NanoCpus?: number
    readonly Tmpfs?: Readonly<Record<string, string>> | null
  }
}

const idle = ['sh', '-c', 'trap "exit 0" TERM INT; while :; do sleep 3600 & wait $!; done']

/**
 * The container's create request. Pure. `asItself`: the service runs in it; else nothing does, so that nobody writes into a folder that is
 * compared. What is bound from the host is left out.
 */
export function drillBody({ Image, Config, HostConfig }: Model, name: string, asItself: boolean) {
  const mounts = (HostConfig.Mounts ?? []).flatMap(({ Type, Target, TmpfsOptions }) =>
    Type === 'volume' ? [{ Type, Target }] : Type === 'tmpfs' ? [{ Type, Target, ...(TmpfsOptions === undefined ? {} : { TmpfsOptions }) }] : [],
  )
  const health = healthOf(Config)
  return {
    Image,
    Env: Config.Env ?? [],
    ...(asItself ? { Cmd: Config.Cmd ?? null, Entrypoint: Config.Entrypoint ?? null } : { Cmd: [], Entrypoint: idle }),
    User: Config.User ?? '',
    WorkingDir: Config.WorkingDir ?? '',
    Hostname: Config.Hostname ?? '',
    Healthcheck: asItself && health !== undefined ? Config.Healthcheck : { Test: ['NONE'] },
    Labels: { [drillLabel]: name },
    HostConfig: {
      // Its own loopback is up, and it knows its own name: services look themselves up.
      NetworkMode: 'none',
      Mounts: mounts,
      Tmpfs: HostConfig.Tmpfs ?? {},
      CapAdd: HostConfig.CapAdd ?? [],
      CapDrop: HostConfig.CapDrop ?? [],
      Memory: HostConfig.Memory ?? 0,
      NanoCpus: HostConfig.NanoCpus ?? 0,
      RestartPolicy: { Name: 'no' },
      LogConfig: { Type: 'json-file', Config: { 'max-size': '1m', 'max-file': '1' } },
    },
  }
}

const healthOf = (config: Model['Config']): readonly string[] | undefined => {
  const test = config.Healthcheck?.Test ?? []
  return test.length === 0 || test[0] === 'NONE' ? undefined : test
}

export interface RehearseInput {
  readonly script: BackupScript
  /** Id of the container that is the model. */
  readonly container: string
  readonly data: AsyncIterable<Uint8Array>
  readonly size: number
  readonly sha256: string
  readonly signal: AbortSignal
  readonly onLine: (line: string) => void
}

/** Answers what was found. Throws where the dump does not restore. */
export async function rehearse(input: RehearseInput): Promise<string> {
  const { script, container, signal, onLine } = input
  assertRestorable(script)
  await assertRoom(input.size, signal)
  const model = await dockerGet<Model>(`/containers/${container}/json`, { signal })
  const asItself = script.directory === ''
  const { Id } = await dockerPost<{ Id: string }>('/containers/create', { body: drillBody(model, script.name, asItself), signal })
  try {
    await dockerPost(`/containers/${Id}/start`, { signal })
    const place = containerPlace(Id, 'a container for the drill')
    if (asItself && healthOf(model.Config) !== undefined) await healthy(Id, signal)
    const found = asItself ? await rehearseCommand(input, place) : await rehearseDirectory(input, place)
    if (script.drillCommand === '') return found
    await check(script, place, signal, onLine)
    return `${found}; drill_command succeeds`
  } catch (error) {
    if (asItself && !signal.aborted) for (const line of await lastLines(Id)) onLine(`the service: ${line}`)
    throw error
  } finally {
    await dockerDelete(`/containers/${Id}`, { query: { force: 'true', v: 'true' } }).catch((error: unknown) =>
      onLine(`the container stays: ${messageOf(error)}`),
    )
  }
}

async function healthy(id: string, signal: AbortSignal): Promise<void> {
  await waitFor(
    'the container for the drill is not healthy',
    async () => {
      const { State } = await dockerGet<{ State: { Running: boolean; ExitCode: number; Health?: { Status: string } } }>(`/containers/${id}/json`, { signal })
      if (!State.Running)
        throw new HiveError('command-failed', `the service ended with exit code ${State.ExitCode} on empty volumes`, { log: await lastLines(id) })
      return State.Health?.Status === 'healthy' ? true : undefined
    },
    { signal, timeout: startPatience, every: 500 },
  )
}

/** What the service wrote last in its container. */
async function lastLines(id: string): Promise<readonly string[]> {
  const lines: string[] = []
  await containerLogs(id, { tail: 10, signal: AbortSignal.timeout(10_000) }, ({ line }) => lines.push(line)).catch(() => undefined)
  return lines
}

/** The folder must hold what the archive does. */
export async function rehearseDirectory(input: Omit<RehearseInput, 'container'>, place: Place): Promise<string> {
  const { script, data, size, sha256, signal, onLine } = input
  const inspector = new ContentInspector()
  async function* looking(): AsyncGenerator<Uint8Array> {
    for await (const chunk of whole(data, { size, sha256 })) {
      await inspector.write(chunk)
      yield chunk
    }
  }
  // The image may not have the folder, which a volume makes only where it is mounted.
  await codeOf(place.run(['sh', '-c', 'mkdir -p -- "$1"', 'sh', script.directory], { signal }))
  await load({ script, place, data: looking(), size, signal, onLine })
  const archive = await inspector.end()
  const restored = await inspect(place.run(packDirectory(script.directory), { signal }))
  return compare(archive, restored)
}

function compare(archive: Content, restored: Content): string {
  if (archive.problem !== undefined) throw new HiveError('command-failed', `the archive is not whole: ${archive.problem}`)
  if (archive.digest !== restored.digest || archive.entries !== restored.entries)
    throw new HiveError('command-failed', `the restored folder holds ${restored.entries} entries, and not the same as the archive with ${archive.entries}`)
  return `${restored.entries} entries, the same as in the archive`
}

/** Nobody tells when a service is ready: its restore is tried until it succeeds. */
export async function rehearseCommand(input: Omit<RehearseInput, 'container'>, place: Place): Promise<string> {
  const { script, data, size, sha256, signal, onLine } = input
  const waiting = waitingDump(script)
  const { code, output } = await collect(place.run(writeFile(waiting), { signal, input: whole(data, { size, sha256 }), onLine }))
  if (code !== 0 || Number(output.trim()) !== size) throw new HiveError('command-failed', `no room for the dump in the container for the drill`)
  let last: unknown
  const attempt = async (): Promise<true | undefined> => {
    const dump = place.run(readFile(waiting), { signal })
    try {
      await load({ script, place, data: dump, size, signal, onLine: () => undefined })
      return true
    } catch (error) {
      if (!(error instanceof HiveError) || error.code === 'cancelled') throw error
      last = error
      return undefined
    } finally {
      await dump.return(0).catch(() => undefined)
    }
  }
  try {
    await waitFor(`restore of ${script.name}`, attempt, { signal, timeout: startPatience, every: 1000 })
  } catch (error) {
    throw error instanceof HiveError && error.code === 'timeout' && last !== undefined ? last : error
  }
  await codeOf(place.run(removeFile(waiting), { signal })).catch(() => undefined)
  return 'restore_command succeeds on empty volumes'
}

async function check(script: BackupScript, place: Place, signal: AbortSignal, onLine: (line: string) => void): Promise<void> {
  const lines: string[] = []
  let code = 0
  await waitFor(
    'drill_command',
    async () => {
      lines.length = 0
      code = await codeOf(place.run(shellCommand(script.drillCommand), { signal, onLine: (line) => lines.push(line) }))
      return code === 0 ? true : undefined
    },
    { signal, timeout: checkPatience, every: 1000 },
  ).catch((error: unknown) => {
    if (!(error instanceof HiveError) || error.code !== 'timeout') throw error
    for (const line of lines.slice(-5)) onLine(`drill_command: ${line}`)
    throw new HiveError('command-failed', `${script.name} was restored, but its drill_command ended with exit code ${code}`, { log: lines.slice(-15) })
  })
}

/** What runs on the host needs its disk more than a drill. Throws HiveError 'blocked'. */
async function assertRoom(size: number, signal: AbortSignal): Promise<void> {
  const { DockerRootDir } = await dockerGet<{ readonly DockerRootDir: string }>('/info', { signal })
  const { bavail, bsize } = await statfs(DockerRootDir)
  const free = bavail * bsize
  if (free < size * growth + keptFree)
    throw new HiveError('blocked', `no room for a drill: ${DockerRootDir} has ${Math.floor(free / 1e6)} MB free, the dump is ${Math.ceil(size / 1e6)} MB`)
}

/** What an agent that was killed has left. */
export async function removeLeftDrills(signal: AbortSignal): Promise<void> {
  const left = await dockerGet<readonly { readonly Id: string }[]>('/containers/json', { query: { all: 'true', filters: { label: [drillLabel] } }, signal })
  for (const { Id } of left) await dockerDelete(`/containers/${Id}`, { query: { force: 'true', v: 'true' }, signal }).catch(() => undefined)
}
