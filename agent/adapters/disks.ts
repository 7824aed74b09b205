/** Disks of the host: what they hold, read without a trace, and a partition added where nothing is. */
import { constants, type FileHandle, open, realpath } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { HiveError } from '../../proto/errors.ts'
import { isMissingProgram } from './command.ts'
import { storageCommand } from './drbd/tools.ts'
import { type Disk, examineDisk, type PartitionReadings, type PartitionTable, parseBlkid, parseLsblk, parseSfdisk, parseWipefs } from './examine-disk.ts'
import { exists } from './files.ts'
import type { NewPartition } from './partition-names.ts'

/** Milliseconds: a disk that does not answer hangs whoever asks. */
const readTimeout = 30_000
const writeTimeout = 60_000
const mebibyte = 2 ** 20

/** The device that a path leads to (/dev/disk/… are links); undefined where there is none. */
export async function resolveDevice(path: string): Promise<string | undefined> {
  try {
    return await realpath(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** A resolved device and all on it; undefined where it is no block device. */
export async function readDisk(device: string, signal: AbortSignal): Promise<Disk | undefined> {
  const columns = 'NAME,TYPE,SIZE,RO,LOG-SEC,MOUNTPOINT'
  const { code, stdout } = await read(['lsblk', '--json', '--bytes', '--output', columns, device], signal, [0, 1, 32])
  const [block] = code === 0 ? parseLsblk(stdout) : []
  if (block === undefined) return undefined
  const table = await readTable(device, signal)
  const partitions = new Map<string, PartitionReadings>()
  for (const entry of table?.partitions ?? []) partitions.set(entry.device, await readPartition(entry.device, entry.sectors * block.sectorBytes, signal))
  return examineDisk({
    device,
    block,
    table,
    partitions,
    signatures: await readSignatures(device, signal),
    claimed: await isClaimed(device),
    signaturesAtFirstMebibyte: await probe(device, mebibyte, signal),
    blankEdges: table !== undefined || (await hasBlankEdges(device, block.sizeBytes)),
  })
}

async function readPartition(device: string, size: number, signal: AbortSignal): Promise<PartitionReadings> {
  if (!(await exists(device))) return { signatures: ['unknown to the kernel'], blankEdges: false }
  const signatures = await readSignatures(device, signal)
  return { signatures, blankEdges: signatures.length === 0 && (await hasBlankEdges(device, size)) }
}

/** wipefs sees all that are there, also where several lie over each other; blkid those few that have no magic number. */
async function readSignatures(device: string, signal: AbortSignal): Promise<readonly string[]> {
  const { stdout } = await read(['wipefs', '--no-act', '--json', '--output', 'TYPE', device], signal)
  return [...new Set([...parseWipefs(stdout), ...(await probe(device, 0, signal))])]
}

async function probe(device: string, offset: number, signal: AbortSignal): Promise<readonly string[]> {
  // Short options: the blkid of EL8 has no others. 2: nothing there. 8: several kinds at once.
  const { code, stdout } = await read(['blkid', '-p', '-O', String(offset), '-o', 'export', device], signal, [0, 2, 8])
  return code === 8 ? ['several kinds of data at once'] : parseBlkid(stdout)
}

async function readTable(device: string, signal: AbortSignal): Promise<PartitionTable | undefined> {
  const { code, stdout } = await read(['sfdisk', '--json', device], signal, [0, 1])
  return code === 0 ? parseSfdisk(stdout) : undefined
}

const read = (argv: readonly [string, ...string[]], signal: AbortSignal, okCodes = [0]) =>
  storageCommand(argv, { readOnly: true, timeout: readTimeout, signal, okCodes })

/** O_EXCL of a block device asks the kernel whether it is mounted, or held by another device, wherever that was done from. */
async function isClaimed(device: string): Promise<boolean> {
  try {
    await (await open(device, constants.O_RDONLY | constants.O_EXCL | constants.O_NONBLOCK)).close()
    return false
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EBUSY') return true
    throw error
  }
}

async function hasBlankEdges(device: string, size: number): Promise<boolean> {
  const handle = await open(device, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    return (await isBlank(handle, 0)) && (await isBlank(handle, Math.max(0, size - mebibyte)))
  } finally {
    await handle.close()
  }
}

async function isBlank(handle: FileHandle, position: number): Promise<boolean> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(mebibyte), 0, mebibyte, position)
  return buffer.subarray(0, bytesRead).every((byte) => byte === 0)
}

/**
 * Adds a partition; those that are there stay as they are. Returns when its device is there. Signatures of what lay there before are wiped.
 * Throws HiveError 'command-failed' with what sfdisk said, 'not-converged' where the kernel does not show it.
 */
export async function addPartition(wanted: NewPartition, signal: AbortSignal): Promise<void> {
  const name = wanted.name === '' ? '' : `, name="${wanted.name}"`
  const line = `${wanted.device} : start=${wanted.startSector}, size=${wanted.sectors}, type=${wanted.type}${name}\n`
  const [mode, input] = wanted.newTable === undefined ? [['--append'], line] : [[], `label: ${wanted.newTable}\n${line}`]
  // --no-reread: a disk with a mounted partition may get one more.
  const argv = ['sfdisk', ...mode, '--no-reread', '--wipe-partitions', 'always', wanted.disk] as [string, ...string[]]
  try {
    await storageCommand(argv, { input, timeout: writeTimeout, signal })
  } catch (error) {
    // On a disk in use it may have written the table and failed to tell the kernel, which comes next.
    const table = await readTable(wanted.disk, signal)
    if (table?.partitions.some((entry) => entry.startSector === wanted.startSector) !== true) throw error
  }
  await settle(signal)
  if (!(await exists(wanted.device))) await storageCommand(['partx', '--add', wanted.disk], { timeout: writeTimeout, signal, okCodes: [0, 1] })
  if (await awaitDevice(wanted.device, signal)) return
  throw new HiveError('not-converged', `${wanted.disk} has a new partition, and the kernel does not show ${wanted.device}`, {
    hint: 'restart the host, or partprobe the disk, then run again',
  })
}

/** Milliseconds that a device may take to appear once the kernel was told of it. */
const appearance = 20_000

/** Whether the device is there, now or soon. */
export async function awaitDevice(device: string, signal: AbortSignal): Promise<boolean> {
  const end = performance.now() + appearance
  while (!(await exists(device))) {
    if (performance.now() > end) return false
    await pause(200, undefined, { signal }).catch(() => {
      throw new HiveError('cancelled', `waiting for ${device} was stopped`)
    })
  }
  return true
}

/** Waits until udev has done what it was told of, for 10 s at most. Without udev there is nothing to wait for. */
export async function settle(signal: AbortSignal): Promise<void> {
  try {
    await storageCommand(['udevadm', 'settle', '--timeout=10'], { readOnly: true, timeout: 15_000, signal, okCodes: [0, 1] })
  } catch (error) {
    if (!isMissingProgram(error)) throw error
  }
}
