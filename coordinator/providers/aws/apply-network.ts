/** Makes a stage's network: each part waits for what it stands in, and nothing else. */
import type { AwsApi } from './api.ts'
import { codeOf } from './api.ts'
import { type FoundVolume, gatewayOf, groupOf, keyOf, routeTableOf, subnetOf, volumeOf, vpcOf } from './found.ts'
import type { AwsFound } from './observe.ts'
import { ids } from './plan-actions.ts'
import { gatewayInUse, routeTableInUse } from './plan-network.ts'
import { permissionsOf, ruleChanges } from './security-rules.ts'
import { settled } from './settled.ts'
import { hostTag, isOurs, projectTag, stageTag, type Tags, tagList, tagsOf } from './tags.ts'
import { untilAnswer } from './wait.ts'
import type { AwsWant, SubnetWant } from './want.ts'

export interface Work {
  readonly api: AwsApi
  readonly want: AwsWant
  readonly found: AwsFound
  /** Ids of what the plan said; nothing else is changed. */
  readonly doing: ReadonlySet<string>
  readonly signal: AbortSignal
  say(message: string, host?: string): void
}

export interface Network {
  readonly vpcId: Promise<string>
  /** Resolved once the gateway is attached: an instance takes no elastic address before. */
  readonly gatewayId: Promise<string>
  /** By the subnet's name. */
  readonly subnetIds: ReadonlyMap<string, Promise<string>>
  readonly groupId: Promise<string>
  readonly keyName: Promise<string>
  /** All of it, routes and rules too. Settled when each part is, also where one failed. */
  readonly done: Promise<void>
}

/** For TagSpecifications: tags are there from the first moment, so that nothing is ever made that can't be found again. */
export const tagged = (type: string, tags: Tags) => [{ ResourceType: type as 'vpc', Tags: tagList(tags) }]

/** Finds a thing that was made although the answer was lost. */
const ownFilter = ({ owner }: AwsWant) => ({
  Filters: [
    { Name: `tag:${projectTag}`, Values: [owner.site] },
    { Name: `tag:${stageTag}`, Values: [owner.stage] },
  ],
})

export function applyNetwork(work: Work, publicKey: string): Network {
  const vpcId = ensureVpc(work)
  const gateway = ensureGateway(work)
  const gatewayId = attachGateway(work, vpcId, gateway)
  const subnetIds = new Map(work.want.subnets.map((subnet) => [subnet.name, ensureSubnet(work, vpcId, subnet)]))
  const groupId = ensureGroup(work, vpcId)
  const keyName = ensureKey(work, publicKey)
  const parts = [
    vpcId,
    gateway,
    ensureDns(work, vpcId),
    ensureRoutes(work, vpcId, gatewayId, subnetIds),
    ensureRules(work, groupId),
    keyName,
    gatewayId,
    groupId,
    ...subnetIds.values(),
  ]
  const done = settled(parts)
  // Whoever waits for a part hears of its failure; those that nobody waits for are heard through `done`.
  for (const part of [...parts, done]) part.catch(() => undefined)
  return { vpcId, gatewayId, subnetIds, groupId, keyName, done }
}

async function ensureVpc({ api, want, found, signal, say }: Work): Promise<string> {
  const [there] = found.vpcs
  if (there !== undefined) return there.id
  const about = { what: `network ${want.vpcName}` }
  say(`creating the network ${want.vpcName}`)
  return api.createOnce('CreateVpc', { CidrBlock: want.cidr, TagSpecifications: tagged('vpc', tagsOf(want.owner, want.vpcName)) }, about, signal, {
    made: ({ Vpc }) => Vpc?.VpcId,
    look: async () => {
      const { Vpcs } = await api.call('DescribeVpcs', ownFilter(want), about, signal)
      return (Vpcs ?? []).map(vpcOf).find(({ cidr }) => cidr === want.cidr)?.id
    },
  })
}

async function ensureDns({ api, want, doing, signal }: Work, vpc: Promise<string>): Promise<void> {
  const VpcId = await vpc
  if (doing.has(ids.dns)) await api.settled('ModifyVpcAttribute', { VpcId, EnableDnsHostnames: { Value: true } }, { what: `network ${want.vpcName}` }, signal)
}

async function ensureGateway({ api, want, found, signal }: Work): Promise<{ readonly id: string; readonly vpcId: string | undefined }> {
  const there = gatewayInUse(found)
  if (there !== undefined) return there
  const about = { what: 'internet gateway' }
  return api.createOnce('CreateInternetGateway', { TagSpecifications: tagged('internet-gateway', tagsOf(want.owner, want.gatewayName)) }, about, signal, {
    made: ({ InternetGateway }) => (InternetGateway === undefined ? undefined : gatewayOf(InternetGateway)),
    look: async () => (await api.call('DescribeInternetGateways', ownFilter(want), about, signal)).InternetGateways?.map(gatewayOf)[0],
  })
}

