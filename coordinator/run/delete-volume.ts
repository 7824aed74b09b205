/** A mirrored volume that the inventory has no more is deleted from all hosts; only then is its device id free for another one. */
import { HiveError } from '../../proto/errors.ts'
import { allocationsIn, readPersistents, updatePersistents, withAllocations } from '../inventory/persistents.ts'
import { volumeName } from '../inventory/resolve-resources.ts'
import type { Site } from '../inventory/site.ts'
import { removalOf } from '../phases/build-volumes/remove-mirrored-volume.ts'
import { type DeployInput, type DeployResult, deployPhases } from './deploy.ts'

/**
 * Does nothing unless every host that answers could do its part. Hosts that do not answer are in the result; doing it again finishes the
 * job. Throws HiveError 'blocked' while the inventory has the volume, 'not-found' for a name that no mirrored volume ever had.
 */
export async function deleteVolume(input: Omit<DeployInput, 'phases' | 'allow' | 'command' | 'limit'>, name: string): Promise<DeployResult> {
  const { site } = input
  const minor = removable(site, name)
  const everything = { hosts: undefined, services: undefined, volumes: undefined }
  const result = await deployPhases({ ...input, phases: [removalOf(name, minor)], allow: new Set([name]), limit: everything, command: `volume delete ${name}` })
  if (result.ok && result.unreachable.length === 0) await freeDeviceId(site, name, minor)
  return result
}

/** Its device id, or why it is not deleted. */
export function removable(site: Pick<Site, 'root' | 'stage' | 'volumes' | 'services' | 'groups'>, name: string): number {
  const users = site.services.filter(({ mounts }) => mounts.some(({ type, source }) => type === 'volume' && source === name)).map((service) => service.name)
  if (users.length > 0 || site.volumes.some((volume) => volume.name === name))
    throw new HiveError('blocked', `the inventory has the volume ${name}${users.length === 0 ? '' : `, mounted by ${users.join(', ')}`}`, {
      hint: 'take it out of the inventory and deploy, then delete it',
    })
  const { devices } = allocationsIn(readPersistents(site.root), site.stage)
  const minor = devices[name]
  if (minor === undefined) {
    const gone = leftVolumes(site)
    throw new HiveError('not-found', `stage ${site.stage} has given no device id to a mirrored volume ${name}`, {
      hint: gone.length === 0 ? 'no mirrored volume is left over' : `volumes that the inventory has no more: ${gone.join(', ')}`,
    })
  }
  return minor
}

/** Names that have a device id of the stage, and no volume in the inventory, whatever its stages. */
export const leftVolumes = ({ root, stage, groups }: Pick<Site, 'root' | 'stage' | 'groups'>): readonly string[] => {
  const defined = new Set(groups.get('drbd_volumes'))
  return Object.keys(allocationsIn(readPersistents(root), stage).devices).filter((name) => !defined.has(volumeName(name)))
}

async function freeDeviceId(site: Site, name: string, minor: number): Promise<void> {
  await updatePersistents(site.root, (now) => {
    const allocations = allocationsIn(now, site.stage)
    // Somebody else may have been faster, and given the name another one.
    if (allocations.devices[name] !== minor) return { next: undefined, answer: undefined }
    const devices = Object.fromEntries(Object.entries(allocations.devices).filter(([volume]) => volume !== name))
    return { next: withAllocations(now, site.stage, { ...allocations, devices }), answer: undefined }
  })
}
