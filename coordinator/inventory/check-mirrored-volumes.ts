/** What cannot be mirrored as the inventory says, told with its place before anything is touched. */
import { eligibleHosts } from '../phases/deploy-services/eligible-hosts.ts'
import type { ServiceDefinition } from './definitions.ts'
import { defaultVolumeGroup } from './mirrored-pools.ts'
import { diskConstraints, holdsDisk, mirroredVolumesOf, mirrorsWithDrbd, poolOn } from './mirrored-volumes.ts'
import type { Findings } from './problems.ts'
import { wholeExtents } from './quantities.ts'
import { placeOf, type VolumeDefinition } from './resolve-resources.ts'
import type { Host, Site, Volume } from './site.ts'
import { didYouMean } from './suggest.ts'
import { startOf } from './yaml-source.ts'

/** DRBD's metadata is made with room for seven peers. */
export const mostDisks = 8

/** The smallest file system that newer mkfs.xfs makes, with room for DRBD's metadata, bytes. */
const smallestXfs = 304n * 2n ** 20n

/** `definitions`: of the site's volumes, by name; `services`: in the order of the site's. */
export const checkMirroredVolumes = (
  site: Site,
  definitions: ReadonlyMap<string, VolumeDefinition>,
  services: readonly ServiceDefinition[],
  findings: Findings,
): void => {
  const hives = site.hosts.filter((host) => host.isHive)
  const isDrbd = mirrorsWithDrbd(site)
  for (const volume of mirroredVolumesOf(site)) {
    const definition = definitions.get(volume.name)
    if (definition === undefined) continue
    const tell = teller(definition, findings)
    checkName(volume, tell)
    if (!isDrbd) continue
    checkDisks(volume, hives, tell)
    checkPools(volume, hives, tell)
    if (volume.fstype === 'xfs' && volume.sizeBytes !== undefined && wholeExtents(volume.sizeBytes) < smallestXfs)
      tell.notice('size', 'newer mkfs.xfs makes no file system below 300 MB: a volume that is there stays, a new one needs size: 304M or more, or fstype: ext4')
  }
  if (isDrbd) checkPlacement(site, services, findings)
}

interface Teller {
  problem(key: string, message: string, instead: string): void
  notice(key: string, text: string): void
}

const teller = ({ use }: VolumeDefinition, findings: Findings): Teller => ({
  problem: (key, message, instead) => findings.problem(placeOf(use, key), `${use.path}.drbd`, message, instead),
  notice: (key, text) => findings.noticeAt(placeOf(use, key), `${use.path}.drbd`, text),
})

/** The name is that of a docker volume, a logical volume, a resource and a file. */
const checkName = ({ name }: Volume, tell: Teller): void => {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]+$/.test(name) || name === 'all')
    tell.problem('source', `'${name}' can't be the name of a mirrored volume`, 'use two or more letters, digits, _ . and -, a letter or digit first')
}

const checkDisks = (volume: Volume, hives: readonly Host[], tell: Teller): void => {
  const disks = hives.filter((host) => holdsDisk(volume, host)).length
  if (disks === 0)
    tell.problem('diskless', `no host of the stage would hold a disk of '${volume.name}'`, 'leave hosts out of diskless, or away with hive_no_mirrored_device')
  else if (disks > mostDisks)
    tell.problem('diskless', `${disks} hosts would hold a disk of '${volume.name}', the most are ${mostDisks}`, 'name hosts in diskless: [HOST, …]')
  else if (disks === 1) tell.notice('diskless', `'${volume.name}' is on the disk of one host alone: nothing takes over when that is lost`)
  else if (hives.length === 2)
    tell.notice('diskless', `'${volume.name}' has two hosts: when one is lost the other has no majority and stops writing; add a third`)
}

/** Every host with a disk has the volume group, and all of them the same kind of volumes in it. */
const checkPools = (volume: Volume, hives: readonly Host[], tell: Teller): void => {
  const group = volume.volumeGroup ?? defaultVolumeGroup
  const holders = hives.filter((host) => holdsDisk(volume, host))
  const without = holders.find((host) => poolOn(volume, host) === undefined)
  if (without !== undefined) {
    const groups = without.settings.mirroredPools.map(({ volumeGroup }) => volumeGroup)
    const instead = volume.volumeGroup === undefined ? `add vgname: ${groups[0] ?? defaultVolumeGroup}` : didYouMean(group, groups)
    tell.problem('vgname', `${without.name} has no volume group '${group}' in hive_mirrored_disk_devices`, instead)
    return
  }
  const [first, ...others] = holders.map((host) => ({ name: host.name, pool: poolOn(volume, host)?.thinPool }))
  const other = others.find(({ pool }) => pool !== first?.pool)
  if (first !== undefined && other !== undefined)
    tell.problem(
      'vgname',
      `the thin pool of ${group} is ${first.pool ?? 'none'} on ${first.name} and ${other.pool ?? 'none'} on ${other.name}`,
      'write the same poolname for all hosts in hive_mirrored_disk_devices',
    )
}

/** A service needs a host that holds a disk of every mirrored volume it mounts. Of a volume without any disk enough is said. */
const checkPlacement = (site: Site, services: readonly ServiceDefinition[], findings: Findings): void => {
  const hives = site.hosts.filter((host) => host.isHive)
  const lost = mirroredVolumesOf(site).filter((volume) => !hives.some((host) => holdsDisk(volume, host)))
  for (const service of site.services) {
    if (service.mounts.some(({ source }) => lost.some(({ name }) => name === source))) continue
    const away = diskConstraints(service, site)
    if (away.length === 0) continue
    const definition = services.find(({ name }) => name === service.name)
    if (definition === undefined || eligibleHosts({ ...service, constraints: [...service.constraints, ...away] }, site).length > 0) continue
    findings.problem(
      startOf(definition.source),
      definition.path,
      'no host is left that its placement allows and that holds a disk of every mirrored volume it mounts',
      `its volumes keep it off ${away.map((constraint) => constraint.replace(/^.*!=/, '')).join(', ')}: change placement or diskless`,
    )
  }
}
