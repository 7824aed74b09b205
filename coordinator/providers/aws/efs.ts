/** The stage's file system in the account: looked at, made, and taken away. Found by token and tags, nothing by memory. */
import type { EFSClient } from '@aws-sdk/client-efs'
import { HiveError } from '../../../proto/errors.ts'
import type { EfsAddress } from './efs-address.ts'
import { EfsCalls, type EfsContext } from './efs-calls.ts'
import {
  type EfsFound,
  type EfsIdentity,
  type EfsTarget,
  type EfsWant,
  groupsOf,
  isGoing,
  ownership,
  ownTags,
  subnetsByZone,
  tagsToSet,
  targetIn,
} from './efs-plan.ts'
import { untilAnswer } from './efs-wait.ts'

export type { EfsContext } from './efs-calls.ts'

/** Seconds. AWS says 90 s for a mount target; the rest is for a bad day. */
const patience = 900

/**
 * Read only. undefined: there is none. A file system of hive-builder's is the stage's where it has a mount target in one of the stage's
 * subnets: its tags are the same for all stages. Throws HiveError 'conflict' where several could be meant.
 */
export const observeEfs = (client: EFSClient, identity: EfsIdentity, context: Omit<EfsContext, 'emit'>): Promise<EfsFound | undefined> =>
  observe(new EfsCalls(client, context), identity)

async function observe(calls: EfsCalls, identity: EfsIdentity): Promise<EfsFound | undefined> {
  const all = (await calls.fileSystems(identity.name)).map((listed) => ({ listed, of: ownership(listed, identity) }))
  const own = all.filter(({ of }) => of === 'own').map(({ listed }) => listed)
  const alive = own.filter(({ lifeCycle }) => !isGoing(lifeCycle))
  const adoptable = alive.length > 0 ? [] : all.filter(({ of, listed }) => of === 'hive-builder' && !isGoing(listed.lifeCycle)).map(({ listed }) => listed)
  const subnetIds = new Set(identity.subnets.flatMap(({ id }) => (id === undefined ? [] : [id])))
  const candidates = await Promise.all(
    [...alive, ...adoptable].map(async (listed) => ({ listed, targets: await calls.mountTargets(listed.fileSystemId, identity.subnets) })),
  )
  const found = candidates.filter(({ listed, targets }) => alive.includes(listed) || targets.some(({ subnetId }) => subnetIds.has(subnetId)))
  if (found.length > 1)
    throw new HiveError('conflict', `several file systems could be ${identity.name}: ${found.map(({ listed }) => listed.fileSystemId).join(', ')}`, {
      hint: `take the tags ${Object.entries(ownTags(identity))
        .map(([key, value]) => `${key}=${value}`)
        .join(', ')} from those that are not this stage's`,
    })
  const going = own.find(({ lifeCycle }) => isGoing(lifeCycle))
  const [one] = found.length > 0 ? found : going === undefined ? [] : [{ listed: going, targets: [] }]
  if (one === undefined) return undefined
  const { creationToken: _, ...listed } = one.listed
  return { ...listed, targets: await Promise.all(one.targets.map((target) => withGroups(calls, target))) }
}

const withGroups = async (calls: EfsCalls, target: Omit<EfsTarget, 'securityGroups'>): Promise<EfsTarget> => ({
  ...target,
  securityGroups: isGoing(target.lifeCycle) ? [] : await calls.groupsOf(target.id),
})

/**
 * Makes the file system and its mount targets as asked for, and waits until they can be used. Idempotent: where nothing differs no
 * call is made; after an interruption or a lost answer, again comes to the same end. Throws HiveError.
 */
export async function applyEfs(client: EFSClient, want: EfsWant, found: EfsFound | undefined, context: EfsContext): Promise<EfsAddress> {
  const calls = new EfsCalls(client, context)
  const there = found === undefined || isGoing(found.lifeCycle) ? await create(calls, want, found) : found
  const { fileSystemId } = there
  if (there.lifeCycle !== 'available') await usable(calls, fileSystemId, want.name)
  const missing = tagsToSet(want, there)
  if (Object.keys(missing).length > 0) await calls.tag(fileSystemId, missing)
  const zones = subnetsByZone(want)
  if (zones.some(({ zone }) => targetIn(there, zone) === undefined))
    context.emit({ code: 'notice', message: `${want.name}: new mount targets, which AWS takes a minute or two for` })
  await allOf(zones.map((subnet) => mountTarget(calls, want, there, subnet)))
  const region = await calls.region()
  return { fileSystemId, dnsName: `${fileSystemId}.efs.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}` }
}

/** One that is being deleted holds the token until it is gone; one that an answer got lost of is found by it. */
async function create(calls: EfsCalls, want: EfsWant, going: EfsFound | undefined): Promise<EfsFound> {
  if (going !== undefined) await gone(calls, going.fileSystemId, want.name)
  return untilAnswer(
    `file system ${want.name}`,
    async () => {
      const id = await calls.createFileSystem(want)
      if (id === undefined) {
        const found = await observe(calls, want)
        return found === undefined || isGoing(found.lifeCycle) ? undefined : found
      }
      return { fileSystemId: id, lifeCycle: 'creating', encrypted: want.encrypted, kmsKeyId: want.kmsKeyId, tags: { ...tagsOf(want) }, targets: [] }
    },
    { ...calls, seconds: patience },
  )
}

