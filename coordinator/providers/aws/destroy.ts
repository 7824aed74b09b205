/** Removes all of a stage from its account, in the order that AWS wants; whole, half made, or half removed already. */
import { HiveError } from '../../../proto/errors.ts'
import type { AwsApi } from './api.ts'
import { codeOf } from './api.ts'
import { volumeIs } from './apply-network.ts'
import { meansNotFound } from './errors.ts'
import { type FoundInstance, gatewayOf } from './found.ts'
import { InstanceWatch } from './instance-watch.ts'
import { type AwsFound, observeInstances } from './observe.ts'
import type { CallName, InputOf } from './sdk.ts'
import { settled, together } from './settled.ts'
import { stageTag, tagRecord } from './tags.ts'
import { backoff } from './wait.ts'
import type { AwsWant } from './want.ts'

/** Milliseconds for what still hangs on a thing (interfaces of instances that just ended) to go. */
const dependencyPatience = 120_000

export interface DestroyInput {
  readonly api: AwsApi
  readonly want: AwsWant
  readonly found: AwsFound
  readonly signal: AbortSignal
  say(message: string): void
  /** What stands in the subnets beside the instances: removed before these. */
  readonly fileSystems: () => Promise<void>
}

/** Idempotent. Throws HiveError; what could be removed is gone then, and running it again goes on. */
export async function destroyAws(input: DestroyInput): Promise<void> {
  const { want, found, say, fileSystems } = input
  const drop = <N extends CallName>(name: N, call: InputOf<N>, what: string): Promise<void> => remove(input, name, call, what)
  if (found.instances.length > 0) say(`terminating ${found.instances.map(({ name }) => name).join(', ')}`)
  await settled([
    terminate(input, found.instances),
    fileSystems(),
    ...found.keys
      .filter(({ name, tags }) => name === want.keyName && (tags[stageTag] === undefined || tags[stageTag] === want.owner.stage))
      .map(({ name }) => drop('DeleteKeyPair', { KeyName: name }, `key pair ${name}`)),
  ])
  await settled([
    ...found.addresses.map(({ allocationId, publicIp }) => drop('ReleaseAddress', { AllocationId: allocationId }, `elastic address ${publicIp}`)),
    ...removableVolumes(found).map(async (id) => {
      // Detached by the end of its instance, a moment later.
      await volumeIs(input, id, ({ state }) => state === 'available' || state === 'error' || state === 'deleted' || state === 'deleting', `disk ${id}`)
      await drop('DeleteVolume', { VolumeId: id }, `disk ${id}`)
      await volumeIs(input, id, ({ state }) => state === 'deleted', `disk ${id}`)
    }),
    (async () => {
      await settled(found.subnets.map(({ id }) => drop('DeleteSubnet', { SubnetId: id }, `subnet ${id}`)))
      await settled(found.routeTables.filter(({ isMain }) => !isMain).map(({ id }) => drop('DeleteRouteTable', { RouteTableId: id }, `route table ${id}`)))
    })(),
    ...found.groups.filter(({ name }) => name !== 'default').map(({ id }) => drop('DeleteSecurityGroup', { GroupId: id }, `security group ${id}`)),
  ])
  await settled(found.gateways.map(({ id, vpcId }) => removeGateway(input, id, vpcId)))
  await settled(found.vpcs.map(({ id }) => drop('DeleteVpc', { VpcId: id }, `network ${id}`)))
}

async function terminate({ api, signal }: DestroyInput, instances: readonly FoundInstance[]): Promise<void> {
  if (instances.length === 0) return
  const InstanceIds = instances.map(({ id }) => id)
  await api.settled('TerminateInstances', { InstanceIds }, { what: instances.map(({ name }) => name).join(', ') }, signal)
  const watch = new InstanceWatch(api, signal)
  await Promise.all(instances.map(({ id, name }) => watch.until(id, 'terminated', name)))
}

/** Disks of the stage, but for those that go with their instance. */
function removableVolumes(found: AwsFound): readonly string[] {
  const withInstance = new Set(
    found.instances.flatMap(({ disks }) => [...disks.values()].flatMap(({ volumeId, deletedWithInstance }) => (deletedWithInstance ? [volumeId] : []))),
  )
  return found.volumes.filter(({ id, state }) => !withInstance.has(id) && state !== 'deleting' && state !== 'deleted').map(({ id }) => id)
}

