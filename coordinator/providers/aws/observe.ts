/** Looks at everything of a stage in its account: reads only, found by tags. */
import type { AwsApi } from './api.ts'
import {
  addressOf,
  type FoundAddress,
  type FoundGateway,
  type FoundGroup,
  type FoundInstance,
  type FoundKey,
  type FoundRouteTable,
  type FoundSubnet,
  type FoundVolume,
  type FoundVpc,
  gatewayOf,
  groupOf,
  instanceOf,
  keyOf,
  routeTableOf,
  subnetOf,
  volumeOf,
  vpcOf,
} from './found.ts'
import { together } from './settled.ts'
import { hostTag, isOurs, projectTag, stageTag, type Tags } from './tags.ts'
import { untilAnswer } from './wait.ts'
import type { AwsWant } from './want.ts'

export interface AwsFound {
  /** Usually one; more where an answer was lost. The first is the one in use. */
  readonly vpcs: readonly FoundVpc[]
  readonly dnsHostnames: boolean
  readonly gateways: readonly FoundGateway[]
  readonly subnets: readonly FoundSubnet[]
  readonly routeTables: readonly FoundRouteTable[]
  readonly groups: readonly FoundGroup[]
  readonly keys: readonly FoundKey[]
  /** Not those that are terminated. */
  readonly instances: readonly FoundInstance[]
  /** Disks of the instances, and disks that outlived theirs. */
  readonly volumes: readonly FoundVolume[]
  readonly addresses: readonly FoundAddress[]
  /** `hive_published_ip` of hosts, as they are in the account. */
  readonly published: readonly FoundAddress[]
}

const byProject = (want: AwsWant): { Filters: { Name: string; Values: string[] }[] } => ({
  Filters: [{ Name: `tag:${projectTag}`, Values: [want.owner.site] }],
})

/** Names that hosts of this stage have or had: the inventory's, with any number. */
export function isHostName(want: Pick<AwsWant, 'hosts' | 'owner'>, name: string | undefined): boolean {
  const base = want.hosts[0]?.host.shortName.replace(/\d+$/, '')
  if (name === undefined || base === undefined) return false
  const [label = '', ...rest] = name.split('.')
  return rest.join('.') === want.owner.site && label.startsWith(base) && /^\d+$/.test(label.slice(base.length))
}

export async function observeInstances(api: AwsApi, want: AwsWant, signal: AbortSignal): Promise<readonly FoundInstance[]> {
  const about = { what: `hosts of stage ${want.owner.stage}` }
  const reservations = await api.all('DescribeInstances', byProject(want), about, signal, ({ Reservations }) => Reservations)
  return reservations
    .flatMap(({ Instances }) => Instances ?? [])
    .map(instanceOf)
    .filter(({ state, tags }) => state !== 'terminated' && isOurs(want.owner, tags, (name) => isHostName(want, name)))
}

export async function observeAddresses(api: AwsApi, want: AwsWant, signal: AbortSignal): Promise<Pick<AwsFound, 'addresses' | 'published'>> {
  const about = { what: `elastic addresses of stage ${want.owner.stage}` }
  const fixed = want.hosts.flatMap(({ publishedIp }) => publishedIp ?? [])
  const [tagged, published] = await together([
    api.call('DescribeAddresses', byProject(want), about, signal),
    fixed.length === 0 ? undefined : api.call('DescribeAddresses', { Filters: [{ Name: 'public-ip', Values: fixed }] }, about, signal),
  ])
  const ours = (tagged.Addresses ?? []).map(addressOf).filter(({ tags }) => isOurs(want.owner, tags, (name) => isHostName(want, name?.replace(/^for /, ''))))
  return {
    addresses: ours.filter(({ publicIp }) => !fixed.includes(publicIp)),
    published: (published?.Addresses ?? []).map(addressOf),
  }
}

