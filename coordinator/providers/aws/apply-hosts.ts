/** Brings each host's instance, disks and address to what is wanted. Hosts do not wait for one another. */
import { createHash } from 'node:crypto'
import type { RunInstancesCommandInput } from '@aws-sdk/client-ec2'
import { HiveError } from '../../../proto/errors.ts'
import { codeOf } from './api.ts'
import { ensureAddress, type Network, tagged, volumeIs, type Work } from './apply-network.ts'
import { type FoundInstance, instanceOf } from './found.ts'
import type { ChosenImage, ImageChooser } from './image.ts'
import type { InstanceWatch } from './instance-watch.ts'
import { liveInstance, mirroredDisksOf, observeInstances } from './observe.ts'
import { ids } from './plan-actions.ts'
import { addressesOf } from './plan-host.ts'
import { settled } from './settled.ts'
import { tagList, tagsOf } from './tags.ts'
import { userData } from './user-data.ts'
import { untilAnswer } from './wait.ts'
import { type DiskWant, type HostWant, mirroredDevice } from './want.ts'

export interface HostTools {
  readonly network: Network
  readonly images: ImageChooser
  readonly watch: InstanceWatch
  readonly publicKey: string
}

export interface MadeHost {
  readonly name: string
  readonly instanceId: string
  readonly publicIp: string
  /** It boots: made, started or restarted here. */
  readonly boots: boolean
  /** Its host keys are new. */
  readonly isNew: boolean
}

export async function applyHost(work: Work, tools: HostTools, host: HostWant): Promise<MadeHost> {
  // Allocated while the instance boots.
  const address = addressFor(work, host)
  const made = applyInstance(work, tools, host, address)
  await settled([made, address])
  return made
}

async function applyInstance(work: Work, tools: HostTools, host: HostWant, address: ReturnType<typeof addressFor>): Promise<MadeHost> {
  const { doing, found } = work
  const before = liveInstance(found, host.name)
  const isNew = before === undefined || doing.has(ids.replace(host.name))
  if (before !== undefined && doing.has(ids.replace(host.name))) await retire(work, tools, host, before)
  const instance = isNew ? await create(work, tools, host) : await bringUp(work, tools, host, before)
  if (!isNew && doing.has(ids.joinGroup(host.name))) await joinGroup(work, tools, host, instance)
  await settled([applyDisks(work, host, instance, isNew), associate(work, tools, host, instance, isNew, address)])
  return {
    name: host.name,
    instanceId: instance.id,
    publicIp: (await address).publicIp,
    boots: isNew || before?.id !== instance.id || !isOn(before) || doing.has(ids.type(host.name)),
    isNew,
  }
}

const isOn = ({ state }: FoundInstance): boolean => state === 'running' || state === 'pending'
const aboutOf = (host: HostWant) => ({ what: `instance ${host.name}`, host: host.name })

async function addressFor(work: Work, host: HostWant): Promise<{ readonly allocationId: string; readonly publicIp: string }> {
  const { found } = work
  if (host.publishedIp === undefined) return ensureAddress(work, host.name, addressesOf(found, host)[0])
  const address = found.published.find(({ publicIp }) => publicIp === host.publishedIp)
  // Planned as blocked, so this is never reached with a plan at hand.
  if (address === undefined)
    throw new HiveError('blocked', `${host.publishedIp} is not in this account and region`, { host: host.name, hint: 'check hive_published_ip' })
  return address
}

/**
 * The same for a repeated try, so that EC2 makes no second instance; another one once an instance made with it has ended, which EC2
 * remembers for about an hour.
 */
const tokenOf = (parts: readonly (string | number)[]): string => createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 64)

const ebs = ({ sizeGb, encrypted, kmsKeyId }: DiskWant, deleted: boolean) => ({
  VolumeType: 'gp3' as const,
  DeleteOnTermination: deleted,
  ...(sizeGb === undefined ? {} : { VolumeSize: sizeGb }),
  ...(encrypted ? { Encrypted: true } : {}),
  ...(kmsKeyId === undefined ? {} : { KmsKeyId: kmsKeyId }),
})

