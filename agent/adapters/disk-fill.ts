/** How full a file system is, without waiting for one that hangs. */
import { statfs } from 'node:fs/promises'
import { storageCommand } from './drbd/tools.ts'
import type { Mount } from './mounts.ts'

export interface Fill {
  readonly totalBytes: number
  /** For programs without root's reserve. */
  readonly freeBytes: number
  /** Of what programs may use: as df has it. */
  readonly usedPercent: number
  /** 100 where the file system has no fixed number of inodes. */
  readonly freeInodesPercent: number
}

interface Counts {
  readonly total: number
  readonly free: number
  readonly available: number
  readonly files: number
  readonly freeFiles: number
}

/** Milliseconds. */
const patience = 5_000
/** A server that is away keeps whoever asks these: a process of its own does, never a thread of the agent. */
const remote = /^(nfs\d?|cifs|smb3|ceph|glusterfs|fuse.*|9p|lustre|afs)$/

/** Of the file system that is mounted there. Rejects where it does not answer in time. */
export async function fillOf(path: string, fsType: string, signal?: AbortSignal): Promise<Fill> {
  if (!remote.test(fsType)) {
    const { blocks, bfree, bavail, bsize, files, ffree } = await statfs(path)
    return toFill({ total: blocks * bsize, free: bfree * bsize, available: bavail * bsize, files, freeFiles: ffree })
  }
  const argv = ['stat', '--file-system', '--format', '%S %b %f %a %c %d', '--', path] as const
  return toFill(parseStatfs((await storageCommand(argv, { readOnly: true, timeout: patience, ...(signal === undefined ? {} : { signal }) })).stdout))
}

export function parseStatfs(text: string): Counts {
  const [size = 0, blocks = 0, free = 0, available = 0, files = 0, freeFiles = 0] = text.trim().split(' ').map(Number)
  return { total: blocks * size, free: free * size, available: available * size, files, freeFiles }
}

export function toFill({ total, free, available, files, freeFiles }: Counts): Fill {
  const used = total - free
  return {
    totalBytes: total,
    freeBytes: available,
    usedPercent: used + available <= 0 ? 0 : (used / (used + available)) * 100,
    freeInodesPercent: files === 0 ? 100 : (freeFiles / files) * 100,
  }
}

/** The mount that a path lies on: of those that cover it the deepest, and of these the last one. */
export const mountOf = (path: string, mounts: readonly Mount[]): Mount | undefined =>
  mounts
    .filter(({ mountPoint }) => mountPoint === '/' || path === mountPoint || path.startsWith(`${mountPoint}/`))
    .reduce<Mount | undefined>((best, mount) => (best === undefined || mount.mountPoint.length >= best.mountPoint.length ? mount : best), undefined)
