/** DRBD's versions on this host, and the lowest ones that mirrored volumes are made with. */
import { HiveError } from '../../../proto/errors.ts'
import { isMissingProgram, run } from '../command.ts'
import { readText } from '../files.ts'
import { isListed } from '../kernel-modules.ts'

export interface DrbdVersions {
  /** Of the kernel module: the one that is loaded, else the one on disk; '' where there is none. */
  readonly module: string
  /** Of drbd-utils. */
  readonly tools: string
}

/**
 * The lowest of each series. Before them a Primary without a disk of its own could go on with data that its peers did not have, and
 * nothing told.
 */
const floors: readonly (readonly [series: string, lowest: string])[] = [
  ['9.2', '9.2.19'],
  ['9.3', '9.3.3'],
]

export const floorText = floors.map(([, lowest]) => lowest).join(' or ')

/** What `drbdadm --version` prints. Both are '' where it is something else. */
export function parseVersions(text: string): DrbdVersions {
  const value = (key: string): string => {
    const version = new RegExp(`^${key}=(\\d+(?:\\.\\d+)+)\\S*$`, 'm').exec(text)?.[1]
    return version ?? ''
  }
  return { module: value('DRBD_KERNEL_VERSION'), tools: value('DRBDADM_VERSION') }
}

/** Of numbers between dots; what follows them ("-1", "rc.2") does not count. Negative where `one` is the lower. */
export function compareVersions(one: string, other: string): number {
  const [left, right] = [numbers(one), numbers(other)]
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

const numbers = (version: string): readonly number[] => (/^\d+(?:\.\d+)*/.exec(version)?.[0] ?? '0').split('.').map(Number)

/** DRBD 8: two hosts, no quorum, another command line. Nothing here works with it. */
export const isDrbd8 = (version: string): boolean => version !== '' && compareVersions(version, '9') < 0

/** Whether mirrored volumes are made with this version; '' (none) is no. A series after the last known one is taken. */
export function reachesFloor(version: string): boolean {
  const [major = 0, minor = 0] = numbers(version)
  const floor = floors.find(([series]) => series === `${major}.${minor}`)
  if (floor !== undefined) return compareVersions(version, floor[1]) >= 0
  return compareVersions(version, floors.at(-1)?.[0] ?? '') > 0
}

/** The versions on this host; undefined where drbd-utils are not installed. Loads nothing. */
export async function readVersions(signal?: AbortSignal): Promise<DrbdVersions | undefined> {
  try {
    // Without a module it may complain and still tell the version of the tools.
    const { stdout } = await run(['drbdadm', '--version'], {
      readOnly: true,
      timeout: 30_000,
      okCodes: [0, 1, 20],
      ...(signal === undefined ? {} : { signal }),
    })
    return parseVersions(stdout)
  } catch (thrown) {
    if (isMissingProgram(thrown)) return undefined
    throw thrown
  }
}

/**
 * Keeps a new mirrored volume from being made with a DRBD below the floor. Volumes that are there go on with it: throws HiveError
 * 'blocked' for new ones only.
 */
export async function assertMayMakeVolumes(signal?: AbortSignal): Promise<void> {
  const module = (await readVersions(signal))?.module ?? ''
  if (reachesFloor(module)) return
  throw new HiveError('blocked', `no new mirrored volume with ${module === '' ? 'no DRBD 9' : `DRBD ${module}`} on this host`, {
    hint: `at least ${floorText} is needed; hivecoord plan says for setup-hosts what is wrong with it`,
  })
}

/** Of the module that is loaded; '' where none is. `told`: what drbdadm says, which is of that one where there is one. */
export async function loadedVersion(told: string, signal: AbortSignal): Promise<string> {
  const proc = /^version: (\d+(?:\.\d+)+)/.exec(await readText('/proc/drbd'))?.[1]
  if (proc !== undefined) return proc
  return told !== '' && (await isListed('drbd', signal)) ? told : ''
}
