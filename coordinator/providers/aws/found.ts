/** What of a stage is in its account, as far as the plan needs it. */
import type { Address, Instance, InternetGateway, KeyPairInfo, RouteTable, SecurityGroup, Subnet, Volume, Vpc } from '@aws-sdk/client-ec2'
import { foundRules, type SecurityRule } from './security-rules.ts'
import { type Tags, tagRecord } from './tags.ts'

export interface FoundVpc {
  readonly id: string
  readonly cidr: string
  readonly ipv6: boolean
  readonly tags: Tags
}

export interface FoundGateway {
  readonly id: string
  /** undefined: not attached. */
  readonly vpcId: string | undefined
  readonly tags: Tags
}

export interface FoundSubnet {
  readonly id: string
  readonly vpcId: string
  readonly cidr: string
  readonly zone: string
  readonly tags: Tags
}

export interface FoundRouteTable {
  readonly id: string
  readonly vpcId: string
  readonly isMain: boolean
  /** Destination → target id, blackholes left out. */
  readonly routes: ReadonlyMap<string, string>
  /** Subnet id → association id. */
  readonly associations: ReadonlyMap<string, string>
  readonly tags: Tags
}

export interface FoundGroup {
  readonly id: string
  readonly vpcId: string
  readonly name: string
  readonly rules: readonly SecurityRule[]
  readonly tags: Tags
}

export interface FoundKey {
  readonly id: string
  readonly name: string
  readonly fingerprint: string
  readonly tags: Tags
}

export type InstanceState = 'pending' | 'running' | 'stopping' | 'stopped' | 'shutting-down' | 'terminated'

export interface FoundInstance {
  readonly id: string
  readonly name: string
  readonly state: InstanceState
  /** Why it came to its state, in AWS's words; '' where there is nothing. */
  readonly stateReason: string
  readonly type: string
  readonly vpcId: string
  readonly subnetId: string
  readonly zone: string
  readonly privateIp: string
  readonly groups: readonly string[]
  readonly rootDevice: string
  /** Device name → volume. */
  readonly disks: ReadonlyMap<string, { readonly volumeId: string; readonly deletedWithInstance: boolean }>
  readonly tags: Tags
}

export interface FoundVolume {
  readonly id: string
  readonly state: string
  readonly sizeGb: number
  readonly zone: string
  readonly encrypted: boolean
  readonly attachedTo: string | undefined
  /** It is deleted with the instance it is attached to. */
  readonly goesWithInstance: boolean
  readonly tags: Tags
}

export interface FoundAddress {
  readonly allocationId: string
  readonly publicIp: string
  readonly associationId: string | undefined
  readonly instanceId: string | undefined
  readonly tags: Tags
}

export const vpcOf = (vpc: Vpc): FoundVpc => ({
  id: vpc.VpcId ?? '',
  cidr: vpc.CidrBlock ?? '',
  ipv6: (vpc.Ipv6CidrBlockAssociationSet ?? []).some(({ Ipv6CidrBlockState: state }) => state?.State === 'associated'),
  tags: tagRecord(vpc.Tags),
})

export const gatewayOf = (gateway: InternetGateway): FoundGateway => ({
  id: gateway.InternetGatewayId ?? '',
  vpcId: gateway.Attachments?.find(({ State }) => State !== 'detached')?.VpcId,
  tags: tagRecord(gateway.Tags),
})

export const subnetOf = (subnet: Subnet): FoundSubnet => ({
  id: subnet.SubnetId ?? '',
  vpcId: subnet.VpcId ?? '',
  cidr: subnet.CidrBlock ?? '',
  zone: subnet.AvailabilityZone ?? '',
  tags: tagRecord(subnet.Tags),
})

export const routeTableOf = (table: RouteTable): FoundRouteTable => ({
  id: table.RouteTableId ?? '',
  vpcId: table.VpcId ?? '',
  isMain: (table.Associations ?? []).some(({ Main }) => Main === true),
  routes: new Map(
    (table.Routes ?? []).flatMap((route): [string, string][] => {
      const target = route.GatewayId ?? route.NatGatewayId ?? route.TransitGatewayId ?? route.InstanceId ?? route.NetworkInterfaceId ?? ''
      return route.State === 'blackhole' ? [] : [[route.DestinationCidrBlock ?? route.DestinationIpv6CidrBlock ?? '', target]]
    }),
  ),
  associations: new Map(
    (table.Associations ?? []).flatMap(({ SubnetId, RouteTableAssociationId = '' }): [string, string][] =>
      SubnetId === undefined ? [] : [[SubnetId, RouteTableAssociationId]],
    ),
  ),
  tags: tagRecord(table.Tags),
})

export const groupOf = (group: SecurityGroup): FoundGroup => ({
  id: group.GroupId ?? '',
  vpcId: group.VpcId ?? '',
  name: group.GroupName ?? '',
  rules: foundRules(group.IpPermissions ?? [], group.GroupId ?? ''),
  tags: tagRecord(group.Tags),
})

export const keyOf = (key: KeyPairInfo): FoundKey => ({
  id: key.KeyPairId ?? '',
  name: key.KeyName ?? '',
  fingerprint: key.KeyFingerprint ?? '',
  tags: tagRecord(key.Tags),
})

/** EC2 says the code twice, in `Code` and at the beginning of `Message`; not everything that speaks its language does. */
const stateReasonOf = ({ Code = '', Message = '' }: NonNullable<Instance['StateReason']> = {}): string =>
  Message.startsWith(Code) ? Message : `${Code}: ${Message}`

export const instanceOf = (instance: Instance): FoundInstance => {
  const tags = tagRecord(instance.Tags)
  return {
    id: instance.InstanceId ?? '',
    name: tags['Name'] ?? '',
    state: (instance.State?.Name ?? 'pending') as InstanceState,
    stateReason: stateReasonOf(instance.StateReason),
    type: instance.InstanceType ?? '',
    vpcId: instance.VpcId ?? '',
    subnetId: instance.SubnetId ?? '',
    zone: instance.Placement?.AvailabilityZone ?? '',
    privateIp: instance.PrivateIpAddress ?? '',
    groups: (instance.SecurityGroups?.length ? instance.SecurityGroups : (instance.NetworkInterfaces?.[0]?.Groups ?? [])).map(({ GroupId }) => GroupId ?? ''),
    rootDevice: instance.RootDeviceName ?? '',
    disks: new Map(
      (instance.BlockDeviceMappings ?? []).map(({ DeviceName = '', Ebs }) => [
        DeviceName,
        { volumeId: Ebs?.VolumeId ?? '', deletedWithInstance: Ebs?.DeleteOnTermination === true },
      ]),
    ),
    tags,
  }
}

export const volumeOf = (volume: Volume): FoundVolume => {
  const attachment = volume.Attachments?.find(({ State }) => State !== 'detached')
  return {
    id: volume.VolumeId ?? '',
    state: volume.State ?? '',
    sizeGb: volume.Size ?? 0,
    zone: volume.AvailabilityZone ?? '',
    encrypted: volume.Encrypted === true,
    attachedTo: attachment?.InstanceId,
    goesWithInstance: attachment?.DeleteOnTermination === true,
    tags: tagRecord(volume.Tags),
  }
}

export const addressOf = (address: Address): FoundAddress => ({
  allocationId: address.AllocationId ?? '',
  publicIp: address.PublicIp ?? '',
  associationId: address.AssociationId || undefined,
  instanceId: address.InstanceId || undefined,
  tags: tagRecord(address.Tags),
})
