/**
 * LVM of the host: what there is, and logical volumes made, grown and copied. What is read is shared for a moment by the checks of one
 * plan and forgotten as soon as something is changed from here.
 */
import { HiveError } from '../../proto/errors.ts'
import { type CommandOptions, isMissingProgram } from './command.ts'
import { storageCommand } from './drbd/tools.ts'
import { assertMayMutate } from './gate.ts'
import {
  groupFields,
  type LogicalVolume,
  type PhysicalVolume,
  parseGroups,
  parsePhysicalVolumes,
  parsePools,
  parseVolumes,
  physicalFields,
  type ThinPool,
  type VolumeGroup,
  volumeFields,
} from './lvm-report.ts'
import { type SharedAnswer, sharedAnswer } from './shared-answer.ts'

export type { LogicalVolume, PhysicalVolume, ThinPool, VolumeGroup } from './lvm-report.ts'

/** Milliseconds. LVM waits for its own lock, and for every disk of the host. */
const readTimeout = 30_000
const changeTimeout = 120_000

type Report = 'lvs' | 'vgs' | 'pvs'
const fields: Readonly<Record<Report, readonly string[]>> = { lvs: volumeFields, vgs: groupFields, pvs: physicalFields }
/** Grows with each command that may have changed something, when it begins and when it ends. */
let changes = 0
const shared = (command: Report): SharedAnswer<string> =>
  sharedAnswer(
    () => runReport(command),
    () => changes,
  )
const reports: Readonly<Record<Report, SharedAnswer<string>>> = { lvs: shared('lvs'), vgs: shared('vgs'), pvs: shared('pvs') }
const emptyReport = '{"report": []}'

/** Every visible volume that is no pool. Where LVM is not installed there is none. */
export const readVolumes = async (signal?: AbortSignal): Promise<readonly LogicalVolume[]> => parseVolumes(await reports.lvs.get(signal))
export const readPools = async (signal?: AbortSignal): Promise<readonly ThinPool[]> => parsePools(await reports.lvs.get(signal))
export const readGroups = async (signal?: AbortSignal): Promise<readonly VolumeGroup[]> => parseGroups(await reports.vgs.get(signal))
export const readPhysicalVolumes = async (signal?: AbortSignal): Promise<readonly PhysicalVolume[]> => parsePhysicalVolumes(await reports.pvs.get(signal))

async function runReport(command: Report): Promise<string> {
  const argv = [command, '--reportformat', 'json', '--units', 'b', '--nosuffix', '--options', fields[command].join(',')] as const
  try {
    return (await storageCommand(argv, { readOnly: true, timeout: readTimeout })).stdout
  } catch (error) {
    if (isMissingProgram(error)) return emptyReport
    throw error
  }
}

/** Runs one of LVM's commands that change something, and forgets what was read before. */
export async function lvm(argv: readonly [string, ...string[]], options: CommandOptions = {}): Promise<void> {
  changes++
  try {
    await storageCommand(argv, { timeout: changeTimeout, ...options })
  } catch (error) {
    throw explained(error)
  } finally {
    changes++
  }
}

export interface NewVolume {
  readonly volumeGroup: string
  readonly name: string
  readonly sizeBytes: bigint
  /** '' : a thick volume. */
  readonly thinPool: string
}

/** As an argument. LVM takes only whole sectors. */
const size = (bytes: bigint): string => `${((bytes + 511n) / 512n) * 512n}b`

/** LVM rounds the size up to whole extents. Signatures that are left where a thick volume comes to lie are wiped: nothing there is anybody's. */
export const createVolume = ({ volumeGroup, name, sizeBytes, thinPool }: NewVolume, signal?: AbortSignal): Promise<void> =>
  lvm(
    thinPool === ''
      ? ['lvcreate', '--yes', '--wipesignatures', 'y', '--zero', 'y', '--name', name, '--size', size(sizeBytes), volumeGroup]
      : ['lvcreate', '--yes', '--name', name, '--virtualsize', size(sizeBytes), '--thinpool', thinPool, volumeGroup],
    withSignal(signal),
  )

/** Nothing to do where the volume has that size or more: a volume is never made smaller. Throws 'not-found' where it does not exist. */
export async function growVolume(
  { volumeGroup, name, sizeBytes }: { readonly volumeGroup: string; readonly name: string; readonly sizeBytes: bigint },
  signal?: AbortSignal,
): Promise<void> {
  assertMayMutate(`grow ${volumeGroup}/${name}`)
  if ((await existing(volumeGroup, name, signal)).sizeBytes >= sizeBytes) return
  await lvm(['lvextend', '--yes', '--size', size(sizeBytes), `${volumeGroup}/${name}`], withSignal(signal))
}

/**
 * The volume as it is at this moment, under another name. Of a thin one it takes no space but what changes later; of a thick one as much
 * as the volume itself, because a snapshot that runs full is lost. Throws 'not-found' where the volume does not exist.
 */
export async function snapshotVolume(
  { volumeGroup, name, snapshot }: { readonly volumeGroup: string; readonly name: string; readonly snapshot: string },
  signal?: AbortSignal,
): Promise<void> {
  assertMayMutate(`take a snapshot of ${volumeGroup}/${name}`)
  const { pool } = await existing(volumeGroup, name, signal)
  const space = pool === undefined ? ['--extents', '100%ORIGIN'] : []
  await lvm(['lvcreate', '--yes', '--snapshot', '--name', snapshot, ...space, `${volumeGroup}/${name}`], withSignal(signal))
}

async function existing(volumeGroup: string, name: string, signal?: AbortSignal): Promise<LogicalVolume> {
  const volume = (await readVolumes(signal)).find((one) => one.volumeGroup === volumeGroup && one.name === name)
  if (volume === undefined) throw new HiveError('not-found', `there is no logical volume ${volumeGroup}/${name}`)
  return volume
}

const withSignal = (signal: AbortSignal | undefined): CommandOptions => (signal === undefined ? {} : { signal })

/** LVM's words for "no space", as HiveError 'blocked' with what to do. Exported for tests. */
export function explained(error: unknown): unknown {
  if (!(error instanceof HiveError) || error.code !== 'command-failed') return error
  const said = error.log.join('\n')
  const pool = /free space in thin pool (\S+) reached threshold|[Tt]hin pool (\S+) (?:is|has) (?:out of|run out of|full)/.exec(said)
  if (pool !== null) {
    const name = (pool[1] ?? pool[2] ?? '').replace(/[.,]$/, '')
    return new HiveError('blocked', `the thin pool ${name} is full`, {
      hint: `free space in it: lvs shows what each volume holds, fstrim gives back what a file system no longer uses; or add a disk: vgextend GROUP DISK, then lvextend --extents +100%FREE ${name}`,
      log: error.log,
      cause: error,
    })
  }
  const group = /[Ii]nsufficient free space|insufficient (?:suitable )?(?:allocatable )?(?:free )?(?:extents|space)/.test(said)
  if (group) {
    return new HiveError('blocked', `the volume group has too little free space: ${said.trim()}`, {
      hint: 'vgs shows what is free. Add a disk: vgextend GROUP DISK',
      log: error.log,
      cause: error,
    })
  }
  return error
}
