/** What EC2 refuses and the emulator doesn't, because a thing is not yet, or no longer, in the state for it. */
import {
  DescribeInstancesCommand,
  DescribeInternetGatewaysCommand,
  DescribeRouteTablesCommand,
  DescribeSubnetsCommand,
  DescribeVolumesCommand,
  type EC2Client,
  type Instance,
} from '@aws-sdk/client-ec2'
import { Address4 } from 'ip-address'
import { type Call, errorAnswer, list } from './call.ts'
import { filterList, type Refusal } from './dependencies.ts'
import type { Transitions } from './pace.ts'

/** The error EC2 would answer with; undefined where nothing stands against the call. */
export async function stateRefusal(
  call: Call,
  ec2: EC2Client,
  { stateOf, isEnding, holderOf }: Pick<Transitions, 'stateOf' | 'isEnding' | 'holderOf'>,
): Promise<Refusal | undefined> {
  const { action, params } = call
  const refuse = (code: string, message: string, things: readonly string[] = []): Refusal => ({
    answer: errorAnswer(call, 400, code, message),
    waitsFor: things,
  })
  const instancesWhere = async (filters: Readonly<Record<string, string>>): Promise<Instance[]> => {
    const { Reservations } = await ec2.send(new DescribeInstancesCommand({ Filters: filterList(filters) }))
    return (Reservations ?? []).flatMap(({ Instances }) => Instances ?? [])
  }
  const id = params['InstanceId'] ?? params['InstanceId.1'] ?? ''
  const volume = params['VolumeId'] ?? ''

  switch (action) {
    case 'RunInstances': {
      const subnet = params['SubnetId'] ?? params['NetworkInterface.1.SubnetId']
      const address = params['PrivateIpAddress'] ?? params['NetworkInterface.1.PrivateIpAddress']
      if (subnet === undefined || address === undefined) return undefined
      const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({ Filters: filterList({ 'subnet-id': subnet }) }))
      const cidr = Subnets[0]?.CidrBlock
      if (cidr === undefined) return undefined
      if (!new Address4(address).isInSubnet(new Address4(cidr)))
        return refuse('InvalidParameterValue', `Address ${address} does not fall within the subnet's address range`)
      const users = (await instancesWhere({ 'subnet-id': subnet })).filter(
        ({ PrivateIpAddress, State, InstanceId = '' }) => PrivateIpAddress === address && (State?.Name !== 'terminated' || isEnding(InstanceId)),
      )
      return users.length === 0
        ? undefined
        : refuse(
            'InvalidIPAddress.InUse',
            `Address ${address} is in use.`,
            users.map(({ InstanceId = '' }) => InstanceId),
          )
    }
    case 'AssociateAddress': {
      if (id === '') return undefined
      if (stateOf(id) === 'pending') return refuse('InvalidInstanceID', `The pending instance '${id}' is not in a valid state for this operation.`, [id])
      const [instance] = await instancesWhere({ 'instance-id': id })
      if (instance?.VpcId === undefined) return undefined
      const { InternetGateways = [] } = await ec2.send(new DescribeInternetGatewaysCommand({ Filters: filterList({ 'attachment.vpc-id': instance.VpcId }) }))
      return InternetGateways.length > 0 ? undefined : refuse('Gateway.NotAttached', `Network ${instance.VpcId} is not attached to any internet gateway`)
    }
    case 'AssociateRouteTable': {
      const { RouteTables = [] } = await ec2.send(
        new DescribeRouteTablesCommand({ Filters: filterList({ 'association.subnet-id': params['SubnetId'] ?? '' }) }),
      )
      const other = RouteTables.some(({ RouteTableId }) => RouteTableId !== params['RouteTableId'])
      const message = `the specified association for route table ${params['RouteTableId']} conflicts with an existing association`
      return other ? refuse('Resource.AlreadyAssociated', message) : undefined
    }
    case 'AttachVolume': {
      if (stateOf(volume) === 'creating') return refuse('IncorrectState', `${volume} is not 'available'.`, [volume])
      const holder = holderOf(volume)
      if (holder !== undefined) return refuse('VolumeInUse', `${volume} is already attached to an instance`, [holder])
      const [instance] = await instancesWhere({ 'instance-id': id })
      const state = stateOf(id) ?? instance?.State?.Name ?? ''
      return instance === undefined || state === 'running' || state === 'stopped'
        ? undefined
        : refuse('IncorrectState', `Instance '${id}' is not 'running'.`, [id])
    }
    case 'DeleteVolume': {
      const holder = holderOf(volume)
      return holder === undefined ? undefined : refuse('VolumeInUse', `Volume ${volume} is currently attached to ${holder}`, [holder])
    }
    case 'ModifyVolume': {
      const { Volumes = [] } = await ec2.send(new DescribeVolumesCommand({ Filters: filterList({ 'volume-id': volume }) }))
      const smaller = Number(params['Size'] ?? Number.POSITIVE_INFINITY) < (Volumes[0]?.Size ?? 0)
      return smaller ? refuse('InvalidParameterValue', 'New size cannot be smaller than existing size') : undefined
    }
    case 'ModifyInstanceAttribute': {
      if (params['InstanceType.Value'] === undefined && params['UserData.Value'] === undefined) return undefined
      const [instance] = await instancesWhere({ 'instance-id': id })
      if (instance === undefined || (stateOf(id) ?? instance.State?.Name) === 'stopped') return undefined
      return refuse('IncorrectInstanceState', `The instance '${id}' is not in the 'stopped' state.`, [id])
    }
    case 'StartInstances':
    case 'StopInstances': {
      const wrong = action === 'StartInstances' ? 'stopping' : 'pending'
      for (const each of list(params, 'InstanceId')) {
        const [instance] = await instancesWhere({ 'instance-id': each })
        if (instance?.State?.Name === 'terminated' || stateOf(each) === wrong)
          return refuse(
            'IncorrectInstanceState',
            `The instance '${each}' is not in a state from which it can be ${action === 'StartInstances' ? 'started' : 'stopped'}.`,
            [each],
          )
      }
      return undefined
    }
    default:
      return undefined
  }
}
