/** Whether a host's part of a mirrored volume may be removed, from what was found there. Pure. */

import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import { Disruption } from '#gen/hive/v1/step.ts'
import type { RemoveMirroredVolume } from '#gen/hive/v1/steps_storage.ts'
import type { Holder } from '../../adapters/mounts.ts'
import { blocked, type CheckOutcome, change, ok } from '../executor.ts'

export interface RemovalFacts {
  /** The device that the docker volume of that name mounts; '' where it names none, undefined without such a volume. */
  readonly dockerDevice: string | undefined
  /** Names of containers that have it, running or not. */
  readonly containers: readonly string[]
  /** Names of swarm services that mount it. */
  readonly services: readonly string[]
  readonly resource: DrbdResourceStatus | undefined
  readonly holders: readonly Holder[]
  /** Its resource file and what belongs to it. */
  readonly files: readonly string[]
  readonly unitEnabled: boolean
  readonly unitActive: boolean
  /** Those that have a logical volume of that name. */
  readonly volumeGroups: readonly string[]
}

export function decideRemoval({ name, minor }: Pick<RemoveMirroredVolume, 'name' | 'minor'>, facts: RemovalFacts): CheckOutcome {
  const { dockerDevice, resource, volumeGroups } = facts
  const device = `/dev/drbd${minor}`
  if (dockerDevice !== undefined && dockerDevice !== device)
    return blocked(
      `the docker volume ${name} on this host is not that of ${device}${dockerDevice === '' ? '' : ` but of ${dockerDevice}`}`,
      `look at it: docker volume inspect ${name}; what is not the mirrored volume is removed by hand`,
    )
  const other = resource?.devices.find((one) => one.minor !== minor)
  if (other !== undefined)
    return blocked(`the resource ${name} on this host has the minor ${other.minor}, not ${minor}`, 'look at drbdadm status and /etc/drbd.d')
  const user = userOf(facts)
  if (user !== undefined) return blocked(`is in use: ${user}`, 'stop what uses it, then do it again')
  const parts = [
    ...(dockerDevice === undefined ? [] : ['docker volume']),
    ...(resource === undefined ? [] : ['resource']),
    ...facts.files,
    ...(facts.unitEnabled ? [`drbd-resource@${name}.service`] : []),
    ...volumeGroups.map((group) => `logical volume ${group}/${name}`),
  ]
  if (parts.length === 0) return ok
  return change(volumeGroups.length === 0 ? 'is to be removed' : 'its data on this host is to be removed', parts.join(', '), '', Disruption.DESTROY)
}

/** Who uses the volume, in words; undefined: nobody. */
function userOf({ services, containers, holders, resource }: RemovalFacts): string | undefined {
  if (services.length > 0) return `service ${services.join(', ')} mounts it`
  if (containers.length > 0) return `container ${containers.join(', ')} has it`
  const [holder] = holders
  if (holder !== undefined) return holder.kind === 'device' ? `the device ${holder.what}` : `${holder.command} (pid ${holder.pid}): ${holder.what}`
  if (resource?.role === 'Primary') return 'this host is its Primary'
  if (resource?.devices.some(({ open }) => open) === true) return 'its device is open'
  const primary = resource?.connections.find(({ peerRole }) => peerRole === 'Primary')
  return primary === undefined ? undefined : `${primary.name} is its Primary`
}

/** The volume groups that a resource file names for this volume: normally one, the same on all hosts. */
export const volumeGroupIn = (text: string, name: string): readonly string[] => [
  ...new Set([...text.matchAll(/^\s*disk\s+"?\/dev\/([\w+.-]+)\/([\w+.-]+)"?\s*;/gm)].flatMap(([, group = '', volume]) => (volume === name ? [group] : []))),
]