/** CreateFileSystem sets them all. */
const tagsOf = (want: EfsWant): Readonly<Record<string, string>> =>
  tagsToSet(want, { fileSystemId: '', lifeCycle: '', encrypted: false, kmsKeyId: undefined, tags: {}, targets: [] })

const usable = (calls: EfsCalls, id: string, name: string): Promise<true> =>
  untilAnswer(
    `file system ${name}`,
    async () => {
      const state = await calls.fileSystemState(id)
      if (state === 'error') throw new HiveError('not-converged', `file system ${id} (${name}) is in state error`)
      return state === 'available' || state === 'updating' ? true : undefined
    },
    { ...calls, seconds: patience },
  )

/** Whatever has become of it: one that is being made cannot be deleted. */
const made = (calls: EfsCalls, id: string, name: string): Promise<true> =>
  untilAnswer(`file system ${name}`, async () => ((await calls.fileSystemState(id)) === 'creating' ? undefined : true), { ...calls, seconds: patience })

const gone = (calls: EfsCalls, id: string, name: string): Promise<true> =>
  untilAnswer(
    `the end of file system ${name}`,
    async () => {
      const state = await calls.fileSystemState(id)
      return state === undefined || state === 'deleted' ? true : undefined
    },
    { ...calls, seconds: patience },
  )

/** A zone's mount target is there, reachable by the site's hosts, and available. */
async function mountTarget(calls: EfsCalls, want: EfsWant, there: EfsFound, subnet: EfsWant['subnets'][number]): Promise<void> {
  const { securityGroupId: group } = want
  const { id, name, zone } = subnet
  if (id === undefined || group === undefined)
    throw new HiveError('internal', `the mount target of ${want.name} in ${zone} needs a subnet and a security group that exist`)
  const known = targetIn(there, zone)
  if (known?.lifeCycle === 'available' && known.securityGroups.includes(group)) return
  let first = known
  await untilAnswer(
    `the mount target of ${want.name} in ${zone}`,
    async () => {
      const target = first ?? (await lookAt(calls, want, there.fileSystemId, zone))
      first = undefined
      if (target === undefined) {
        await calls.createMountTarget(there.fileSystemId, { name, id }, group)
        return undefined
      }
      if (target.lifeCycle === 'error')
        throw new HiveError('not-converged', `the mount target ${target.id} of ${want.name} in ${zone} is in state error`, {
          hint: 'delete it in the EFS console and run again',
        })
      if (target.lifeCycle !== 'available') return undefined
      if (target.securityGroups.includes(group)) return true
      return (await calls.setGroups(target.id, groupsOf(target, group))) ? true : undefined
    },
    { ...calls, seconds: patience },
  )
}

async function lookAt(calls: EfsCalls, want: EfsWant, fileSystemId: string, zone: string): Promise<EfsTarget | undefined> {
  const targets = await calls.mountTargets(fileSystemId, want.subnets)
  const target = targets.find((one) => one.zone === zone && !isGoing(one.lifeCycle))
  return target === undefined ? undefined : withGroups(calls, target)
}

/**
 * Deletes the mount targets, waits until their network interfaces are gone (before that neither subnets nor the security group can be
 * deleted), then the file system with all that is on it. Idempotent; undefined: nothing to do. Throws HiveError.
 */
export async function destroyEfs(client: EFSClient, identity: EfsIdentity, found: EfsFound | undefined, context: EfsContext): Promise<void> {
  if (found === undefined) return
  const calls = new EfsCalls(client, context)
  const { fileSystemId } = found
  if (!isGoing(found.lifeCycle)) {
    if (found.lifeCycle === 'creating') await made(calls, fileSystemId, identity.name)
    // Without its mount targets one of hive-builder's would not be known as this stage's any more.
    const claim = Object.entries(ownTags(identity)).filter(([key, value]) => found.tags[key] !== value)
    if (claim.length > 0) await calls.tag(fileSystemId, Object.fromEntries(claim))
    await allOf(found.targets.filter(({ lifeCycle }) => !isGoing(lifeCycle)).map(({ id }) => calls.deleteMountTarget(id)))
    await untilAnswer(
      `the end of the mount targets of ${identity.name}`,
      async () => {
        const left = (await calls.mountTargets(fileSystemId, identity.subnets)).filter(({ lifeCycle }) => lifeCycle !== 'deleted')
        if (left.length === 0) return true
        // Those that another run made meanwhile, or that could not be deleted while they were being made.
        await allOf(left.filter(({ lifeCycle }) => lifeCycle !== 'deleting').map(({ id }) => calls.deleteMountTarget(id)))
        return undefined
      },
      { ...calls, seconds: patience },
    )
    await untilAnswer(`the deletion of ${identity.name}`, async () => ((await calls.deleteFileSystem(fileSystemId)) ? true : undefined), {
      ...calls,
      seconds: patience,
    })
  }
  await gone(calls, fileSystemId, identity.name)
}

/** Waits for all, then throws the first failure: none goes on unseen. */
async function allOf(work: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason
}