/** EC2 wants the size said. Throws HiveError 'invalid-input' for one that the image does not fit on. */
function rootDisk(host: HostWant, image: ChosenImage): DiskWant {
  const { sizeGb = image.rootSizeGb } = host.root
  if (sizeGb !== undefined && image.rootSizeGb !== undefined && sizeGb < image.rootSizeGb)
    throw new HiveError(
      'invalid-input',
      `${host.name}: ${image.name || image.id} needs a disk of ${image.rootSizeGb} GB, and the inventory says ${sizeGb} GB`,
      {
        host: host.name,
        hint: `write disk_size (repository_disk_size): ${image.rootSizeGb} or more`,
      },
    )
  return { ...host.root, sizeGb }
}

async function create(work: Work, { network, images, watch, publicKey }: HostTools, host: HostWant): Promise<FoundInstance> {
  const { want, found, say } = work
  // Its address and its disk are free only when the last one is gone.
  const leaving = found.instances.filter(({ name, state }) => name === host.name && state === 'shutting-down')
  await Promise.all(leaving.map(({ id }) => watch.until(id, 'terminated', host.name)))
  const [image, subnetId, groupId, keyName, vpcId] = await Promise.all([
    images.choose(host),
    network.subnetIds.get(host.subnet),
    network.groupId,
    network.keyName,
    network.vpcId,
  ])
  if (subnetId === undefined) throw new HiveError('internal', `${host.name} is in no subnet`, { host: host.name })
  const hasDisk = mirroredDisksOf(found, host.name, mirroredDevice).length > 0
  const tags = tagsOf(want.owner, host.name, host.name)
  const input: RunInstancesCommandInput = {
    ImageId: image.id,
    InstanceType: host.instanceType as NonNullable<RunInstancesCommandInput['InstanceType']>,
    MinCount: 1,
    MaxCount: 1,
    KeyName: keyName,
    SubnetId: subnetId,
    PrivateIpAddress: host.address,
    SecurityGroupIds: [groupId],
    UserData: Buffer.from(userData(host.host, publicKey)).toString('base64'),
    MetadataOptions: { HttpTokens: 'required', HttpEndpoint: 'enabled' },
    BlockDeviceMappings: [
      { DeviceName: host.rootDevice ?? image.rootDevice, Ebs: ebs(rootDisk(host, image), true) },
      ...(host.mirrored === undefined || hasDisk ? [] : [{ DeviceName: mirroredDevice, Ebs: ebs(host.mirrored, false) }]),
    ],
    TagSpecifications: [...tagged('instance', tags), ...tagged('volume', tags), ...tagged('network-interface', tags)],
  }
  say(`creating the instance: ${host.instanceType} from ${image.name || image.id}`, host.name)
  const instance = await runOnce(work, host, input, vpcId)
  return watch.until(instance.id, 'running', host.name)
}

async function runOnce({ api, want, signal }: Work, host: HostWant, input: RunInstancesCommandInput, vpcId: string): Promise<FoundInstance> {
  const about = aboutOf(host)
  const there = async (): Promise<FoundInstance | undefined> =>
    (await observeInstances(api, want, signal)).find(({ name, state }) => name === host.name && state !== 'shutting-down')
  const hour = Math.floor(api.clock.date() / 3_600_000)
  for (let generation = 0; ; generation++) {
    try {
      const token = tokenOf([want.owner.site, want.owner.stage, host.name, vpcId, hour, generation])
      const { Instances } = await api.settled('RunInstances', { ...input, ClientToken: token }, about, signal)
      const [made] = (Instances ?? []).map(instanceOf)
      if (made === undefined) throw new HiveError('internal', `${host.name}: RunInstances answered without an instance`, { host: host.name })
      // The token of an instance that has ended since answers that one.
      const { Reservations } = await api.call('DescribeInstances', { Filters: [{ Name: 'instance-id', Values: [made.id] }] }, about, signal)
      const now = Reservations?.[0]?.Instances?.[0]?.State?.Name
      if ((now === 'terminated' || now === 'shutting-down') && generation < 20) continue
      return made
    } catch (error) {
      // Somebody was faster, or an answer was lost: the address is unique, so it is this host's instance or nobody's.
      const taken = /^InvalidIPAddress\.InUse$|^PrivateIpAddressInUse$/.test(codeOf(error))
      const otherwise = codeOf(error) === 'IdempotentParameterMismatch'
      if (!taken && !otherwise) throw error
      const found = await untilAnswer(there, { clock: api.clock, signal, deadline: 15_000 })
      if (found !== undefined) return found
      if (taken || generation >= 20) throw error
    }
  }
}

