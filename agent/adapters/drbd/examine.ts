/** Everything this host knows of a mirrored volume, for the doctor. Reads only, opens no device, and what cannot be read is left out. */
import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import type { DeviceHolder, DrbdMetadata, ResourceFile, VolumeExamination } from '#gen/hive/v1/doctor.ts'
import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import { HiveError } from '../../../proto/errors.ts'
import { run } from '../command.ts'
import { exists } from '../files.ts'
import { deviceNumberOf, devicesInUse, holdersOf } from '../mounts.ts'
import { type KernelLog, readKernelLog } from './kernel-log.ts'
import { readMetadata } from './metadata.ts'
import { type DumpedResource, parseDump } from './parse-dump.ts'
import { plannedCommands } from './planned-adjust.ts'
import { readStatus } from './read-status.ts'
import { globalSection, readResourceFile } from './resource-store.ts'
import { drbdadm, hideSecret } from './tools.ts'

/** Seconds of the kernel's log: a connection that was given up stays so, and its reason is told once. */
const logTime = 30 * 24 * 3600
/** Lines of it that travel. */
const mostLines = 300

/** What is read once for all volumes. */
interface Common {
  readonly kernelLog: KernelLog
  /** By the number of the device. */
  readonly mounts: Awaited<ReturnType<typeof devicesInUse>>
}

/** Volumes with a resource file or a resource in the kernel; `only` that one. */
export async function examineVolumes(host: string, only: string, signal: AbortSignal): Promise<readonly VolumeExamination[]> {
  const [status, files] = await Promise.all([readStatus(signal), resourceFiles()])
  const names = [...new Set([...status.map(({ name }) => name), ...files])].filter((name) => only === '' || name === only).sort()
  if (names.length === 0) return []
  const [kernelLog, mounts] = await Promise.all([
    readKernelLog({ sinceSeconds: logTime, signal }).catch(unlessStopped<KernelLog>({ of: () => [] })),
    devicesInUse(),
  ])
  const statusOf = new Map(status.map((resource) => [resource.name, resource]))
  return Promise.all(names.map((name) => examine(host, name, statusOf.get(name), { kernelLog, mounts }, signal)))
}

async function resourceFiles(): Promise<readonly string[]> {
  const entries = await readdir('/etc/drbd.d').catch((error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? [] : Promise.reject(error)))
  return entries.filter((entry) => entry.endsWith('.res')).map((entry) => entry.slice(0, -'.res'.length))
}

async function examine(host: string, name: string, status: DrbdResourceStatus | undefined, common: Common, signal: AbortSignal): Promise<VolumeExamination> {
  const { file, dumped, text } = await readFile(name, signal)
  const minor = status?.devices[0]?.minor ?? dumped?.minor ?? 0
  const disk = dumped?.disks.get(host) ?? 'none'
  const [logicalVolume, holders, portOwner, metadata, adjustments] = await Promise.all([
    disk === 'none' ? false : exists(disk),
    heldBy(minor, common.mounts),
    portOwnerOf(dumped?.port ?? 0, status, signal),
    metadataOf(minor, disk, status, signal),
    file === undefined || file.error !== '' ? [] : plannedCommands(name, text, signal).catch(unlessStopped<readonly string[]>([])),
  ])
  return {
    name,
    status,
    file,
    logicalVolume,
    metadata,
    kernelLines: common.kernelLog.of(name).slice(-mostLines),
    holders: [...holders],
    portOwner,
    adjustments: adjustments.map(hideSecret),
  }
}

async function readFile(
  name: string,
  signal: AbortSignal,
): Promise<{ readonly file: ResourceFile | undefined; readonly dumped: DumpedResource | undefined; readonly text: string }> {
  const text = await readResourceFile(name)
  if (text === undefined) return { file: undefined, dumped: undefined, text: '' }
  const sha256 = createHash('sha256').update(text).digest('hex')
  try {
    const { stdout } = await drbdadm(['-c', '-', 'dump', name], { readOnly: true, input: globalSection + text, signal })
    const dumped = parseDump(stdout)
    return { file: { sha256, error: '', minor: dumped.minor, port: dumped.port, nodes: [...dumped.nodes] }, dumped, text }
  } catch (error) {
    if (!(error instanceof HiveError) || error.code !== 'command-failed') throw error
    return { file: { sha256, error: hideSecret(error.log.join('\n') || error.message), minor: 0, port: 0, nodes: [] }, dumped: undefined, text }
  }
}

/** A mount counts once, in whatever namespaces it is seen. */
async function heldBy(minor: number, mounts: Common['mounts']): Promise<readonly DeviceHolder[]> {
  if (minor === 0) return []
  const path = `/dev/drbd${minor}`
  const number = await deviceNumberOf(path)
  if (number === undefined) return []
  const holders = await holdersOf(minor)
  const mounted = new Map((mounts.get(number) ?? []).map(({ mountPoint, readOnly }) => [mountPoint, readOnly]))
  return [
    ...[...mounted].map(([mountPoint, readOnly]) => ({ pid: 0, command: '', mountPoint, readOnly })),
    ...holders
      .filter(({ kind }) => kind !== 'mount')
      .map(({ pid, command, what }) => ({ pid, command: `${command} ${what}`.trim(), mountPoint: '', readOnly: false })),
  ]
}

/** The kernel's own listener has no process; one that has is in DRBD's way, as long as DRBD does not listen. */
async function portOwnerOf(port: number, status: DrbdResourceStatus | undefined, signal: AbortSignal): Promise<string> {
  if (port === 0 || status?.connections.some(({ state }) => state === 'StandAlone') !== true) return ''
  const { stdout } = await run(['ss', '--listening', '--tcp', '--numeric', '--processes', '--no-header', `sport = :${port}`], {
    readOnly: true,
    timeout: 10_000,
    signal,
  }).catch(unlessStopped({ code: 0, stdout: '', stderr: '' }))
  return /users:\(\("([^"]+)",pid=(\d+)/.exec(stdout)?.slice(1).join(' ') ?? ''
}

/** Asked for where the kernel does not vouch for the disk. */
async function metadataOf(minor: number, disk: string, status: DrbdResourceStatus | undefined, signal: AbortSignal): Promise<DrbdMetadata | undefined> {
  const state = status?.devices[0]?.diskState
  if (disk === 'none' || state === 'UpToDate' || !(await exists(disk))) return undefined
  try {
    const found = await readMetadata(minor, disk, signal)
    return found === undefined ? { found: false, nodeId: -1, maxPeers: 0, currentUuid: '', error: '' } : { found: true, ...found, error: '' }
  } catch (error) {
    return unlessStopped({ found: false, nodeId: -1, maxPeers: 0, currentUuid: '', error: error instanceof Error ? error.message : '' })(error)
  }
}

/** A tool that is missing or refuses takes its own part away and no other's. */
const unlessStopped =
  <T>(instead: T) =>
  (error: unknown): T => {
    if (error instanceof HiveError && error.code !== 'cancelled') return instead
    throw error
  }
