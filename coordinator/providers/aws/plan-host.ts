/** What a host's instance, disks and address lack. Pure. */
import { Disruption } from '#gen/hive/v1/step.ts'
import type { ProviderAction } from '../provider.ts'
import type { FoundInstance, FoundVolume } from './found.ts'
import { type AwsFound, liveInstance, mirroredDisksOf } from './observe.ts'
import { action, blocked, ids, type Part } from './plan-actions.ts'
import { hostTag } from './tags.ts'
import { type AwsWant, type HostWant, mirroredDevice } from './want.ts'

export interface AwsPlan {
  readonly actions: readonly ProviderAction[]
  readonly notices: readonly string[]
}

const gb = (size: number | undefined): string => (size === undefined ? "the image's size" : `${size} GB`)
const yes = (host: HostWant): string => `deploy does it with --allow ${host.host.shortName}`

export function planHost(want: AwsWant, found: AwsFound, host: HostWant): AwsPlan {
  const actions: ProviderAction[] = []
  const notices: string[] = []
  const of = (part: Part): ProviderAction => action({ ...part, host: host.name })
  const instance = liveInstance(found, host.name)
  const twins = found.instances.filter(({ name, state }) => name === host.name && state !== 'shutting-down')
  if (twins.length > 1) {
    const names = twins.map(({ id }) => id).join(', ')
    return {
      actions: [
        blocked(
          ids.create(host.name),
          'Choose the instance of the host',
          `there are ${twins.length} of its name: ${names}`,
          'terminate the one that is not in use',
          host.name,
        ),
      ],
      notices,
    }
  }
  const [disk, ...otherDisks] = mirroredDisksOf(found, host.name, mirroredDevice)
  if (host.mirrored !== undefined && otherDisks.length > 0) {
    const names = [disk, ...otherDisks].map((volume) => volume?.id).join(', ')
    actions.push(
      blocked(
        ids.disk(host.name),
        'Choose the disk for mirrored volumes',
        `there are ${otherDisks.length + 1} of this host: ${names}`,
        'detach nothing; remove the tag hive:host of those that are not in use',
        host.name,
      ),
    )
  }
  const replacement = instance === undefined ? undefined : whyReplace(want, found, host, instance)
  if (instance === undefined) {
    actions.push(
      of({
        id: ids.create(host.name),
        title: 'Create the instance',
        reason: 'there is none',
        after: [host.instanceType, host.address, `${gb(host.root.sizeGb)} root disk`, ...(host.mirrored === undefined ? [] : [mirroredText(host, disk)])].join(
          ', ',
        ),
      }),
    )
    if (disk !== undefined && host.mirrored !== undefined) actions.push(...misplaced(want, found, host, disk))
  } else if (replacement !== undefined) {
    actions.push(
      of({
        id: ids.replace(host.name),
        title: 'Replace the instance',
        reason: `${replacement}; ${yes(host)}, its root disk is lost`,
        before: `${instance.id}: ${instance.privateIp} in ${instance.zone}`,
        after: `another instance at ${host.address}`,
        disruption: Disruption.DESTROY,
        needsYes: true,
      }),
    )
  } else actions.push(...planInstance(want, found, host, instance, disk, of))
  actions.push(...planAddress(found, host, instance, of))
  const spare = found.addresses.filter(({ tags, instanceId }) => tags[hostTag] === host.name && instanceId === undefined)
  const used = found.addresses.some(({ instanceId }) => instanceId !== undefined && instanceId === instance?.id) || host.publishedIp !== undefined
  if (used && spare.length > 0)
    notices.push(
      `the elastic address ${spare.map(({ publicIp }) => publicIp).join(', ')} of ${host.name} is not used and costs money: release it, or leave it to destroy`,
    )
  return { actions, notices }
}

const mirroredText = (host: HostWant, disk: FoundVolume | undefined): string =>
  disk === undefined ? `${gb(host.mirrored?.sizeGb)} disk for mirrored volumes` : `the disk ${disk.id} for mirrored volumes that its last instance left`

function misplaced(want: AwsWant, found: AwsFound, host: HostWant, disk: FoundVolume): readonly ProviderAction[] {
  const subnet = subnetOfHost(want, found, host)
  if (subnet === undefined || subnet.zone === disk.zone) return []
  return [
    blocked(
      ids.disk(host.name),
      'Attach the disk for mirrored volumes',
      `it is in ${disk.zone}, and the host would be in ${subnet.zone}`,
      'give the subnet its zone back; or delete the disk, then the volumes are mirrored from the other hosts again',
      host.name,
    ),
  ]
}

const subnetOfHost = (want: AwsWant, found: AwsFound, host: HostWant) => {
  const wanted = want.subnets.find(({ name }) => name === host.subnet)
  return found.subnets.find(({ cidr }) => cidr === wanted?.cidr)
}

function whyReplace(want: AwsWant, found: AwsFound, host: HostWant, instance: FoundInstance): string | undefined {
  if (instance.privateIp !== host.address) return `its address is ${instance.privateIp}, and an instance keeps its address`
  const subnet = subnetOfHost(want, found, host)
  if (subnet !== undefined && instance.subnetId !== subnet.id) return `it is in another subnet (${instance.subnetId})`
  return undefined
}

