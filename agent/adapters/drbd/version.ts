/** DRBD 9 or a clear word, before anything else is asked: the tools of version 8.4 answer the same commands with other things. */
import { HiveError } from '../../../proto/errors.ts'
import { isDrbd8, readVersions } from './module-version.ts'

/** A loaded module does not change under a running system without unloading every resource. */
let known: Promise<void> | undefined

/** Throws HiveError 'blocked' unless this host has DRBD 9 and its tools. */
export function requireDrbd9(): Promise<void> {
  known ??= look().catch((error: unknown) => {
    known = undefined
    throw error
  })
  return known
}

async function look(): Promise<void> {
  const hint = 'hivecoord setup-hosts installs DRBD 9 and loads it'
  const versions = await readVersions()
  if (versions === undefined) throw new HiveError('blocked', "DRBD's tools are not on this host", { hint })
  if (versions.module === '') throw new HiveError('blocked', "DRBD's kernel module is not on this host", { hint })
  if (isDrbd8(versions.module))
    throw new HiveError('blocked', `the kernel has DRBD ${versions.module}, which mirrors to one host only and knows no quorum`, { hint })
}