async function attachGateway({ api, signal }: Work, vpc: Promise<string>, made: ReturnType<typeof ensureGateway>): Promise<string> {
  const { id, vpcId } = await made
  const VpcId = await vpc
  if (vpcId === VpcId) return id
  await api.settled('AttachInternetGateway', { InternetGatewayId: id, VpcId }, { what: 'internet gateway' }, signal).catch((error: unknown) => {
    // An answer that was lost: it is attached.
    if (codeOf(error) !== 'Resource.AlreadyAssociated') throw error
  })
  return id
}

async function ensureSubnet({ api, want, found, signal }: Work, vpc: Promise<string>, subnet: SubnetWant): Promise<string> {
  const VpcId = await vpc
  const there = found.subnets.find(({ cidr, vpcId }) => cidr === subnet.cidr && vpcId === VpcId)
  if (there !== undefined) return there.id
  const about = { what: `subnet ${subnet.name}` }
  const input = {
    VpcId,
    CidrBlock: subnet.cidr,
    ...(subnet.zone === undefined ? {} : { AvailabilityZone: subnet.zone }),
    TagSpecifications: tagged('subnet', tagsOf(want.owner, subnet.name)),
  }
  return api.createOnce('CreateSubnet', input, about, signal, {
    made: ({ Subnet }) => Subnet?.SubnetId,
    exists: /^InvalidSubnet\.Conflict$/,
    look: async () => {
      const { Subnets } = await api.call('DescribeSubnets', { Filters: [{ Name: 'vpc-id', Values: [VpcId] }] }, about, signal)
      return (Subnets ?? []).map(subnetOf).find(({ cidr, tags }) => cidr === subnet.cidr && isOurs(want.owner, tags, () => false))?.id
    },
  })
}

async function ensureRoutes(
  { api, want, found, doing, signal }: Work,
  vpc: Promise<string>,
  gateway: Promise<string>,
  subnets: Network['subnetIds'],
): Promise<void> {
  const VpcId = await vpc
  if (!doing.has(ids.routes)) return
  const about = { what: 'route table' }
  const there = routeTableInUse(found, found.vpcs[0])
  const look = async () => {
    const { RouteTables } = await api.call('DescribeRouteTables', { Filters: [{ Name: 'vpc-id', Values: [VpcId] }] }, about, signal)
    return (RouteTables ?? []).map(routeTableOf).find(({ tags }) => isOurs(want.owner, tags, () => false))
  }
  const table =
    there ??
    (await api.createOnce('CreateRouteTable', { VpcId, TagSpecifications: tagged('route-table', tagsOf(want.owner, want.routeTableName)) }, about, signal, {
      made: ({ RouteTable }) => (RouteTable === undefined ? undefined : routeTableOf(RouteTable)),
      look,
    }))
  const route = async (destination: string): Promise<void> => {
    const GatewayId = await gateway
    if (table.routes.get(destination) === GatewayId) return
    const input = {
      RouteTableId: table.id,
      GatewayId,
      ...(destination.includes(':') ? { DestinationIpv6CidrBlock: destination } : { DestinationCidrBlock: destination }),
    }
    try {
      await api.settled('CreateRoute', input, about, signal)
    } catch (error) {
      if (codeOf(error) !== 'RouteAlreadyExists') throw error
      // It leads elsewhere, or nowhere since its gateway is gone.
      await api.settled('ReplaceRoute', input, about, signal)
    }
  }
  const associate = async (name: string, subnet: Promise<string>): Promise<void> => {
    const SubnetId = await subnet
    if (table.associations.has(SubnetId)) return
    try {
      await api.settled('AssociateRouteTable', { RouteTableId: table.id, SubnetId }, { what: `routes of subnet ${name}` }, signal)
    } catch (error) {
      if (codeOf(error) !== 'Resource.AlreadyAssociated') throw error
      await moveAssociation(SubnetId, table.id, name)
    }
  }
  /** Another table of the VPC serves the subnet, or it is this one and the answer was lost. */
  const moveAssociation = async (subnetId: string, RouteTableId: string, name: string): Promise<void> => {
    const { RouteTables } = await api.call('DescribeRouteTables', { Filters: [{ Name: 'association.subnet-id', Values: [subnetId] }] }, about, signal)
    const current = (RouteTables ?? []).map(routeTableOf).find(({ associations }) => associations.has(subnetId))
    const AssociationId = current?.associations.get(subnetId)
    if (current?.id === RouteTableId || AssociationId === undefined) return
    await api.call('ReplaceRouteTableAssociation', { AssociationId, RouteTableId }, { what: `routes of subnet ${name}` }, signal)
  }
  const destinations = found.vpcs[0]?.ipv6 === true ? ['0.0.0.0/0', '::/0'] : ['0.0.0.0/0']
  await settled([...destinations.map(route), ...[...subnets].map(([name, subnet]) => associate(name, subnet))])
}