function planInstance(
  want: AwsWant,
  found: AwsFound,
  host: HostWant,
  instance: FoundInstance,
  disk: FoundVolume | undefined,
  of: (part: Part) => ProviderAction,
): readonly ProviderAction[] {
  const actions: ProviderAction[] = []
  const isOn = instance.state === 'running' || instance.state === 'pending'
  if (instance.type !== host.instanceType)
    actions.push(
      of({
        id: ids.type(host.name),
        title: 'Change the instance type',
        reason: isOn ? `it differs; the host must stop for it: ${yes(host)}` : 'it differs',
        before: instance.type,
        after: host.instanceType,
        ...(isOn ? { disruption: Disruption.REBOOT, needsYes: true as const } : {}),
      }),
    )
  if (!isOn) actions.push(of({ id: ids.start(host.name), title: 'Start the instance', reason: 'it is off', before: instance.state, after: 'running' }))
  const group = found.groups.find(({ vpcId }) => vpcId === instance.vpcId)
  if (group === undefined || !instance.groups.includes(group.id))
    actions.push(
      of({
        id: ids.joinGroup(host.name),
        title: `Put the host into the security group ${want.groupName}`,
        reason: 'it is not in it',
        before: instance.groups.join(', '),
        after: [...instance.groups, want.groupName].join(', '),
      }),
    )
  const root = found.volumes.find(({ id }) => id === instance.disks.get(instance.rootDevice)?.volumeId)
  actions.push(...planSize(host, root, host.root.sizeGb, 'root disk', ids.growRoot(host.name), of))
  if (host.mirrored === undefined) return actions
  const mapping = instance.disks.get(mirroredDevice)
  if (disk === undefined)
    actions.push(of({ id: ids.disk(host.name), title: 'Create the disk for mirrored volumes', reason: 'there is none', after: gb(host.mirrored.sizeGb) }))
  else if (mapping === undefined)
    actions.push(
      of({
        id: ids.disk(host.name),
        title: 'Attach the disk for mirrored volumes',
        reason: 'it is not attached',
        before: disk.id,
        after: `${disk.id} at ${mirroredDevice}`,
      }),
    )
  else {
    if (mapping.deletedWithInstance)
      actions.push(
        of({
          id: ids.keepDisk(host.name),
          title: 'Let the disk for mirrored volumes outlive its instance',
          reason: 'it would be deleted with the instance',
          before: 'deleted on termination',
          after: 'kept',
        }),
      )
    actions.push(...planSize(host, disk, host.mirrored.sizeGb, 'disk for mirrored volumes', ids.growMirrored(host.name), of))
  }
  return actions
}

function planSize(
  host: HostWant,
  volume: FoundVolume | undefined,
  sizeGb: number | undefined,
  what: string,
  id: string,
  of: (part: Part) => ProviderAction,
): readonly ProviderAction[] {
  if (volume === undefined || sizeGb === undefined || volume.sizeGb === sizeGb) return []
  if (volume.sizeGb > sizeGb)
    return [
      blocked(
        id,
        `Shrink the ${what}`,
        `it has ${volume.sizeGb} GB, and a disk can't shrink`,
        `write ${volume.sizeGb} in the inventory, or replace the host`,
        host.name,
      ),
    ]
  return [
    of({
      id,
      title: `Grow the ${what}`,
      reason: 'the inventory has a larger size',
      before: gb(volume.sizeGb),
      after: `${gb(sizeGb)}${id === ids.growRoot(host.name) ? ', used from the next boot on' : ''}`,
    }),
  ]
}

function planAddress(found: AwsFound, host: HostWant, instance: FoundInstance | undefined, of: (part: Part) => ProviderAction): readonly ProviderAction[] {
  const id = ids.address(host.name)
  const title = 'Give the host its elastic address'
  if (host.publishedIp !== undefined) {
    const address = found.published.find(({ publicIp }) => publicIp === host.publishedIp)
    if (address === undefined) return [blocked(id, title, `${host.publishedIp} is not in this account and region`, 'check hive_published_ip', host.name)]
    if (address.instanceId !== undefined && address.instanceId === instance?.id) return []
    if (address.instanceId !== undefined && !found.instances.some((other) => other.id === address.instanceId))
      return [
        blocked(
          id,
          title,
          `${host.publishedIp} belongs to the instance ${address.instanceId}, which is not of this stage`,
          'free the address, or name another one in hive_published_ip',
          host.name,
        ),
      ]
    return [of({ id, title, reason: 'it is not associated', before: '', after: host.publishedIp })]
  }
  const [address] = addressesOf(found, host)
  if (address !== undefined && address.instanceId !== undefined && address.instanceId === instance?.id) return []
  return [of({ id, title, reason: address === undefined ? 'it has none' : 'it is not associated', before: '', after: address?.publicIp ?? 'a new one' })]
}

/** Addresses of the host, the one in use first. hive-builder tagged them by name only. */
export const addressesOf = (found: Pick<AwsFound, 'addresses'>, host: Pick<HostWant, 'name'>) =>
  found.addresses
    .filter(({ tags }) => tags[hostTag] === host.name || (tags[hostTag] === undefined && (tags['Name'] === `for ${host.name}` || tags['Name'] === host.name)))
    .sort((a, b) => Number(b.instanceId !== undefined) - Number(a.instanceId !== undefined) || a.allocationId.localeCompare(b.allocationId))
