/** All that is known of a stage at one moment, side by side: what the doctor concludes from where it looks at the whole site. */
import type { HostCondition, SwarmView } from '#gen/hive/v1/doctor.ts'
import type { ZabbixProblem } from '#gen/hive/v1/zabbix.ts'
import type { Service } from '../inventory/site.ts'
import type { HostPower } from '../providers/provider.ts'
import { isDead, parseOwner } from '../run/process-identity.ts'

export interface WholePicture {
  readonly now: Date
  readonly hosts: readonly HostSight[]
  /** Of the stage, by the inventory. */
  readonly services: readonly (Pick<Service, 'name' | 'mode' | 'replicas'> & { readonly constraints: readonly string[] })[]
  /** Overlay networks of the stage. */
  readonly networks: readonly string[]
  readonly certificates: {
    /** What hosts must refuse. */
    readonly revoked: readonly { readonly serial: string; readonly name: string; readonly role: string }[]
    /** undefined: the stage has no CA yet. */
    readonly authorityEnds: Date | undefined
  }
  /** What Zabbix has open; undefined: there is none, or it was not asked. */
  readonly alerts: readonly ZabbixProblem[] | undefined
}

export interface HostSight {
  readonly name: string
  readonly shortName: string
  readonly isHive: boolean
  readonly isManager: boolean
  /** Labels that its node is to have. */
  readonly groups: readonly string[]
  readonly power: HostPower
  /** Why its agent gave no answer. */
  readonly error: string | undefined
  /** Whether ssh lets in; undefined: nobody tried. */
  readonly ssh: boolean | undefined
  readonly agentVersion: string | undefined
  /** undefined: the agent does not answer, or is of a version that tells no condition. */
  readonly condition: HostCondition | undefined
  /** Between these its clock was read, by this machine's clock. */
  readonly asked: Date
  readonly answered: Date
}

/** What swarm is, as the first of the managers says that has a majority behind it, with a leader before one without. */
export const swarmOf = ({ hosts }: { readonly hosts: readonly Pick<HostSight, 'condition'>[] }): SwarmView | undefined => {
  const views = hosts.flatMap(({ condition }) => condition?.swarm ?? [])
  return views.find(({ nodes }) => nodes.some(({ leader }) => leader)) ?? views[0]
}

/** A coordinator is at work: what it has taken out for now is no finding. `dead`: whether who holds the lock is a dead process of this machine. */
export const isBusy = ({ hosts }: Pick<WholePicture, 'hosts'>, dead: (owner: string) => boolean = isDeadOwner): boolean =>
  hosts.some(({ condition }) => condition?.lock?.held === true && !dead(condition.lock.owner))

export function isDeadOwner(owner: string): boolean {
  const parsed = parseOwner(owner)
  return parsed !== undefined && isDead(parsed)
}