/** About ten calls, in two rounds. Throws HiveError. */
export async function observe(api: AwsApi, want: AwsWant, signal: AbortSignal): Promise<AwsFound> {
  const { owner, vpcName } = want
  const filters = byProject(want)
  const about = { what: `network of stage ${owner.stage}` }
  const named = (expected: string) => (name: string | undefined) => name === expected
  const ours = <T extends { readonly tags: Tags }>(items: readonly T[], hasItsName: (name: string | undefined) => boolean): readonly T[] =>
    items.filter(({ tags }) => isOurs(owner, tags, hasItsName))
  const [vpcs, gateways, subnets, routeTables, groups, keys, instances, volumes, addresses] = await together([
    api.all('DescribeVpcs', filters, about, signal, ({ Vpcs }) => Vpcs),
    api.all('DescribeInternetGateways', filters, about, signal, ({ InternetGateways }) => InternetGateways),
    api.all('DescribeSubnets', filters, about, signal, ({ Subnets }) => Subnets),
    api.all('DescribeRouteTables', filters, about, signal, ({ RouteTables }) => RouteTables),
    api.all('DescribeSecurityGroups', filters, about, signal, ({ SecurityGroups }) => SecurityGroups),
    // Key pairs that hive-builder made have no tags, so they are asked for by name.
    api.call('DescribeKeyPairs', { Filters: [{ Name: 'key-name', Values: [want.keyName] }] }, about, signal),
    observeInstances(api, want, signal),
    api.all('DescribeVolumes', filters, { what: `disks of stage ${owner.stage}` }, signal, ({ Volumes }) => Volumes),
    observeAddresses(api, want, signal),
  ])
  const ourVolumes = ours(volumes.map(volumeOf), () => false)
  const first = {
    gateways: ours(gateways.map(gatewayOf), named(want.gatewayName)),
    subnets: ours(subnets.map(subnetOf), (name) => want.subnets.some((subnet) => subnet.name === name)),
    routeTables: ours(routeTables.map(routeTableOf), named(want.routeTableName)),
    groups: ours(groups.map(groupOf), () => false),
  }
  const tagged = vpcs.map(vpcOf).filter((vpc) => isOurs(owner, vpc.tags, (name) => name === vpcName && vpc.cidr === want.cidr))
  const members = [...first.subnets, ...first.routeTables, ...first.groups, ...instances]
  const all = [...tagged, ...(await untaggedVpcs(api, tagged, members, signal))].sort((a, b) => a.id.localeCompare(b.id))
  const inUse = new Set(members.map(({ vpcId }) => vpcId))
  const sorted = [...all.filter(({ id }) => inUse.has(id)), ...all.filter(({ id }) => !inUse.has(id))]
  const [vpc] = sorted
  const ids = new Set(sorted.map(({ id }) => id))
  // Things that hive-builder made know no stage: those in another VPC of the site are another stage's.
  const inside = <T extends { readonly vpcId: string | undefined; readonly tags: Tags }>(items: readonly T[]): readonly T[] =>
    items.filter(({ vpcId, tags }) => tags[stageTag] !== undefined || vpcId === undefined || ids.has(vpcId))
  const network = { gateways: inside(first.gateways), subnets: inside(first.subnets), routeTables: inside(first.routeTables), groups: inside(first.groups) }
  const holders = [...ourVolumes.map(({ attachedTo }) => attachedTo), ...addresses.addresses.map(({ instanceId }) => instanceId)]
  const [dns, closer, unseen] = await together([
    vpc === undefined ? undefined : api.call('DescribeVpcAttribute', { VpcId: vpc.id, Attribute: 'enableDnsHostnames' }, about, signal),
    vpc === undefined ? nothingCloser : untaggedParts(api, want, vpc.id, network, signal),
    unseenInstances(api, want, vpc?.id, instances, holders, signal),
  ])
  const known = new Set(ourVolumes.map(({ id }) => id))
  const everyInstance = [...instances, ...unseen]
  const disks = everyInstance.flatMap((instance) => [...instance.disks.values()].map(({ volumeId }) => volumeId)).filter((id) => id !== '' && !known.has(id))
  const others =
    disks.length === 0 ? [] : await api.all('DescribeVolumes', withFilter('volume-id', disks), { what: 'disks of hosts' }, signal, ({ Volumes }) => Volumes)
  return {
    vpcs: sorted,
    dnsHostnames: dns?.EnableDnsHostnames?.Value === true,
    gateways: [...network.gateways, ...closer.gateways],
    subnets: [...network.subnets, ...closer.subnets],
    routeTables: [...network.routeTables, ...closer.routeTables],
    groups: [...network.groups, ...closer.groups],
    keys: (keys.KeyPairs ?? []).map(keyOf),
    instances: everyInstance,
    volumes: [...ourVolumes, ...others.map(volumeOf)],
    ...addresses,
  }
}

const withFilter = (name: string, values: readonly string[]): { Filters: { Name: string; Values: string[] }[] } => ({
  Filters: [{ Name: name, Values: [...values] }],
})

/** Where somebody took the tags off a VPC, what is in it still has them. */
async function untaggedVpcs(
  api: AwsApi,
  tagged: readonly FoundVpc[],
  members: readonly { readonly vpcId: string; readonly tags: Tags }[],
  signal: AbortSignal,
): Promise<readonly FoundVpc[]> {
  const known = new Set(tagged.map(({ id }) => id))
  const missing = [...new Set(members.filter(({ tags }) => tags[stageTag] !== undefined).map(({ vpcId }) => vpcId))].filter((id) => id !== '' && !known.has(id))
  if (missing.length === 0) return []
  const vpcs = await api.all('DescribeVpcs', withFilter('vpc-id', missing), { what: 'network' }, signal, ({ Vpcs }) => Vpcs)
  return vpcs.map(vpcOf).filter(({ tags }) => tags[stageTag] === undefined)
}

const nothingCloser = { gateways: [], subnets: [], routeTables: [], groups: [] }