async function ensureGroup({ api, want, found, signal }: Work, vpc: Promise<string>): Promise<string> {
  const VpcId = await vpc
  const there = found.groups.find(({ vpcId }) => vpcId === VpcId)
  if (there !== undefined) return there.id
  const about = { what: `security group ${want.groupName}` }
  const input = {
    VpcId,
    GroupName: want.groupName,
    Description: `hosts of ${want.owner.site}, stage ${want.owner.stage}`,
    TagSpecifications: tagged('security-group', tagsOf(want.owner, want.groupTag)),
  }
  return api.createOnce('CreateSecurityGroup', input, about, signal, {
    made: ({ GroupId }) => GroupId,
    exists: /^InvalidGroup\.Duplicate$/,
    look: async () => {
      const { SecurityGroups } = await api.call('DescribeSecurityGroups', { Filters: [{ Name: 'vpc-id', Values: [VpcId] }] }, about, signal)
      return (SecurityGroups ?? []).map(groupOf).find(({ name, tags }) => name === want.groupName && isOurs(want.owner, tags, () => false))?.id
    },
  })
}

async function ensureRules({ api, want, found, doing, signal }: Work, group: Promise<string>): Promise<void> {
  const GroupId = await group
  if (!doing.has(ids.rules)) return
  const about = { what: `rules of security group ${want.groupName}` }
  const ipv6 = found.vpcs[0]?.ipv6 === true
  const change = async (have: AwsFound['groups'][number]['rules']): Promise<void> => {
    const { add, remove } = ruleChanges(want.rules(ipv6), have)
    // First what shall be let in, then what shall not: nobody who may come in is ever kept out.
    if (add.length > 0) await api.settled('AuthorizeSecurityGroupIngress', { GroupId, IpPermissions: permissionsOf(add, GroupId) }, about, signal)
    if (remove.length > 0) await api.settled('RevokeSecurityGroupIngress', { GroupId, IpPermissions: permissionsOf(remove, GroupId) }, about, signal)
  }
  try {
    await change(found.groups.find(({ id }) => id === GroupId)?.rules ?? [])
  } catch (error) {
    // An answer that was lost: some of it is done.
    if (!/^InvalidPermission\.(Duplicate|NotFound)$/.test(codeOf(error))) throw error
    const { SecurityGroups } = await api.settled('DescribeSecurityGroups', { GroupIds: [GroupId] }, about, signal)
    await change((SecurityGroups ?? []).flatMap((one) => groupOf(one).rules))
  }
}

async function ensureKey({ api, want, found, doing, signal }: Work, publicKey: string): Promise<string> {
  if (!doing.has(ids.key)) return want.keyName
  const about = { what: `key pair ${want.keyName}` }
  const [other] = found.keys
  if (other !== undefined) await api.call('DeleteKeyPair', { KeyName: other.name }, about, signal)
  const input = { KeyName: want.keyName, PublicKeyMaterial: Buffer.from(publicKey), TagSpecifications: tagged('key-pair', tagsOf(want.owner, want.keyName)) }
  await api.createOnce('ImportKeyPair', input, about, signal, {
    made: ({ KeyPairId }) => KeyPairId,
    exists: /^InvalidKeyPair\.Duplicate$/,
    look: async () =>
      (await api.call('DescribeKeyPairs', { Filters: [{ Name: 'key-name', Values: [want.keyName] }] }, about, signal)).KeyPairs?.map(keyOf)[0]?.id,
  })
  return want.keyName
}

/** An elastic address for the host, allocated where it has none. Costs money from then on, and stays until destroy. */
export async function ensureAddress(
  { api, want, signal }: Work,
  host: string,
  there: { readonly allocationId: string; readonly publicIp: string } | undefined,
): Promise<{ readonly allocationId: string; readonly publicIp: string }> {
  if (there !== undefined) return there
  const about = { what: `elastic address of ${host}`, host }
  const input = { Domain: 'vpc' as const, TagSpecifications: tagged('elastic-ip', tagsOf(want.owner, `for ${host}`, host)) }
  return api.createOnce('AllocateAddress', input, about, signal, {
    made: ({ AllocationId, PublicIp }) =>
      AllocationId === undefined || PublicIp === undefined ? undefined : { allocationId: AllocationId, publicIp: PublicIp },
    look: async () => {
      const filter = ownFilter(want)
      filter.Filters.push({ Name: `tag:${hostTag}`, Values: [host] })
      const { Addresses } = await api.call('DescribeAddresses', filter, about, signal)
      const [address] = Addresses ?? []
      return address?.AllocationId === undefined ? undefined : { allocationId: address.AllocationId, publicIp: address.PublicIp ?? '' }
    },
  })
}

/** Waits until a volume, as EC2 tells it, is as `wanted`; one that is gone is `deleted`. Answers false after five minutes. */
export async function volumeIs(
  { api, signal }: Pick<Work, 'api' | 'signal'>,
  volumeId: string,
  wanted: (volume: Pick<FoundVolume, 'state' | 'sizeGb'>) => boolean,
  what: string,
): Promise<boolean> {
  const answer = await untilAnswer(
    async () => {
      const { Volumes } = await api.call('DescribeVolumes', { Filters: [{ Name: 'volume-id', Values: [volumeId] }] }, { what }, signal)
      const [volume] = (Volumes ?? []).map(volumeOf)
      return wanted(volume ?? { state: 'deleted', sizeGb: 0 }) ? true : undefined
    },
    { clock: api.clock, signal, deadline: 300_000 },
  )
  return answer === true
}