async function removeGateway(input: DestroyInput, id: string, vpcId: string | undefined): Promise<void> {
  const { api, signal } = input
  const what = `internet gateway ${id}`
  const detach = async (VpcId: string | undefined): Promise<void> => {
    if (VpcId !== undefined) await remove(input, 'DetachInternetGateway', { InternetGatewayId: id, VpcId }, what)
  }
  await detach(vpcId)
  await remove(input, 'DeleteInternetGateway', { InternetGatewayId: id }, what, async () => {
    // A run that was cut off may have attached it a moment ago.
    const { InternetGateways } = await api.call('DescribeInternetGateways', { Filters: [{ Name: 'internet-gateway-id', Values: [id] }] }, { what }, signal)
    for (const gateway of InternetGateways ?? []) await detach(gatewayOf(gateway).vpcId)
  })
}

/** A thing that is gone already is gone; one that something else hangs on is tried again after `clear`, unless that is not ours. */
async function remove<N extends CallName>(input: DestroyInput, name: N, call: InputOf<N>, what: string, clear?: () => Promise<void>): Promise<void> {
  const { api, signal } = input
  const end = api.clock.now() + dependencyPatience
  for (let attempt = 0; ; attempt++) {
    try {
      await api.call(name, call, { what }, signal)
      return
    } catch (error) {
      const code = codeOf(error)
      if (meansNotFound(code) || code === 'Gateway.NotAttached') return
      if (!/^(DependencyViolation|InvalidIPAddress\.InUse|VolumeInUse)$/.test(code)) throw error
      // Made by a run that was cut off a moment ago, and seen only now.
      const late = await observeInstances(api, input.want, signal)
      if (late.length > 0) {
        await terminate(input, late)
        continue
      }
      await clear?.()
      const others = await strangersIn(input)
      if (others.length > 0)
        throw new HiveError('blocked', `${what} can't be removed: in the network there is still ${others.join(', ')}, not made for this stage`, {
          hint: 'remove these first, then run destroy again; nothing of yours is removed by hivecoord',
          cause: error,
        })
      if (api.clock.now() > end) throw error
      await api.clock.pause(backoff(attempt, { first: 1_000, random: api.clock.random() }), signal)
    }
  }
}

/** What in the stage's network belongs to something else and keeps it: an instance, a load balancer, a security group … */
async function strangersIn({ api, found, signal }: DestroyInput): Promise<readonly string[]> {
  if (found.vpcs.length === 0) return []
  const filter = { Filters: [{ Name: 'vpc-id', Values: found.vpcs.map(({ id }) => id) }] }
  const about = { what: 'what is in the network' }
  const [interfaces, groups, subnets] = await together([
    api.all('DescribeNetworkInterfaces', filter, about, signal, ({ NetworkInterfaces }) => NetworkInterfaces),
    api.all('DescribeSecurityGroups', filter, about, signal, ({ SecurityGroups }) => SecurityGroups),
    api.all('DescribeSubnets', filter, about, signal, ({ Subnets }) => Subnets),
  ])
  const own = new Set([...found.instances, ...found.groups, ...found.subnets].map(({ id }) => id))
  const foreign = (id: string, tags: Parameters<typeof tagRecord>[0]): boolean => tagRecord(tags)[stageTag] === undefined && !own.has(id)
  return [
    ...interfaces
      .filter(({ TagSet, Attachment, Status }) => Status === 'in-use' && foreign(Attachment?.InstanceId ?? '', TagSet))
      .filter(({ Description = '' }) => !Description.startsWith('EFS mount target'))
      .map(({ NetworkInterfaceId = '', Attachment, Description = '' }) =>
        [NetworkInterfaceId, Attachment?.InstanceId, Description].filter((part) => part !== undefined && part !== '').join(' '),
      ),
    ...groups
      .filter(({ GroupId = '', GroupName, Tags }) => GroupName !== 'default' && foreign(GroupId, Tags))
      .map(({ GroupId, GroupName }) => `${GroupId} ${GroupName}`),
    ...subnets.filter(({ SubnetId = '', Tags }) => foreign(SubnetId, Tags)).map(({ SubnetId, CidrBlock }) => `${SubnetId} ${CidrBlock}`),
  ]
}
