/** `hive_mirrored_disk_devices`: on which of a host's disks mirrored volumes lie, with hive-builder's default. */
import { type Converter, textOf } from './convert.ts'
import { describe, isMapping, type Mapping } from './mapping.ts'
import type { MirroredPool } from './site.ts'
import { didYouMean } from './suggest.ts'

export const defaultVolumeGroup = 'drbdvg'

const variable = 'hive_mirrored_disk_devices'

const defaults: readonly MirroredPool[] = [
  {
    volumeGroup: defaultVolumeGroup,
    thinPool: 'drbdpool',
    devices: ['/dev/disk/azure/scsi1/lun0', '/dev/sdc', '/dev/sdb', '/dev/vdc', '/dev/vdb', '/dev/xvdb', '/dev/nvme1n1', '/dev/sda'],
  },
]

const keys = ['device_order', 'vgname', 'poolname']
const example = 'write [{device_order: [/dev/sdb], vgname: drbdvg, poolname: drbdpool}]'
const namePattern = /^[A-Za-z0-9_+.][A-Za-z0-9_+.-]*$/

/** A host's pools. What is wrong is told with its place, and left out. */
export const mirroredPools = (read: Converter): readonly MirroredPool[] => {
  const list = read.list(variable)
  if (list.length === 0) return defaults
  const seen = new Set<string>()
  return list.flatMap((entry, index) => {
    if (!isMapping(entry)) {
      read.wrong(variable, `an entry must be a mapping, but is ${describe(entry)}`, example, read.within(variable, index))
      return []
    }
    const pool = poolOf(entry, index, read)
    if (pool !== undefined && seen.has(pool.volumeGroup))
      return (
        read.wrong(variable, `the volume group ${pool.volumeGroup} is there twice`, 'give each its own vgname', read.within(variable, index, 'vgname')) ?? []
      )
    if (pool !== undefined) seen.add(pool.volumeGroup)
    return pool ?? []
  })
}

const poolOf = (entry: Mapping, index: number, read: Converter): MirroredPool | undefined => {
  const wrong = (key: string, message: string, instead: string): undefined => read.wrong(variable, message, instead, read.within(variable, index, key))
  for (const key of Object.keys(entry)) if (!keys.includes(key)) wrong(key, `unknown key '${key}'`, didYouMean(key, keys))
  const { device_order: order, vgname, poolname } = entry
  if (!Array.isArray(order) || order.length === 0) return wrong('device_order', "'device_order' must be a list of disks", 'write device_order: [/dev/sdb]')
  const devices = order.map(textOf)
  const other = devices.find((device) => !/^\/dev\/[^\s]+$/.test(device))
  if (other !== undefined) return wrong('device_order', `'${other}' is no disk`, 'write paths below /dev, as /dev/sdb')
  const volumeGroup = vgname === undefined || vgname === null ? '' : textOf(vgname)
  if (!namePattern.test(volumeGroup)) return wrong('vgname', `'vgname' must be the name of a volume group`, `write vgname: ${defaultVolumeGroup}`)
  const thinPool = poolname === undefined || poolname === null || poolname === '' ? undefined : textOf(poolname)
  if (thinPool !== undefined && !namePattern.test(thinPool)) return wrong('poolname', `'${thinPool}' is no name of a thin pool`, 'write poolname: drbdpool')
  return { volumeGroup, thinPool, devices }
}
