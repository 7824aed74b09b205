/** What is in the emulator's account, asked past the provider: for "nothing is left" and "no twins". */
import {
  DescribeAddressesCommand,
  DescribeInstancesCommand,
  DescribeInternetGatewaysCommand,
  DescribeKeyPairsCommand,
  DescribeNetworkInterfacesCommand,
  DescribeRouteTablesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  DescribeVolumesCommand,
  DescribeVpcsCommand,
  type EC2Client,
} from '@aws-sdk/client-ec2'

export interface Account {
  readonly vpcs: readonly string[]
  readonly gateways: readonly string[]
  readonly subnets: readonly string[]
  readonly routeTables: readonly string[]
  readonly groups: readonly string[]
  readonly keys: readonly string[]
  /** Names of instances that are not terminated. */
  readonly instances: readonly string[]
  readonly volumes: readonly string[]
  readonly addresses: readonly string[]
  readonly interfaces: readonly string[]
}

export const nothing: Account = {
  vpcs: [],
  gateways: [],
  subnets: [],
  routeTables: [],
  groups: [],
  keys: [],
  instances: [],
  volumes: [],
  addresses: [],
  interfaces: [],
}

interface Tagged {
  readonly Tags?: readonly { readonly Key?: string | undefined; readonly Value?: string | undefined }[] | undefined
}

const names = (items: readonly Tagged[] | undefined): readonly string[] =>
  (items ?? []).map(({ Tags }) => Tags?.find(({ Key }) => Key === 'Name')?.Value ?? 'without a name').sort()

/** Everything but what each region has from the start. Read past the front, so that nothing is recorded or hurried. */
export async function accountOf(ec2: EC2Client): Promise<Account> {
  const vpcs = (await ec2.send(new DescribeVpcsCommand({}))).Vpcs ?? []
  const default_ = vpcs.find(({ IsDefault }) => IsDefault)?.VpcId
  const own = <T extends { readonly VpcId?: string | undefined }>(items: readonly T[] | undefined): T[] =>
    (items ?? []).filter(({ VpcId }) => VpcId !== default_)
  const [gateways, subnets, tables, groups, keys, instances, volumes, addresses, interfaces] = await Promise.all([
    ec2.send(new DescribeInternetGatewaysCommand({})),
    ec2.send(new DescribeSubnetsCommand({})),
    ec2.send(new DescribeRouteTablesCommand({})),
    ec2.send(new DescribeSecurityGroupsCommand({})),
    ec2.send(new DescribeKeyPairsCommand({})),
    ec2.send(new DescribeInstancesCommand({})),
    ec2.send(new DescribeVolumesCommand({})),
    ec2.send(new DescribeAddressesCommand({})),
    ec2.send(new DescribeNetworkInterfacesCommand({})),
  ])
  return {
    vpcs: names(own(vpcs)),
    gateways: names((gateways.InternetGateways ?? []).filter(({ Attachments = [] }) => !Attachments.some(({ VpcId }) => VpcId === default_))),
    subnets: names(own(subnets.Subnets)),
    routeTables: names(own(tables.RouteTables).filter(({ Associations = [] }) => !Associations.some(({ Main }) => Main === true))),
    groups: own(groups.SecurityGroups)
      .map(({ GroupName = '' }) => GroupName)
      .filter((name) => name !== 'default')
      .sort(),
    keys: (keys.KeyPairs ?? []).map(({ KeyName = '' }) => KeyName).sort(),
    instances: names((instances.Reservations ?? []).flatMap(({ Instances }) => Instances ?? []).filter(({ State }) => State?.Name !== 'terminated')),
    volumes: names(volumes.Volumes),
    addresses: names(addresses.Addresses),
    interfaces: own(interfaces.NetworkInterfaces).map(({ NetworkInterfaceId = '' }) => NetworkInterfaceId),
  }
}

/** What the example's stage comes to. */
export const exampleAccount: Omit<Account, 'interfaces'> = {
  vpcs: ['vpc-pdns'],
  gateways: ['gateway for vpc-pdns'],
  subnets: ['subnet-a', 'subnet-c', 'subnet-d'],
  routeTables: ['Public for subnet'],
  groups: ['hive-pdns-staging'],
  keys: ['hive-bulder-pdns-staging'],
  instances: ['s-hive0.pdns', 's-hive1.pdns', 's-hive2.pdns', 's-hive3.pdns'],
  // Three hosts with two disks, the repository server with one.
  volumes: ['s-hive0.pdns', 's-hive0.pdns', 's-hive1.pdns', 's-hive1.pdns', 's-hive2.pdns', 's-hive2.pdns', 's-hive3.pdns'],
  addresses: ['for s-hive0.pdns', 'for s-hive1.pdns', 'for s-hive2.pdns', 'for s-hive3.pdns'],
}