export type Retiring = Pick<Work, 'api' | 'want' | 'signal' | 'say'>

/** Terminates an instance; its disk for mirrored volumes stays. */
export async function retire(work: Retiring, { watch }: Pick<HostTools, 'watch'>, host: HostWant, instance: FoundInstance): Promise<void> {
  const { api, want, signal, say } = work
  await keepDisk(work, host, instance)
  const disk = instance.disks.get(mirroredDevice)
  // Without its tag it could not be found again.
  if (disk !== undefined)
    await api.call('CreateTags', { Resources: [disk.volumeId], Tags: tagList(tagsOf(want.owner, host.name, host.name)) }, aboutOf(host), signal)
  say(`terminating ${instance.id}`, host.name)
  await api.call('TerminateInstances', { InstanceIds: [instance.id] }, aboutOf(host), signal)
  await watch.until(instance.id, 'terminated', host.name)
}

async function bringUp(work: Work, { watch }: HostTools, host: HostWant, instance: FoundInstance): Promise<FoundInstance> {
  const { api, doing, signal, say } = work
  const about = aboutOf(host)
  const stop = doing.has(ids.type(host.name))
  if (stop) {
    if (isOn(instance)) {
      say(`stopping ${instance.id} to change its type`, host.name)
      await api.call('StopInstances', { InstanceIds: [instance.id] }, about, signal)
    }
    if (instance.state !== 'stopped') await watch.until(instance.id, 'stopped', host.name)
    await api.call('ModifyInstanceAttribute', { InstanceId: instance.id, InstanceType: { Value: host.instanceType } }, about, signal)
  } else if (instance.state === 'stopping') await watch.until(instance.id, 'stopped', host.name)
  if (stop || !isOn(instance)) {
    say(`starting ${instance.id}`, host.name)
    await api.call('StartInstances', { InstanceIds: [instance.id] }, about, signal)
  } else if (instance.state === 'running') return instance
  return watch.until(instance.id, 'running', host.name)
}

async function joinGroup({ api, signal }: Work, { network }: HostTools, host: HostWant, instance: FoundInstance): Promise<void> {
  const groupId = await network.groupId
  if (instance.groups.includes(groupId)) return
  await api.call('ModifyInstanceAttribute', { InstanceId: instance.id, Groups: [...instance.groups, groupId] }, aboutOf(host), signal)
}

async function applyDisks(work: Work, host: HostWant, instance: FoundInstance, isNew: boolean): Promise<void> {
  const { api, found, doing, signal } = work
  const grow = async (id: string, volumeId: string | undefined, sizeGb: number | undefined): Promise<void> => {
    if (!doing.has(id) || volumeId === undefined || sizeGb === undefined) return
    const what = `disk ${volumeId} of ${host.name}`
    await api.call('ModifyVolume', { VolumeId: volumeId, Size: sizeGb }, { what, host: host.name }, signal)
    // Until EC2 tells the new size, a second plan would ask for it again, which EC2 refuses for six hours.
    await volumeIs(work, volumeId, ({ sizeGb: now }) => now >= sizeGb, what)
  }
  const [disk] = mirroredDisksOf(found, host.name, mirroredDevice)
  await grow(ids.growRoot(host.name), instance.disks.get(instance.rootDevice)?.volumeId, host.root.sizeGb)
  if (host.mirrored === undefined) return
  if (isNew ? disk !== undefined : doing.has(ids.disk(host.name))) await attachDisk(work, host, instance, disk?.id)
  if (doing.has(ids.keepDisk(host.name))) await keepDisk(work, host, instance)
  await grow(ids.growMirrored(host.name), disk?.id, host.mirrored.sizeGb)
}

