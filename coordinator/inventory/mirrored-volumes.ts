/** Which hosts hold disks of mirrored volumes, and what follows for services that mount them. Pure. */
import { defaultVolumeGroup } from './mirrored-pools.ts'
import type { Host, MirroredPool, Service, Site, Volume } from './site.ts'

type Stage = Pick<Site, 'effectiveProvider' | 'hosts' | 'variable'>

/**
 * Whether mirrored volumes are DRBD's here. On one machine's nspawn hosts they are folders that the hosts share, unless the stage says
 * hive_nspawn_drbd.
 */
export const mirrorsWithDrbd = ({ effectiveProvider, hosts, variable }: Stage): boolean =>
  effectiveProvider !== 'nspawn' || hosts.some((host) => host.isHive && isTrue(variable(host.name, 'hive_nspawn_drbd')))

/** As Ansible reads a flag. */
export const isTrue = (value: unknown): boolean => value === true || (value !== undefined && /^(?:true|yes|on|1|t|y)$/i.test(String(value)))

export const holdsDisk = (volume: Pick<Volume, 'diskless'>, host: Pick<Host, 'name' | 'settings'>): boolean =>
  !volume.diskless.includes(host.name) && !host.settings.noMirroredDevice

export const mirroredVolumesOf = (site: Pick<Site, 'volumes' | 'stage'>): readonly Volume[] =>
  site.volumes.filter(({ kind, stages }) => kind === 'drbd' && stages.includes(site.stage))

/**
 * Whether hosts of this stage are made ready for DRBD: it has a mirrored volume. hive-builder looks at disks for them instead, and needs a kernel
 * module also where no volume does.
 */
export const mirrorsHere = (site: Stage & Pick<Site, 'volumes' | 'stage'>): boolean => mirrorsWithDrbd(site) && mirroredVolumesOf(site).length > 0

/** The pool of a volume on a host; undefined where the host has none of that name. */
export const poolOn = (volume: Pick<Volume, 'volumeGroup'>, host: Pick<Host, 'settings'>): MirroredPool | undefined =>
  host.settings.mirroredPools.find(({ volumeGroup }) => volumeGroup === (volume.volumeGroup ?? defaultVolumeGroup))

/**
 * Placement constraints that keep a service away from hosts that hold no disk of a volume that it mounts: a service there would work over
 * the network alone. None where every host holds one, so that services made by hive-builder stay as they are.
 */
export const diskConstraints = (service: Pick<Service, 'mounts'>, site: Stage & Pick<Site, 'volumes' | 'stage'>): readonly string[] => {
  const mounted = new Set(service.mounts.flatMap(({ type, source }) => (type === 'volume' ? [source] : [])))
  const volumes = mirroredVolumesOf(site).filter(({ name }) => mounted.has(name))
  if (volumes.length === 0 || !mirrorsWithDrbd(site)) return []
  return site.hosts.filter((host) => host.isHive && volumes.some((volume) => !holdsDisk(volume, host))).map(({ shortName }) => `node.hostname!=${shortName}`)
}