/** Parts of the stage's own VPC that are what is wanted but for their tags. Asked for only where something is missing. */
async function untaggedParts(
  api: AwsApi,
  want: AwsWant,
  vpcId: string,
  found: Pick<AwsFound, 'gateways' | 'subnets' | 'routeTables' | 'groups'>,
  signal: AbortSignal,
): Promise<Pick<AwsFound, 'gateways' | 'subnets' | 'routeTables' | 'groups'>> {
  const about = { what: `network ${want.vpcName}` }
  const inVpc = withFilter('vpc-id', [vpcId])
  const nobodys = <T extends { readonly tags: Tags }>(items: readonly T[]): readonly T[] => items.filter(({ tags }) => tags[stageTag] === undefined)
  const missing = want.subnets.filter(({ cidr }) => !found.subnets.some((subnet) => subnet.cidr === cidr && subnet.vpcId === vpcId))
  const [gateways, subnets, routeTables, groups] = await together([
    found.gateways.some((gateway) => gateway.vpcId === vpcId)
      ? []
      : api.all('DescribeInternetGateways', withFilter('attachment.vpc-id', [vpcId]), about, signal, ({ InternetGateways }) => InternetGateways),
    missing.length === 0 ? [] : api.all('DescribeSubnets', inVpc, about, signal, ({ Subnets }) => Subnets),
    found.routeTables.some((table) => table.vpcId === vpcId) ? [] : api.all('DescribeRouteTables', inVpc, about, signal, ({ RouteTables }) => RouteTables),
    found.groups.some((group) => group.vpcId === vpcId) ? [] : api.all('DescribeSecurityGroups', inVpc, about, signal, ({ SecurityGroups }) => SecurityGroups),
  ])
  const seen = nobodys(subnets.map(subnetOf)).filter(({ cidr }) => missing.some((subnet) => subnet.cidr === cidr))
  const own = new Set([...found.subnets, ...seen].map(({ id }) => id))
  return {
    gateways: nobodys(gateways.map(gatewayOf)),
    subnets: seen,
    // The main table belongs to the VPC; ours is the one that serves the subnets.
    routeTables: nobodys(routeTables.map(routeTableOf)).filter(({ isMain, associations }) => !isMain && [...associations.keys()].some((id) => own.has(id))),
    groups: nobodys(groups.map(groupOf)).filter(({ name }) => name === want.groupName),
  }
}

/** Milliseconds until an instance that was just made can be seen. */
const seenAfter = 20_000

/**
 * Instances that have a disk or an elastic address of the stage and were not among those found by tags: made a moment ago and not
 * known everywhere yet, or without their tags, then known by their address.
 */
async function unseenInstances(
  api: AwsApi,
  want: AwsWant,
  vpcId: string | undefined,
  known: readonly FoundInstance[],
  instanceIds: readonly (string | undefined)[],
  signal: AbortSignal,
): Promise<readonly FoundInstance[]> {
  const ids = new Set(known.map(({ id }) => id))
  const missing = [...new Set(instanceIds.filter((id) => id !== undefined))].filter((id) => !ids.has(id))
  if (missing.length === 0) return []
  const about = { what: `hosts of stage ${want.owner.stage}` }
  let seen: readonly FoundInstance[] = []
  await untilAnswer(
    async () => {
      const reservations = await api.all('DescribeInstances', withFilter('instance-id', missing), about, signal, ({ Reservations }) => Reservations)
      seen = reservations.flatMap(({ Instances }) => Instances ?? []).map(instanceOf)
      return missing.every((id) => seen.some((instance) => instance.id === id)) ? true : undefined
    },
    { clock: api.clock, signal, deadline: seenAfter },
  )
  return seen
    .filter(({ state }) => state !== 'terminated')
    .flatMap((instance) => {
      if (isOurs(want.owner, instance.tags, (name) => isHostName(want, name))) return [instance]
      const host = want.hosts.find(({ address }) => address === instance.privateIp)
      const isUntagged = vpcId !== undefined && instance.vpcId === vpcId && instance.tags[stageTag] === undefined
      return isUntagged && host !== undefined ? [{ ...instance, name: host.name }] : []
    })
}

/** The instance that is, or will be again, the host; one that is being terminated is not. */
export const liveInstance = (found: Pick<AwsFound, 'instances'>, host: string): FoundInstance | undefined =>
  found.instances.find(({ name, state }) => name === host && state !== 'shutting-down')

/**
 * Disks for mirrored volumes of a host: the one attached to its instance, else those left by instances that are gone or on their
 * way out. More than one: nobody can tell which holds the data.
 */
export function mirroredDisksOf(found: Pick<AwsFound, 'volumes' | 'instances'>, host: string, device: string): readonly FoundVolume[] {
  const instance = liveInstance(found, host)
  const attached = instance?.disks.get(device)?.volumeId
  if (attached !== undefined) return found.volumes.filter(({ id }) => id === attached)
  const live = new Set(
    found.instances.filter(({ state }) => state !== 'shutting-down').flatMap(({ disks }) => [...disks.values()].map(({ volumeId }) => volumeId)),
  )
  // A root disk goes with its instance, which may be one that was just made and can't be seen yet.
  return found.volumes.filter(
    ({ id, tags, state, goesWithInstance }) => tags[hostTag] === host && !live.has(id) && !goesWithInstance && state !== 'deleting' && state !== 'deleted',
  )
}
