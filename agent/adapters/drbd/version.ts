/** Which DRBD this host has: before anything else is asked, for the tools of version 8.4 answer the same commands with other things. */
import { HiveError } from '../../../proto/errors.ts'
import { storageCommand } from './tools.ts'

export interface DrbdVersion {
  /** 9.3.3; '' while no module is loaded. */
  readonly kernel: string
  readonly kernelCode: number
  readonly utilities: string
}

/** `drbdadm --version`: lines of shell assignments. */
export function parseVersion(text: string): DrbdVersion {
  const values = new Map([...text.matchAll(/^(\w+)=(.*)$/gm)].map(([, key = '', value = '']) => [key, value.trim()]))
  const kernelCode = Number(values.get('DRBD_KERNEL_VERSION_CODE') ?? 0) || 0
  return { kernel: kernelCode === 0 ? '' : (values.get('DRBD_KERNEL_VERSION') ?? ''), kernelCode, utilities: values.get('DRBDADM_VERSION') ?? '' }
}

/** A loaded module does not change under a running system without unloading every resource. */
let known: Promise<void> | undefined

/** Throws HiveError 'blocked' unless DRBD 9 is loaded and its tools are there. */
export function requireDrbd9(): Promise<void> {
  known ??= look().catch((error: unknown) => {
    known = undefined
    throw error
  })
  return known
}

async function look(): Promise<void> {
  const hint = 'hivecoord setup-hosts installs DRBD 9 and loads it'
  const { stdout } = await storageCommand(['drbdadm', '--version'], { readOnly: true }).catch((cause: unknown) => {
    throw new HiveError('blocked', 'drbdadm of DRBD 9 is not on this host', { hint, cause })
  })
  const version = parseVersion(stdout)
  if (version.kernelCode === 0) throw new HiveError('blocked', "DRBD's kernel module is not loaded", { hint })
  if (version.kernelCode < 0x09_00_00)
    throw new HiveError('blocked', `the kernel has DRBD ${version.kernel}, which mirrors to one host only and knows no quorum`, { hint })
}
