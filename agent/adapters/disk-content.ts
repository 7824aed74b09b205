/**
 * The bytes of a block device, read past the page cache: what the kernel keeps of a disk under DRBD may be older than the disk. Reading is
 * done by a program of its own, so that a disk that hangs takes no thread of the agent.
 */
import { realpath } from 'node:fs/promises'
import { HiveError } from '../../proto/errors.ts'
import { storageCommand } from './drbd/tools.ts'
import { readText } from './files.ts'
import { gathered } from './gathered.ts'
import { unlessAborted } from './shared-answer.ts'

const mib = 1024 * 1024
/** Reads directly from the disk are in whole blocks. */
const block = 4096

/** Offset and length in bytes, both multiples of 4096. Throws HiveError 'command-failed' where less is there. */
export async function readDisk(disk: string, offset: number, length: number, signal?: AbortSignal): Promise<Buffer> {
  const script = 'dd if="$1" iflag=direct,skip_bytes,count_bytes,fullblock bs=1M skip="$2" count="$3" status=none | base64 -w0'
  const options = { readOnly: true, ...(signal === undefined ? {} : { signal }) }
  const { stdout, stderr } = await storageCommand(['sh', '-c', script, 'sh', disk, `${offset}`, `${length}`], options)
  const bytes = Buffer.from(stdout, 'base64')
  if (bytes.length !== length) throw new HiveError('command-failed', `${disk} can't be read at ${offset}`, { log: stderr.split('\n').slice(-5) })
  return bytes
}

const heads = gathered<string, Buffer>(async (disks) => {
  const script = 'for disk; do dd if="$disk" iflag=direct,fullblock bs=4096 count=1 status=none || exit; done | base64 -w0'
  const { stdout, stderr } = await storageCommand(['sh', '-c', script, 'sh', ...disks], { readOnly: true })
  const bytes = Buffer.from(stdout, 'base64')
  if (bytes.length !== disks.length * block)
    throw new HiveError('command-failed', `${disks.join(', ')} can't be read at 0`, { log: stderr.split('\n').slice(-5) })
  return disks.map((_, index) => bytes.subarray(index * block, (index + 1) * block))
})

/** The first 4 KiB of a disk. A look at many disks reads them with few programs. Throws as `readDisk` does. */
export const readHead = (disk: string, signal: AbortSignal): Promise<Buffer> => unlessAborted(heads(disk), signal)

/** Whether the first and the last MiB of the disk's first `sizeBytes` hold nothing but zeros. */
export async function endsAreZero(disk: string, sizeBytes: bigint, signal?: AbortSignal): Promise<boolean> {
  const size = Number(sizeBytes) - (Number(sizeBytes) % block)
  const length = Math.min(mib, size)
  for (const offset of new Set([0, size - length])) if (!isZero(await readDisk(disk, offset, length, signal))) return false
  return true
}

export const isZero = (bytes: Uint8Array): boolean => !bytes.some((byte) => byte !== 0)

/** Writes zeros over the first and the last MiB. */
export async function zeroEnds(disk: string, sizeBytes: bigint, signal: AbortSignal): Promise<void> {
  const last = Number(sizeBytes) - mib
  for (const offset of [0, last])
    await storageCommand(
      ['dd', 'if=/dev/zero', `of=${disk}`, 'bs=1M', 'count=1', `seek=${offset}`, 'oflag=direct,seek_bytes', 'conv=notrunc,fsync', 'status=none'],
      { signal },
    )
}

/** What probing sees on the disk's first `sizeBytes` (blkid -p): the words that name it, '' where it sees nothing. */
export async function signatureOn(disk: string, sizeBytes: bigint, signal?: AbortSignal): Promise<string> {
  const options = { readOnly: true, okCodes: [0, 2, 8], ...(signal === undefined ? {} : { signal }) }
  const { code, stdout, stderr } = await storageCommand(['blkid', '-p', '-S', `${sizeBytes}`, '-o', 'export', disk], options)
  // 2 is "nothing found", and also "can't be read", which then says so; 8 is "several things found".
  if (code === 2 && stderr.trim() !== '') throw new HiveError('command-failed', `${disk} can't be probed`, { log: stderr.trim().split('\n') })
  if (code === 8) return 'several signatures'
  const words = new Map([...stdout.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, key = '', value = '']) => [key, value]))
  return code === 2 ? '' : (words.get('TYPE') ?? words.get('PTTYPE') ?? 'an unknown signature')
}

/** How the kernel knows a logical volume: one that is made anew under an old name has another one. '' where device-mapper does not tell. */
export async function diskIdentity(disk: string): Promise<string> {
  const device = await realpath(disk)
  return (await readText(`/sys/class/block/${device.slice(device.lastIndexOf('/') + 1)}/dm/uuid`)).trim()
}
