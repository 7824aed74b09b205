/** The stage's file system: what is asked for, what is there, and what lies between. Pure. */
import { createHash } from 'node:crypto'
import { HiveError } from '../../../proto/errors.ts'

export interface EfsWant {
  readonly site: string
  readonly stage: string
  /** efs-NAME; also the Name tag. */
  readonly name: string
  /** Tags that it carries beside Name, Project and hive:stage. Those that are not named are left alone. */
  readonly tags: Readonly<Record<string, string>>
  /** Decided when it is made; AWS cannot change it afterwards. */
  readonly encrypted: boolean
  /** undefined: the account's own key for EFS (aws/elasticfilesystem). */
  readonly kmsKeyId: string | undefined
  /** In the inventory's order. id: undefined as long as it is not made. */
  readonly subnets: readonly { readonly name: string; readonly zone: string; readonly id: string | undefined }[]
  readonly securityGroupId: string | undefined
}

export type EfsIdentity = Pick<EfsWant, 'site' | 'stage' | 'name' | 'tags' | 'subnets'>

export interface EfsTarget {
  readonly id: string
  readonly zone: string
  readonly subnetId: string
  /** creating, available, updating, deleting, deleted or error */
  readonly lifeCycle: string
  readonly securityGroups: readonly string[]
}

export interface EfsFound {
  readonly fileSystemId: string
  /** As EfsTarget's. */
  readonly lifeCycle: string
  readonly encrypted: boolean
  readonly kmsKeyId: string | undefined
  readonly tags: Readonly<Record<string, string>>
  readonly targets: readonly EfsTarget[]
}

export interface EfsAction {
  readonly id: string
  readonly title: string
  readonly reason: string
  readonly before: string
  readonly after: string
}

/** Tags by which a resource is known as this stage's. */
export const ownTags = ({ site, stage }: Pick<EfsWant, 'site' | 'stage'>): Readonly<Record<string, string>> => ({ Project: site, 'hive:stage': stage })

/** All tags that the file system carries. */
export const wantedTags = (want: EfsIdentity): Readonly<Record<string, string>> => ({ ...want.tags, Name: want.name, ...ownTags(want) })

/** The same for the same stage, so that a repeated CreateFileSystem makes no second one. EFS allows 64 characters. */
export const creationToken = ({ site, stage }: Pick<EfsWant, 'site' | 'stage'>): string =>
  `hive-${createHash('sha256')
    .update(JSON.stringify([site, stage]))
    .digest('hex')
    .slice(0, 40)}`

/**
 * Encryption at rest of a new file system: always, since it costs nothing and cannot be added later; with the stage's `kms_key_id`
 * where it has one.
 */
export const efsEncryption = (kmsKeyId: unknown): Pick<EfsWant, 'encrypted' | 'kmsKeyId'> => ({
  encrypted: true,
  kmsKeyId: typeof kmsKeyId === 'string' && kmsKeyId !== '' ? kmsKeyId : undefined,
})

/** What a listing says of one file system. */
export interface EfsCandidate {
  readonly fileSystemId: string
  readonly creationToken: string
  readonly tags: Readonly<Record<string, string>>
}

/** How sure it is that a file system is the stage's: by its token or tags, by hive-builder's tags (which knew no stages), or not at all. */
export function ownership({ creationToken: token, tags }: EfsCandidate, want: EfsIdentity): 'own' | 'hive-builder' | 'other' {
  if (token === creationToken(want)) return 'own'
  if (tags['Project'] !== want.site) return 'other'
  const stage = tags['hive:stage']
  if (stage !== undefined) return stage === want.stage ? 'own' : 'other'
  return tags['Name'] === want.name ? 'hive-builder' : 'other'
}

/** One zone can have one mount target: the first subnet in each, in the inventory's order. */
export const subnetsByZone = ({ subnets }: Pick<EfsWant, 'subnets'>): readonly EfsWant['subnets'][number][] =>
  subnets.filter((subnet, index) => subnets.findIndex(({ zone }) => zone === subnet.zone) === index)

/** The one to keep on using in this zone. A target in another subnet of the same zone serves as well. */
export const targetIn = (found: EfsFound | undefined, zone: string): EfsTarget | undefined =>
  found?.targets.find((target) => target.zone === zone && !isGoing(target.lifeCycle))

export const isGoing = (lifeCycle: string): boolean => lifeCycle === 'deleting' || lifeCycle === 'deleted'

/** Groups that others gave a mount target stay; EFS allows five. */
export const groupsOf = (target: EfsTarget, wanted: string): readonly string[] =>
  target.securityGroups.includes(wanted) ? target.securityGroups : [wanted, ...target.securityGroups].slice(0, 5)

export const tagsToSet = (want: EfsIdentity, found: EfsFound): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(wantedTags(want)).filter(([key, value]) => found.tags[key] !== value))

/** What apply would change, in its order; empty: nothing. Throws HiveError 'conflict' where AWS reports the file system as broken. */
export function planEfs(want: EfsWant, found: EfsFound | undefined): readonly EfsAction[] {
  const there = found === undefined || isGoing(found.lifeCycle) ? undefined : found
  if (there?.lifeCycle === 'error')
    throw new HiveError('conflict', `file system ${there.fileSystemId} (${want.name}) is in state error`, {
      hint: 'it can only be deleted: save what is on it, delete it in the EFS console, run again',
    })
  return [...fileSystem(want, there, found !== undefined), ...subnetsByZone(want).flatMap((subnet) => mountTarget(want, there, subnet))]
}

function fileSystem(want: EfsWant, there: EfsFound | undefined, going: boolean): readonly EfsAction[] {
  if (there === undefined)
    return [
      {
        id: 'efs/file-system',
        title: `Create the file system ${want.name}`,
        reason: going ? 'the former one is being deleted' : 'does not exist',
        before: '',
        after: want.encrypted ? `encrypted with ${want.kmsKeyId ?? "the account's key for EFS"}` : 'not encrypted',
      },
    ]
  const missing = tagsToSet(want, there)
  if (Object.keys(missing).length === 0) return []
  const listed = (tags: Readonly<Record<string, string>>): string =>
    Object.keys(missing)
      .filter((key) => tags[key] !== undefined)
      .map((key) => `${key}=${tags[key]}`)
      .join(', ')
  return [{ id: 'efs/tags', title: `Tag the file system ${want.name}`, reason: 'tags differ', before: listed(there.tags), after: listed(missing) }]
}

function mountTarget(want: EfsWant, there: EfsFound | undefined, { zone, name }: EfsWant['subnets'][number]): readonly EfsAction[] {
  const target = targetIn(there, zone)
  if (target === undefined)
    return [
      { id: `efs/target-${zone}`, title: `Create the mount target of ${want.name} in ${zone}`, reason: 'does not exist', before: '', after: `subnet ${name}` },
    ]
  const group = want.securityGroupId
  if (group !== undefined && target.securityGroups.includes(group)) return []
  return [
    {
      id: `efs/target-groups-${zone}`,
      title: `Let the site's hosts reach the mount target of ${want.name} in ${zone}`,
      reason: "the site's security group is missing",
      before: target.securityGroups.join(', '),
      after: group === undefined ? "the site's security group" : groupsOf(target, group).join(', '),
    },
  ]
}

/** What differs and cannot be changed: told, never acted on. */
export function efsRemarks(want: EfsWant, found: EfsFound | undefined): readonly string[] {
  if (found === undefined || isGoing(found.lifeCycle) || !want.encrypted || found.encrypted) return []
  return [`${want.name} (${found.fileSystemId}) is not encrypted, and AWS cannot change that: copy its files to a new one to have them encrypted`]
}
