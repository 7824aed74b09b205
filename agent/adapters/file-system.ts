/** File systems on mirrored volumes: what is there, made once, and grown while in use. */
import { HiveError } from '../../proto/errors.ts'
import { readHead } from './disk-content.ts'
import { storageCommand } from './drbd/tools.ts'
import { assertMayMutate } from './gate.ts'
import type { Mount } from './mounts.ts'

export interface FileSystem {
  readonly type: 'xfs' | 'ext4'
  readonly sizeBytes: bigint
}

const superblockBytes = 4096
const extBase = 1024
const extMagic = 0xef53
/** "incompat" feature of ext4: block numbers have 64 bits. */
const ext64bit = 0x80

/** Set in an xfs superblock from mkfs' first write until its last. */
const xfsInProgress = 126

/** mkfs.xfs was killed here: nobody can mount it. */
export const isHalfMade = (head: Buffer): boolean => head.toString('latin1', 0, 4) === 'XFSB' && head[xfsInProgress] !== 0

/** The file system whose superblock is in the first 4 KiB of a disk; undefined for all else. ext2 and ext3 count as ext4, whose tools they share. */
export function parseSuperblock(head: Buffer): FileSystem | undefined {
  if (head.length < superblockBytes || isHalfMade(head)) return undefined
  if (head.toString('latin1', 0, 4) === 'XFSB') return { type: 'xfs', sizeBytes: BigInt(head.readUInt32BE(4)) * head.readBigUInt64BE(8) }
  if (head.readUInt16LE(extBase + 0x38) !== extMagic) return undefined
  const high = (head.readUInt32LE(extBase + 0x60) & ext64bit) === 0 ? 0n : BigInt(head.readUInt32LE(extBase + 0x150))
  const blocks = (high << 32n) | BigInt(head.readUInt32LE(extBase + 4))
  return { type: 'ext4', sizeBytes: blocks << BigInt(10 + head.readUInt32LE(extBase + 24)) }
}

export const readFileSystem = async (disk: string, signal: AbortSignal): Promise<FileSystem | undefined> => parseSuperblock(await readHead(disk, signal))

/** Milliseconds. */
const makeTime = 600_000
const growTime = 300_000

/**
 * Makes one on a device that holds none: both tools refuse, unforced, where they see something. `again`: over what is left of making it.
 * Without discards: there is nothing to give back.
 */
export async function makeFileSystem(fstype: string, device: string, again: boolean, signal: AbortSignal): Promise<void> {
  const argv = makeCommand(fstype, device, again)
  try {
    await storageCommand(argv, { timeout: makeTime, signal })
  } catch (error) {
    if (error instanceof HiveError && error.log.some((line) => /must be larger than \d+MB|too small/i.test(line)))
      throw new HiveError('blocked', `the volume is too small for ${fstype}`, { hint: 'xfs needs 300 MB: give it a larger size', log: error.log, cause: error })
    throw error
  }
}

export function makeCommand(fstype: string, device: string, again: boolean): [string, ...string[]] {
  switch (fstype) {
    case 'xfs':
      return ['mkfs.xfs', '-q', '-K', ...(again ? ['-f'] : []), device]
    case 'ext4':
      return ['mkfs.ext4', '-q', '-E', 'nodiscard', ...(again ? ['-F'] : []), device]
    default:
      throw new HiveError('invalid-input', `${fstype} is not a file system for mirrored volumes`, { hint: 'xfs or ext4' })
  }
}

/** Where all of a device's file system is mounted for writing. */
export const mountPointOf = (device: string, mounts: readonly Mount[]): string | undefined =>
  mounts.find((mount) => mount.source === device && mount.root === '/' && !mount.readOnly)?.mountPoint

/**
 * What the kernel knows of one that it has mounted. It writes growth to the log first, and the superblock on the disk, which
 * `readFileSystem` sees, follows as much as half a minute later. `onDisk` where it is not mounted for writing here.
 */
export async function asMounted(onDisk: FileSystem, device: string, mounts: readonly Mount[], signal?: AbortSignal): Promise<FileSystem> {
  const mountPoint = mountPointOf(device, mounts)
  if (mountPoint === undefined) return onDisk
  const options = { readOnly: true, ...(signal === undefined ? {} : { signal }) }
  const argv = onDisk.type === 'xfs' ? (['xfs_growfs', '-n', mountPoint] as const) : (['dumpe2fs', '-h', device] as const)
  return { ...onDisk, sizeBytes: parseGeometry((await storageCommand([...argv], options)).stdout) }
}

/** Bytes, from what `xfs_growfs -n` or `dumpe2fs -h` prints. Throws HiveError 'invalid-input' for anything else. */
export function parseGeometry(text: string): bigint {
  const xfs = /^data\s+=\s+bsize=(\d+)\s+blocks=(\d+),/m.exec(text)
  const block = xfs?.[1] ?? /^Block size:\s+(\d+)$/m.exec(text)?.[1]
  const count = xfs?.[2] ?? /^Block count:\s+(\d+)$/m.exec(text)?.[1]
  if (block === undefined || count === undefined)
    throw new HiveError('invalid-input', 'the size of a mounted file system is not told', { log: text.trimEnd().split('\n').slice(0, 12) })
  return BigInt(block) * BigInt(count)
}

export const growCommand = (fstype: string, device: string, mountPoint: string): [string, ...string[]] =>
  fstype === 'xfs' ? ['xfs_growfs', '-d', mountPoint] : ['resize2fs', device]

/** Fills the device, while it is mounted there. */
export async function growMounted(fstype: string, device: string, mountPoint: string, signal: AbortSignal): Promise<void> {
  await storageCommand(growCommand(fstype, device, mountPoint), { timeout: growTime, signal })
}

/**
 * The same for one that is mounted nowhere: it is mounted for a moment in a mount namespace of its own, which goes with its process, however
 * that ends. -w: else mount(8) falls back to reading only where another host holds the device open.
 */
export async function growUnmounted(fstype: string, device: string, signal: AbortSignal): Promise<void> {
  assertMayMutate(`grow the file system of ${device}`)
  const script =
    'mount -t tmpfs -o size=64k tmpfs /mnt && mkdir /mnt/v && mount -w -t "$1" "$2" /mnt/v || exit; shift 2; "$@"; code=$?; umount /mnt/v || exit; exit $code'
  const command = growCommand(fstype, device, '/mnt/v')
  await storageCommand(['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', fstype, device, ...command], { timeout: growTime, signal })
}