async function attachDisk(work: Work, host: HostWant, instance: FoundInstance, volumeId: string | undefined): Promise<void> {
  const { api, signal, say } = work
  const what = `disk for mirrored volumes of ${host.name}`
  const about = { what, host: host.name }
  const id = volumeId ?? (await createDisk(work, host, instance))
  if (!(await volumeIs(work, id, ({ state }) => state === 'available' || state === 'in-use', what)))
    throw new HiveError('timeout', `${what}: ${id} is not available after 5 min`, { host: host.name, hint: 'run the command again' })
  say(`attaching ${id}`, host.name)
  try {
    await api.settled('AttachVolume', { VolumeId: id, InstanceId: instance.id, Device: mirroredDevice }, about, signal)
  } catch (error) {
    if (codeOf(error) !== 'VolumeInUse') throw error
    const { Volumes } = await api.call('DescribeVolumes', { Filters: [{ Name: 'volume-id', Values: [id] }] }, about, signal)
    if (Volumes?.[0]?.Attachments?.[0]?.InstanceId !== instance.id) throw error
  }
  await volumeIs(work, id, ({ state }) => state === 'in-use', what)
}

async function createDisk({ api, want, found, signal }: Work, host: HostWant, instance: FoundInstance): Promise<string> {
  const about = { what: `disk for mirrored volumes of ${host.name}`, host: host.name }
  const { sizeGb, encrypted, kmsKeyId } = host.mirrored ?? host.root
  const hour = Math.floor(api.clock.date() / 3_600_000)
  const input = {
    AvailabilityZone: instance.zone,
    VolumeType: 'gp3' as const,
    ...(sizeGb === undefined ? {} : { Size: sizeGb }),
    ...(encrypted ? { Encrypted: true } : {}),
    ...(kmsKeyId === undefined ? {} : { KmsKeyId: kmsKeyId }),
    ClientToken: tokenOf([want.owner.site, want.owner.stage, host.name, instance.id, 'disk', hour, found.volumes.length]),
    TagSpecifications: tagged('volume', tagsOf(want.owner, host.name, host.name)),
  }
  const { VolumeId } = await api.call('CreateVolume', input, about, signal)
  if (VolumeId === undefined) throw new HiveError('internal', `${about.what}: CreateVolume answered without a volume`, { host: host.name })
  return VolumeId
}

async function keepDisk({ api, signal }: Retiring, host: HostWant, instance: FoundInstance): Promise<void> {
  if (instance.disks.get(mirroredDevice)?.deletedWithInstance !== true) return
  const input = { InstanceId: instance.id, BlockDeviceMappings: [{ DeviceName: mirroredDevice, Ebs: { DeleteOnTermination: false } }] }
  await api.call('ModifyInstanceAttribute', input, aboutOf(host), signal)
}

async function associate(
  work: Work,
  { network }: HostTools,
  host: HostWant,
  instance: FoundInstance,
  isNew: boolean,
  address: ReturnType<typeof addressFor>,
): Promise<void> {
  const { api, found, doing, signal } = work
  const { allocationId } = await address
  const isThere = [...found.addresses, ...found.published].some((one) => one.allocationId === allocationId && one.instanceId === instance.id)
  if (isThere || (!isNew && !doing.has(ids.address(host.name)))) return
  await network.gatewayId
  const about = { what: `elastic address of ${host.name}`, host: host.name }
  // The plan made sure that whoever has it now is of this stage.
  await api.settled('AssociateAddress', { AllocationId: allocationId, InstanceId: instance.id, AllowReassociation: true }, about, signal)
}
