/**
 * What is mounted, and who holds a device: from /proc, without touching a file system or opening a device. Opening /dev/drbdN would promote
 * it, and a file system whose device hangs would hang whoever asks it.
 */
import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import pLimit from 'p-limit'

export interface Mount {
  /** The kernel's number of this one mount. */
  readonly id: string
  /** MAJOR:MINOR of the file system's device; 0:N where it has none (tmpfs, overlay, NFS). */
  readonly device: string
  /** What of the file system is mounted: '/' all of it, else a folder of it (a bind mount). */
  readonly root: string
  readonly mountPoint: string
  readonly fsType: string
  /** What was given to mount: /dev/drbd7. */
  readonly source: string
  /** Here, or of the file system as a whole: DRBD lets mount fall back to read-only where a peer holds the device. */
  readonly readOnly: boolean
}

export interface MountElsewhere extends Mount {
  /** A process that lives in the mount namespace, and its name. */
  readonly pid: number
  readonly command: string
}

export interface Holder {
  /**
   * mount: mounted in the process' mount namespace; open: the process has the device open; file: it has a file open on a mount of it that was
   * detached; names: its arguments name the device (mkfs, fsck); device: another block device uses it.
   */
  readonly kind: 'mount' | 'open' | 'file' | 'names' | 'device'
  /** 0 for a device. */
  readonly pid: number
  readonly command: string
  /** The mount point, the file descriptor's target, the arguments, or the device's name. */
  readonly what: string
}

/** Another /proc, /dev or /sys than the machine's: for tests. */
export interface Folders {
  readonly proc?: string
  readonly dev?: string
  readonly sys?: string
}

/** Files of /proc that are read at the same time: the rest of the agent needs threads, too. */
const parallel = 2
/** Devices that nearly every process has open. */
const common = /^\/dev\/(null|zero|full|random|urandom|tty\w*|console|ptmx|fuse|pts\/.*|shm\/.*|net\/.*)$/

/** The text of a /proc/PID/mountinfo (proc(5)); lines that are none are passed over. */
export function parseMountinfo(text: string): readonly Mount[] {
  return text.split('\n').flatMap((line) => {
    const [left = '', right] = line.split(' - ', 2)
    if (right === undefined) return []
    const [id = '', , device = '', root = '', mountPoint = '', options = ''] = left.split(' ')
    const [fsType = '', source = '', superOptions = ''] = right.split(' ')
    const readOnly = [options, superOptions].some((list) => list.split(',').includes('ro'))
    return [{ id, device, root: unescaped(root), mountPoint: unescaped(mountPoint), fsType, source: unescaped(source), readOnly }]
  })
}

/** Blanks, tabs, line ends and backslashes are written as octal. */
const unescaped = (text: string): string => text.replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

/** The mounts of the mount namespace that the agent is in, which is the host's and dockerd's. */
export const readMounts = async ({ proc = '/proc' }: Folders = {}): Promise<readonly Mount[]> =>
  parseMountinfo(await readFile(`${proc}/self/mountinfo`, 'utf8'))

/** All mounts of block devices by MAJOR:MINOR, in every mount namespace that a process lives in: a container keeps its own. */
export async function devicesInUse(folders: Folders = {}): Promise<ReadonlyMap<string, readonly MountElsewhere[]>> {
  const all = await mountsEverywhere(folders)
  return Map.groupBy(
    all.filter(({ device }) => !device.startsWith('0:')),
    ({ device }) => device,
  )
}

/**
 * Who holds /dev/drbdMINOR; empty where nobody visible does. A mount that was detached lazily is in no mountinfo any more, so files that are
 * open on detached mounts are looked at, too. Not seen are memory maps, working directories and mount namespaces without a process: there the
 * kernel's own refusal to demote is what counts.
 */
export async function holdersOf(minor: number, folders: Folders = {}): Promise<readonly Holder[]> {
  const { proc = '/proc', dev = '/dev', sys = '/sys' } = folders
  const path = `${dev}/drbd${minor}`
  const number = await deviceNumberOf(path)
  if (number === undefined) return []
  const [mounts, processes, above] = await Promise.all([
    mountsEverywhere(folders),
    processesOf(proc),
    readdir(`${sys}/dev/block/${number}/holders`).catch(() => []),
  ])
  const device: Device = { path, number, attached: new Set(mounts.map(({ id }) => id)) }
  const slots = pLimit(parallel)
  const held = await Promise.all(processes.map((pid) => slots(() => heldBy(proc, pid, device))))
  return [
    ...mounts.filter((mount) => isOf(mount, path, number)).map(({ pid, command, mountPoint }): Holder => ({ kind: 'mount', pid, command, what: mountPoint })),
    ...held.flat(),
    ...above.map((name): Holder => ({ kind: 'device', pid: 0, command: '', what: name })),
  ]
}

