/** What goes with a thing on EC2, and stays in the emulator. */
import {
  DeleteNetworkInterfaceCommand,
  DescribeAddressesCommand,
  DescribeRouteTablesCommand,
  DisassociateAddressCommand,
  DisassociateRouteTableCommand,
  type EC2Client,
  type Instance,
} from '@aws-sdk/client-ec2'
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
