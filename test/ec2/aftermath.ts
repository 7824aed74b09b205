/** What goes with a thing on EC2, and stays in the emulator. */
import {
  DeleteNetworkInterfaceCommand,
  DescribeAddressesCommand,
  DescribeNetworkInterfacesCommand,
  DescribeRouteTablesCommand,
  DisassociateAddressCommand,
  DisassociateRouteTableCommand,
  type EC2Client,
  type Instance,
} from '@aws-sdk/client-ec2'
import type { Call } from './call.ts'
import type { Transitions } from './pace.ts'

/** Elastic addresses and network interfaces go at once; disks when the instance is seen terminated. `instances`: as they were before. */
export async function afterTerminate(ec2: EC2Client, instances: readonly Instance[], transitions: Pick<Transitions, 'hold'>): Promise<void> {
  const ids = instances.map(({ InstanceId }) => InstanceId)
  const { Addresses = [] } = await ec2.send(new DescribeAddressesCommand({}))
  for (const { InstanceId, AssociationId } of Addresses)
    if (InstanceId !== undefined && InstanceId !== '' && ids.includes(InstanceId))
      await ec2.send(new DisassociateAddressCommand({ AssociationId })).catch(() => undefined)
  for (const { InstanceId = '', BlockDeviceMappings = [] } of instances)
    transitions.hold(
      BlockDeviceMappings.flatMap(({ Ebs }) => Ebs?.VolumeId ?? []),
      InstanceId,
    )
  for (const { NetworkInterfaceId } of instances.flatMap(({ NetworkInterfaces = [] }) => NetworkInterfaces))
    await ec2.send(new DeleteNetworkInterfaceCommand({ NetworkInterfaceId })).catch(() => undefined)
}

/** Its association with a route table. */
export async function afterDeleteSubnet(ec2: EC2Client, subnetId: string): Promise<void> {
  const { RouteTables = [] } = await ec2.send(new DescribeRouteTablesCommand({ Filters: [{ Name: 'association.subnet-id', Values: [subnetId] }] }))
  for (const { SubnetId, RouteTableAssociationId: AssociationId } of RouteTables.flatMap(({ Associations = [] }) => Associations))
    if (SubnetId === subnetId) await ec2.send(new DisassociateRouteTableCommand({ AssociationId }))
}

/** Interfaces of instances that were terminated past the front still hold their addresses. `refusals.ts` let the call pass, so no instance has it. */
export async function beforeRun(ec2: EC2Client, { params }: Call): Promise<void> {
  const subnet = params['SubnetId'] ?? params['NetworkInterface.1.SubnetId']
  const address = params['PrivateIpAddress'] ?? params['NetworkInterface.1.PrivateIpAddress']
  if (subnet === undefined || address === undefined) return
  const { NetworkInterfaces = [] } = await ec2.send(new DescribeNetworkInterfacesCommand({ Filters: [{ Name: 'subnet-id', Values: [subnet] }] }))
  for (const { NetworkInterfaceId, PrivateIpAddress, Description = '' } of NetworkInterfaces)
    if (PrivateIpAddress === address && !Description.startsWith('EFS'))
      await ec2.send(new DeleteNetworkInterfaceCommand({ NetworkInterfaceId })).catch(() => undefined)
}
