/** Limits of this machine's kernel that all its hosts share. */
import { readFileSync, writeFileSync } from 'node:fs'
import type { Emit } from '../../events.ts'

const inotifyInstances = '/proc/sys/fs/inotify/max_user_instances'
/** A host uses some 8: systemd, journald, udev, dbus, dockerd. Beyond the kernel's usual 128 a host stops in the middle of its boot, without a word. */
const enough = 1024

/** Raises what would keep hosts from booting, until this machine starts anew. Tells what it raised, or that it could not. */
export function raiseKernelLimits(emit: Emit, path = inotifyInstances): void {
  try {
    if (Number(readFileSync(path, 'utf8')) >= enough) return
    writeFileSync(path, `${enough}\n`)
    emit({ code: 'notice', message: `fs.inotify.max_user_instances of this machine is now ${enough}: each host needs some` })
  } catch {
    emit({
      code: 'warning',
      message: `fs.inotify.max_user_instances of this machine is below ${enough} and cannot be raised: from about 15 hosts on some will not boot`,
    })
  }
}
