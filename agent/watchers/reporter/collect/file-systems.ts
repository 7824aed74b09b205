/** File systems of the host. */
import { fillOf } from '../../../adapters/disk-fill.ts'
import { type Mount, readMounts } from '../../../adapters/mounts.ts'
import type { Collector } from '../collector.ts'
import { discovered, keyOf } from '../value.ts'

export const fileSystems: Collector = {
  name: 'file systems',
  every: 60,
  async collect({ signal }) {
    const mounts = concerned(await readMounts())
    // One after the other: a disk that is slow takes one thread of the agent, not all.
    const samples = []
    for (const { mountPoint, fsType } of mounts) {
      const fill = await fillOf(mountPoint, fsType, signal)
      samples.push(
        { key: keyOf('hive.fs.total', mountPoint), value: fill.totalBytes },
        { key: keyOf('hive.fs.free', mountPoint), value: fill.freeBytes },
        { key: keyOf('hive.fs.pused', mountPoint), value: fill.usedPercent },
        { key: keyOf('hive.fs.inodes.pfree', mountPoint), value: fill.freeInodesPercent },
      )
    }
    return [
      { key: 'hive.fs.discovery', value: discovered(mounts.map(({ mountPoint, fsType }) => ({ '{#FSNAME}': mountPoint, '{#FSTYPE}': fsType }))) },
      ...samples,
    ]
  },
}

const onDisk = /^(ext[234]|xfs|btrfs|vfat|zfs|jfs|f2fs|nfs4?|cifs|ceph|overlay)$/
/** Volumes are reported where they are used; the rest is of the system's own making. */
const inside = /^(\/dev|\/sys|\/run|\/proc|\/var\/lib\/docker\/.|\/var\/lib\/containerd\/.|\/etc\/(hosts|hostname|resolv\.conf)$|.+\/shm$)/

/** Each file system once, where all of it is mounted and it can be written; an overlay only as the root of all. */
export function concerned(mounts: readonly Mount[]): readonly Mount[] {
  const byDevice = new Map<string, Mount>()
  for (const mount of mounts) {
    if (!onDisk.test(mount.fsType) || inside.test(mount.mountPoint) || (mount.fsType === 'overlay' && mount.mountPoint !== '/')) continue
    if (mount.readOnly && mount.mountPoint !== '/') continue
    const known = byDevice.get(mount.device)
    if (known === undefined || mount.mountPoint.length < known.mountPoint.length) byDevice.set(mount.device, mount)
  }
  return [...byDevice.values()]
}