/** Of all devices of a resource. */
export const holdersOfAll = async (devices: readonly { readonly minor: number }[]): Promise<readonly Holder[]> =>
  (await Promise.all(devices.map(({ minor }) => holdersOf(minor)))).flat()

interface Device {
  readonly path: string
  readonly number: string
  /** Numbers of all mounts that some namespace has. */
  readonly attached: ReadonlySet<string>
}

/** By number, or by the name that was mounted: a node may have been made anew since. */
export const isOf = (mount: Mount, path: string, number: string | undefined): boolean => mount.device === number || mount.source === path

/** MAJOR:MINOR of a device node; undefined where there is none. */
export async function deviceNumberOf(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined)
  return found?.isBlockDevice() === true ? numberOf(found.rdev) : undefined
}

/** As the C library composes it (makedev(3)), within the 32 bits that the kernel uses. */
const numberOf = (device: number): string => `${(device >>> 8) & 0xfff}:${(device & 0xff) | ((device >>> 12) & 0xfff00)}`

const processesOf = async (proc: string): Promise<readonly number[]> => (await readdir(proc)).filter((name) => /^\d+$/.test(name)).map(Number)

/** '' for what is not there any more: processes end while they are looked at. */
const textOf = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '')

/** One process stands for all that live in its mount namespace. */
async function mountsEverywhere({ proc = '/proc' }: Folders): Promise<readonly MountElsewhere[]> {
  const slots = pLimit(parallel)
  const spaces = await Promise.all(
    (await processesOf(proc)).map((pid) => slots(async () => ({ pid, space: await readlink(`${proc}/${pid}/ns/mnt`).catch(() => '') }))),
  )
  const bySpace = Map.groupBy(spaces, ({ space }) => space)
  bySpace.delete('')
  const found = await Promise.all(
    [...bySpace.values()].map((members) =>
      slots(async () => {
        for (const { pid } of members) {
          const text = await textOf(`${proc}/${pid}/mountinfo`)
          if (text === '') continue
          const command = (await textOf(`${proc}/${pid}/comm`)).trimEnd()
          return parseMountinfo(text).map((mount) => ({ ...mount, pid, command }))
        }
        return []
      }),
    ),
  )
  return found.flat()
}

async function heldBy(proc: string, pid: number, device: Device): Promise<Holder[]> {
  const held: Omit<Holder, 'pid' | 'command'>[] = []
  for (const descriptor of await readdir(`${proc}/${pid}/fd`).catch(() => [])) {
    const target = await readlink(`${proc}/${pid}/fd/${descriptor}`).catch(() => '')
    const kind = await holds(`${proc}/${pid}`, descriptor, target, device)
    if (kind !== undefined) held.push({ kind, what: target })
  }
  const args = (await textOf(`${proc}/${pid}/cmdline`)).split('\0').slice(0, -1)
  if (args.includes(device.path)) held.push({ kind: 'names', what: args.join(' ').slice(0, 200) })
  if (held.length === 0) return []
  const command = (await textOf(`${proc}/${pid}/comm`)).trimEnd()
  return held.map((holder) => ({ ...holder, pid, command }))
}

/** Asked through the descriptor, not by its path: the process may have a /dev and a root of its own. */
async function holds(process: string, descriptor: string, target: string, device: Device): Promise<'open' | 'file' | undefined> {
  // Sockets, pipes and the like have no path.
  if (!target.startsWith('/') || target.startsWith('/memfd:')) return undefined
  const path = `${process}/fd/${descriptor}`
  if (target.startsWith('/dev/')) return !common.test(target) && (await deviceNumberOf(path)) === device.number ? 'open' : undefined
  const [, mount] = /^mnt_id:\s*(\d+)$/m.exec(await textOf(`${process}/fdinfo/${descriptor}`)) ?? []
  if (mount === undefined || device.attached.has(mount)) return undefined
  const found = await stat(path).catch(() => undefined)
  return found !== undefined && numberOf(found.dev) === device.number ? 'file' : undefined
}
