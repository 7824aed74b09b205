/** What EC2 refuses and the emulator doesn't: taking away what others need. The emulator is asked for the facts. */
import {
  DescribeAddressesCommand,
  DescribeInstancesCommand,
  DescribeInternetGatewaysCommand,
  DescribeNetworkInterfacesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  type EC2Client,
  type Instance,
} from '@aws-sdk/client-ec2'
import { type Answer, type Call, errorAnswer } from './call.ts'

export interface Refusal {
  readonly answer: Answer
  /** Instances and volumes whose change of state it waits for. */
  readonly waitsFor: readonly string[]
}

/** The error EC2 would answer with; undefined where nothing stands against the call. `isEnding`: seen as shutting down. */
export async function refusal(call: Call, ec2: EC2Client, isEnding: (instanceId: string) => boolean): Promise<Refusal | undefined> {
  const { action, params } = call
  const refuse = (code: string, message: string, instances: readonly Instance[] = []): Refusal => ({
    answer: errorAnswer(call, 400, code, message),
    waitsFor: instances.map(({ InstanceId }) => InstanceId ?? ''),
  })
  const alive = async (filters: Readonly<Record<string, string>>): Promise<Instance[]> => {
    const { Reservations } = await ec2.send(new DescribeInstancesCommand({ Filters: filterList(filters) }))
    return (Reservations ?? [])
      .flatMap(({ Instances }) => Instances ?? [])
      .filter(({ InstanceId, State }) => State?.Name !== 'terminated' || isEnding(InstanceId ?? ''))
  }
  const interfaces = async (filters: Readonly<Record<string, string>>): Promise<number> =>
    (await ec2.send(new DescribeNetworkInterfacesCommand({ Filters: filterList(filters) }))).NetworkInterfaces?.length ?? 0

  switch (action) {
    case 'DeleteSecurityGroup': {
      const id = params['GroupId'] ?? ''
      const { SecurityGroups = [] } = await ec2.send(new DescribeSecurityGroupsCommand({}))
      const group = SecurityGroups.find(({ GroupId }) => GroupId === id)
      if (group?.GroupName === 'default') return refuse('CannotDelete', `the specified group: "${id}" name: "default" cannot be deleted by a user`)
      // The emulator does not know this filter for instances whose interfaces were given.
      const inVpc = group?.VpcId === undefined ? [] : await alive({ 'vpc-id': group.VpcId })
      const users = inVpc.filter((instance) =>
        [...(instance.SecurityGroups ?? []), ...(instance.NetworkInterfaces ?? []).flatMap(({ Groups }) => Groups ?? [])].some(({ GroupId }) => GroupId === id),
      )
      const namedBy = SecurityGroups.some(
        ({ GroupId, IpPermissions = [], IpPermissionsEgress = [] }) =>
          GroupId !== id && [...IpPermissions, ...IpPermissionsEgress].some(({ UserIdGroupPairs }) => UserIdGroupPairs?.some((pair) => pair.GroupId === id)),
      )
      if (users.length > 0 || namedBy || (await interfaces({ 'group-id': id })) > 0)
        return refuse('DependencyViolation', `resource ${id} has a dependent object`, users)
      return undefined
    }
    case 'DeleteSubnet': {
      const id = params['SubnetId'] ?? ''
      const users = await alive({ 'subnet-id': id })
      if (users.length === 0 && (await interfaces({ 'subnet-id': id })) === 0) return undefined
      return refuse('DependencyViolation', `The subnet '${id}' has dependencies and cannot be deleted.`, users)
    }
    case 'DetachInternetGateway': {
      const vpc = params['VpcId'] ?? ''
      const { Addresses = [] } = await ec2.send(new DescribeAddressesCommand({}))
      const instances = await alive({ 'vpc-id': vpc })
      const mapped = instances.filter(
        ({ InstanceId, NetworkInterfaces = [] }) =>
          isEnding(InstanceId ?? '') ||
          Addresses.some((address) => address.InstanceId === InstanceId) ||
          NetworkInterfaces.some(({ Association }) => Association?.PublicIp !== undefined),
      )
      if (mapped.length === 0) return undefined
      const message = `Network ${vpc} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.`
      return refuse('DependencyViolation', message, mapped)
    }
    case 'DeleteVpc': {
      const id = params['VpcId'] ?? ''
      const within = { 'vpc-id': id }
      const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({ Filters: filterList(within) }))
      const { SecurityGroups = [] } = await ec2.send(new DescribeSecurityGroupsCommand({ Filters: filterList(within) }))
      const gateways = await ec2.send(new DescribeInternetGatewaysCommand({ Filters: filterList({ 'attachment.vpc-id': id }) }))
      const has = Subnets.length + (gateways.InternetGateways?.length ?? 0) + SecurityGroups.filter(({ GroupName }) => GroupName !== 'default').length
      if (has === 0 && (await interfaces(within)) === 0) return undefined
      return refuse('DependencyViolation', `The vpc '${id}' has dependencies and cannot be deleted.`)
    }
    case 'ReleaseAddress': {
      const id = params['AllocationId'] ?? ''
      const { Addresses = [] } = await ec2.send(new DescribeAddressesCommand({}))
      const found = Addresses.find(({ AllocationId, AssociationId }) => AllocationId === id && (AssociationId ?? '') !== '')
      return found === undefined ? undefined : refuse('InvalidIPAddress.InUse', `Address ${found.PublicIp} is in use.`)
    }
    default:
      return undefined
  }
}

export const filterList = (filters: Readonly<Record<string, string>>): { Name: string; Values: string[] }[] =>
  Object.entries(filters).map(([Name, value]) => ({ Name, Values: [value] }))
