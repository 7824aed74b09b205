/** What build-infra would do in the account: wanted beside found. Pure. */
import { Disruption } from '#gen/hive/v1/step.ts'
import type { HostPower, ProviderAction } from '../provider.ts'
import type { FoundInstance, FoundVolume, FoundVpc } from './found.ts'
import { type AwsFound, isHostName, liveInstance, mirroredDisksOf } from './observe.ts'
import { ruleChanges, ruleText } from './security-rules.ts'
import { hostTag, missingTags, projectTag, stageTag, type Tags, tagsOf } from './tags.ts'
import { type AwsWant, type HostWant, mirroredDevice } from './want.ts'

export const ids = {
  vpc: 'aws/vpc',
  dns: 'aws/vpc-dns',
  gateway: 'aws/gateway',
  subnet: (name: string) => `aws/subnet/${name}`,
  routes: 'aws/routes',
  group: 'aws/security-group',
  rules: 'aws/security-rules',
  key: 'aws/key-pair',
  tags: 'aws/tags',
  create: (host: string) => `aws/instance@${host}`,
  start: (host: string) => `aws/start@${host}`,
  type: (host: string) => `aws/instance-type@${host}`,
  replace: (host: string) => `aws/replace@${host}`,
  joinGroup: (host: string) => `aws/security-group@${host}`,
  address: (host: string) => `aws/address@${host}`,
  disk: (host: string) => `aws/mirrored-disk@${host}`,
  keepDisk: (host: string) => `aws/keep-disk@${host}`,
  growRoot: (host: string) => `aws/root-disk-size@${host}`,
  growMirrored: (host: string) => `aws/mirrored-disk-size@${host}`,
} as const

type Part = Omit<ProviderAction, 'host' | 'disruption' | 'before'> & Partial<Pick<ProviderAction, 'host' | 'disruption' | 'before'>>
const action = (part: Part): ProviderAction => ({ host: '', before: 'absent', disruption: Disruption.UNSPECIFIED, ...part })

export interface AwsPlan {
  readonly actions: readonly ProviderAction[]
  readonly notices: readonly string[]
}

/**
 * In the order in which a person would do it. Empty: everything is as wanted. `fingerprint`: of the stage's ssh key; undefined where there
 * is none yet.
 */
export function planAws(want: AwsWant, found: AwsFound, fingerprint?: string): AwsPlan {
  const hosts = want.hosts.map((host) => planHost(want, found, host))
  return {
    actions: [...planNetwork(want, found), ...planKey(want, found, fingerprint), ...hosts.flatMap(({ actions }) => actions), ...planTags(want, found)],
    notices: [...strangers(want, found), ...hosts.flatMap(({ notices }) => notices)],
  }
}

const blocked = (id: string, title: string, reason: string, hint: string, host = ''): ProviderAction =>
  action({ id, host, title, reason, before: '', after: '', blocked: { hint } })

function planNetwork(want: AwsWant, found: AwsFound): readonly ProviderAction[] {
  const [vpc] = found.vpcs
  const actions: ProviderAction[] = []
  if (vpc === undefined) actions.push(action({ id: ids.vpc, title: `Create the network ${want.vpcName}`, reason: 'there is none', after: want.cidr }))
  else if (vpc.cidr !== want.cidr)
    actions.push(
      blocked(
        ids.vpc,
        `Change the network ${want.vpcName}`,
        `it is ${vpc.cidr}, and a VPC keeps its network`,
        `write cidr: ${vpc.cidr}, or destroy the stage and deploy it anew`,
      ),
    )
  // Names of EFS, and of hosts inside, need it.
  if (!found.dnsHostnames)
    actions.push(action({ id: ids.dns, title: 'Turn on DNS host names in the network', reason: 'they are off', before: 'off', after: 'on' }))
  const gateway = gatewayInUse(found)
  if (gateway?.vpcId === undefined)
    actions.push(
      action({
        id: ids.gateway,
        title: 'Create the internet gateway',
        reason: gateway === undefined ? 'there is none' : 'it is not attached',
        before: gateway === undefined ? 'absent' : 'detached',
        after: want.gatewayName,
      }),
    )
  for (const subnet of want.subnets) {
    const there = found.subnets.find(({ cidr, vpcId }) => cidr === subnet.cidr && vpcId === vpc?.id)
    const id = ids.subnet(subnet.name)
    if (there === undefined)
      actions.push(
        action({
          id,
          title: `Create the subnet ${subnet.name}`,
          reason: 'there is none',
          after: [subnet.cidr, subnet.zone].filter((part) => part !== undefined).join(' in '),
        }),
      )
    else if (subnet.zone !== undefined && there.zone !== subnet.zone)
      actions.push(
        blocked(
          id,
          `Move the subnet ${subnet.name}`,
          `it is in ${there.zone}, and a subnet keeps its zone`,
          `write available_zone: ${there.zone}, or destroy the stage and deploy it anew`,
        ),
      )
  }
  const missing = missingRoutes(want, found, vpc)
  if (missing.length > 0)
    actions.push(
      action({
        id: ids.routes,
        title: 'Route the subnets to the internet',
        reason: missing.join(', '),
        before: '',
        after: 'default route to the gateway, each subnet associated',
      }),
    )
  const group = found.groups.find(({ vpcId }) => vpcId === vpc?.id)
  if (group === undefined)
    actions.push(action({ id: ids.group, title: `Create the security group ${want.groupName}`, reason: 'there is none', after: want.groupName }))
  const rules = ruleChanges(want.rules(vpc?.ipv6 === true), group?.rules ?? [])
  if (rules.add.length + rules.remove.length > 0)
    actions.push(
      action({
        id: ids.rules,
        title: `Set the rules of the security group ${want.groupName}`,
        reason: group === undefined ? 'it is new' : 'they differ',
        before: rules.remove.map(ruleText).join('\n'),
        after: rules.add.map(ruleText).join('\n'),
      }),
    )
  return actions
}

function planKey(want: AwsWant, found: AwsFound, fingerprint: string | undefined): readonly ProviderAction[] {
  const [key] = found.keys
  const title = `Import the key pair ${want.keyName}`
  const after = "the stage's ssh key"
  if (key === undefined) return [action({ id: ids.key, title, reason: 'there is none', after })]
  const isOther = fingerprint !== undefined && key.fingerprint.replace(/=+$/, '') !== fingerprint.replace(/=+$/, '')
  if (!isOther) return []
  if (key.tags[stageTag] === want.owner.stage && key.tags[projectTag] === want.owner.site)
    return [action({ id: ids.key, title, reason: 'it holds another key than the stage has', before: key.fingerprint, after })]
  return [blocked(ids.key, title, 'a key pair of this name exists and holds another key', 'write another name in hive_aws_key_name, or remove that key pair')]
}

/** What keeps the subnets from the internet. */
export function missingRoutes(want: AwsWant, found: AwsFound, vpc: FoundVpc | undefined): readonly string[] {
  const table = routeTableInUse(found, vpc)
  if (table === undefined) return ['there is no route table']
  const gateway = gatewayInUse(found)
  const destinations = vpc?.ipv6 === true ? ['0.0.0.0/0', '::/0'] : ['0.0.0.0/0']
  return [
    ...destinations
      .filter((destination) => gateway === undefined || table.routes.get(destination) !== gateway.id)
      .map((destination) => `no route to ${destination}`),
    ...want.subnets.flatMap(({ cidr, name }) => {
      const subnet = found.subnets.find((candidate) => candidate.cidr === cidr && candidate.vpcId === vpc?.id)
      return subnet !== undefined && table.associations.has(subnet.id) ? [] : [`${name} has other routes`]
    }),
  ]
}

export const gatewayInUse = ({ gateways }: Pick<AwsFound, 'gateways'>) => gateways.find(({ vpcId }) => vpcId !== undefined) ?? gateways[0]
export const routeTableInUse = ({ routeTables }: Pick<AwsFound, 'routeTables'>, vpc: FoundVpc | undefined) => routeTables.find(({ vpcId }) => vpcId === vpc?.id)

export function powerOf(instance: FoundInstance | undefined): HostPower {
  if (instance === undefined) return 'absent'
  return instance.state === 'running' || instance.state === 'pending' ? 'running' : 'halted'
}

const gb = (size: number | undefined): string => (size === undefined ? "the image's size" : `${size} GB`)
const yes = (host: HostWant): string => `deploy does it with --allow ${host.host.shortName}`

function planHost(want: AwsWant, found: AwsFound, host: HostWant): AwsPlan {
  const actions: ProviderAction[] = []
  const notices: string[] = []
  const of = (part: Part): ProviderAction => action({ ...part, host: host.name })
  const instance = liveInstance(found, host.name)
  const twins = found.instances.filter(({ name, state }) => name === host.name && state !== 'shutting-down')
  if (twins.length > 1) {
    const names = twins.map(({ id }) => id).join(', ')
    return {
      actions: [
        blocked(
          ids.create(host.name),
          'Choose the instance of the host',
          `there are ${twins.length} of its name: ${names}`,
          'terminate the one that is not in use',
          host.name,
        ),
      ],
      notices,
    }
  }
  const [disk, ...otherDisks] = mirroredDisksOf(found, host.name, mirroredDevice)
  if (host.mirrored !== undefined && otherDisks.length > 0) {
    const names = [disk, ...otherDisks].map((volume) => volume?.id).join(', ')
    actions.push(
      blocked(
        ids.disk(host.name),
        'Choose the disk for mirrored volumes',
        `there are ${otherDisks.length + 1} of this host: ${names}`,
        'detach nothing; remove the tag hive:host of those that are not in use',
        host.name,
      ),
    )
  }
  const replacement = instance === undefined ? undefined : whyReplace(want, found, host, instance)
  if (instance === undefined) {
    actions.push(
      of({
        id: ids.create(host.name),
        title: 'Create the instance',
        reason: 'there is none',
        after: [host.instanceType, host.address, `${gb(host.root.sizeGb)} root disk`, ...(host.mirrored === undefined ? [] : [mirroredText(host, disk)])].join(
          ', ',
        ),
      }),
    )
    if (disk !== undefined && host.mirrored !== undefined) actions.push(...misplaced(want, found, host, disk))
  } else if (replacement !== undefined) {
    actions.push(
      of({
        id: ids.replace(host.name),
        title: 'Replace the instance',
        reason: `${replacement}; ${yes(host)}, its root disk is lost`,
        before: `${instance.id}: ${instance.privateIp} in ${instance.zone}`,
        after: `another instance at ${host.address}`,
        disruption: Disruption.DESTROY,
        needsYes: true,
      }),
    )
  } else actions.push(...planInstance(want, found, host, instance, disk, of))
  actions.push(...planAddress(found, host, instance, of))
  const spare = found.addresses.filter(({ tags, instanceId }) => tags[hostTag] === host.name && instanceId === undefined)
  const used = found.addresses.some(({ instanceId }) => instanceId !== undefined && instanceId === instance?.id) || host.publishedIp !== undefined
  if (used && spare.length > 0)
    notices.push(
      `the elastic address ${spare.map(({ publicIp }) => publicIp).join(', ')} of ${host.name} is not used and costs money: release it, or leave it to destroy`,
    )
  return { actions, notices }
}

const mirroredText = (host: HostWant, disk: FoundVolume | undefined): string =>
  disk === undefined ? `${gb(host.mirrored?.sizeGb)} disk for mirrored volumes` : `the disk ${disk.id} for mirrored volumes that its last instance left`

function misplaced(want: AwsWant, found: AwsFound, host: HostWant, disk: FoundVolume): readonly ProviderAction[] {
  const subnet = subnetOfHost(want, found, host)
  if (subnet === undefined || subnet.zone === disk.zone) return []
  return [
    blocked(
      ids.disk(host.name),
      'Attach the disk for mirrored volumes',
      `it is in ${disk.zone}, and the host would be in ${subnet.zone}`,
      'give the subnet its zone back; or delete the disk, then the volumes are mirrored from the other hosts again',
      host.name,
    ),
  ]
}

const subnetOfHost = (want: AwsWant, found: AwsFound, host: HostWant) => {
  const wanted = want.subnets.find(({ name }) => name === host.subnet)
  return found.subnets.find(({ cidr }) => cidr === wanted?.cidr)
}

function whyReplace(want: AwsWant, found: AwsFound, host: HostWant, instance: FoundInstance): string | undefined {
  if (instance.privateIp !== host.address) return `its address is ${instance.privateIp}, and an instance keeps its address`
  const subnet = subnetOfHost(want, found, host)
  if (subnet !== undefined && instance.subnetId !== subnet.id) return `it is in another subnet (${instance.subnetId})`
  return undefined
}

function planInstance(
  want: AwsWant,
  found: AwsFound,
  host: HostWant,
  instance: FoundInstance,
  disk: FoundVolume | undefined,
  of: (part: Part) => ProviderAction,
): readonly ProviderAction[] {
  const actions: ProviderAction[] = []
  const isOn = instance.state === 'running' || instance.state === 'pending'
  if (instance.type !== host.instanceType)
    actions.push(
      of({
        id: ids.type(host.name),
        title: 'Change the instance type',
        reason: isOn ? `it differs; the host must stop for it: ${yes(host)}` : 'it differs',
        before: instance.type,
        after: host.instanceType,
        ...(isOn ? { disruption: Disruption.REBOOT, needsYes: true as const } : {}),
      }),
    )
  if (!isOn) actions.push(of({ id: ids.start(host.name), title: 'Start the instance', reason: 'it is off', before: instance.state, after: 'running' }))
  const group = found.groups.find(({ vpcId }) => vpcId === instance.vpcId)
  if (group === undefined || !instance.groups.includes(group.id))
    actions.push(
      of({
        id: ids.joinGroup(host.name),
        title: `Put the host into the security group ${want.groupName}`,
        reason: 'it is not in it',
        before: instance.groups.join(', '),
        after: [...instance.groups, want.groupName].join(', '),
      }),
    )
  const root = found.volumes.find(({ id }) => id === instance.disks.get(instance.rootDevice)?.volumeId)
  actions.push(...planSize(host, root, host.root.sizeGb, 'root disk', ids.growRoot(host.name), of))
  if (host.mirrored === undefined) return actions
  const mapping = instance.disks.get(mirroredDevice)
  if (disk === undefined)
    actions.push(of({ id: ids.disk(host.name), title: 'Create the disk for mirrored volumes', reason: 'there is none', after: gb(host.mirrored.sizeGb) }))
  else if (mapping === undefined)
    actions.push(
      of({
        id: ids.disk(host.name),
        title: 'Attach the disk for mirrored volumes',
        reason: 'it is not attached',
        before: disk.id,
        after: `${disk.id} at ${mirroredDevice}`,
      }),
    )
  else {
    if (mapping.deletedWithInstance)
      actions.push(
        of({
          id: ids.keepDisk(host.name),
          title: 'Let the disk for mirrored volumes outlive its instance',
          reason: 'it would be deleted with the instance',
          before: 'deleted on termination',
          after: 'kept',
        }),
      )
    actions.push(...planSize(host, disk, host.mirrored.sizeGb, 'disk for mirrored volumes', ids.growMirrored(host.name), of))
  }
  return actions
}

function planSize(
  host: HostWant,
  volume: FoundVolume | undefined,
  sizeGb: number | undefined,
  what: string,
  id: string,
  of: (part: Part) => ProviderAction,
): readonly ProviderAction[] {
  if (volume === undefined || sizeGb === undefined || volume.sizeGb === sizeGb) return []
  if (volume.sizeGb > sizeGb)
    return [
      blocked(
        id,
        `Shrink the ${what}`,
        `it has ${volume.sizeGb} GB, and a disk can't shrink`,
        `write ${volume.sizeGb} in the inventory, or replace the host`,
        host.name,
      ),
    ]
  return [
    of({
      id,
      title: `Grow the ${what}`,
      reason: 'the inventory has a larger size',
      before: gb(volume.sizeGb),
      after: `${gb(sizeGb)}${id === ids.growRoot(host.name) ? ', used from the next boot on' : ''}`,
    }),
  ]
}

function planAddress(found: AwsFound, host: HostWant, instance: FoundInstance | undefined, of: (part: Part) => ProviderAction): readonly ProviderAction[] {
  const id = ids.address(host.name)
  const title = 'Give the host its elastic address'
  if (host.publishedIp !== undefined) {
    const address = found.published.find(({ publicIp }) => publicIp === host.publishedIp)
    if (address === undefined) return [blocked(id, title, `${host.publishedIp} is not in this account and region`, 'check hive_published_ip', host.name)]
    if (address.instanceId !== undefined && address.instanceId === instance?.id) return []
    if (address.instanceId !== undefined && !found.instances.some((other) => other.id === address.instanceId))
      return [
        blocked(
          id,
          title,
          `${host.publishedIp} belongs to the instance ${address.instanceId}, which is not of this stage`,
          'free the address, or name another one in hive_published_ip',
          host.name,
        ),
      ]
    return [of({ id, title, reason: 'it is not associated', before: '', after: host.publishedIp })]
  }
  const [address] = addressesOf(found, host)
  if (address !== undefined && address.instanceId !== undefined && address.instanceId === instance?.id) return []
  return [of({ id, title, reason: address === undefined ? 'it has none' : 'it is not associated', before: '', after: address?.publicIp ?? 'a new one' })]
}

/** Addresses of the host, the one in use first. hive-builder tagged them by name only. */
export const addressesOf = (found: Pick<AwsFound, 'addresses'>, host: Pick<HostWant, 'name'>) =>
  found.addresses
    .filter(({ tags }) => tags[hostTag] === host.name || (tags[hostTag] === undefined && (tags['Name'] === `for ${host.name}` || tags['Name'] === host.name)))
    .sort((a, b) => Number(b.instanceId !== undefined) - Number(a.instanceId !== undefined) || a.allocationId.localeCompare(b.allocationId))

export interface TagChange {
  readonly id: string
  readonly what: string
  readonly tags: Tags
}

/** Tags that things of the stage lack. */
export function tagChanges(want: AwsWant, found: AwsFound): readonly TagChange[] {
  const { owner } = want
  const [vpc] = found.vpcs
  const of = (thing: { readonly id: string; readonly tags: Tags } | undefined, what: string, name: string, host?: string): readonly TagChange[] => {
    if (thing === undefined) return []
    const tags = missingTags(tagsOf(owner, name, host), thing.tags)
    return Object.keys(tags).length === 0 ? [] : [{ id: thing.id, what, tags }]
  }
  const hosts = want.hosts.flatMap((host) => {
    const instance = liveInstance(found, host.name)
    const root = instance?.disks.get(instance.rootDevice)?.volumeId
    const [mirrored] = mirroredDisksOf(found, host.name, mirroredDevice)
    const [address] = addressesOf(found, host)
    return [
      ...of(instance, `instance of ${host.name}`, host.name, host.name),
      ...of(
        found.volumes.find(({ id }) => id === root),
        `root disk of ${host.name}`,
        host.name,
        host.name,
      ),
      ...of(mirrored, `disk for mirrored volumes of ${host.name}`, host.name, host.name),
      ...(address === undefined || host.publishedIp !== undefined
        ? []
        : of({ id: address.allocationId, tags: address.tags }, `elastic address of ${host.name}`, `for ${host.name}`, host.name)),
    ]
  })
  return [
    ...of(vpc, `network ${want.vpcName}`, want.vpcName),
    ...of(gatewayInUse(found), 'internet gateway', want.gatewayName),
    ...want.subnets.flatMap((subnet) =>
      of(
        found.subnets.find(({ cidr, vpcId }) => cidr === subnet.cidr && vpcId === vpc?.id),
        `subnet ${subnet.name}`,
        subnet.name,
      ),
    ),
    ...of(routeTableInUse(found, vpc), 'route table', want.routeTableName),
    ...of(
      found.groups.find(({ vpcId }) => vpcId === vpc?.id),
      'security group',
      want.groupTag,
    ),
    ...of(found.keys[0], 'key pair', want.keyName),
    ...hosts,
  ]
}

function planTags(want: AwsWant, found: AwsFound): readonly ProviderAction[] {
  const changes = tagChanges(want, found)
  if (changes.length === 0) return []
  const lines = changes.map(
    ({ what, tags }) =>
      `${what}: ${Object.entries(tags)
        .map(([key, value]) => `${key}=${value}`)
        .join(', ')}`,
  )
  return [action({ id: ids.tags, title: 'Set tags', reason: `${changes.length} things lack some`, before: '', after: lines.join('\n') })]
}

/** Instances of the stage that the inventory has no longer. Only destroy removes them. */
function strangers(want: AwsWant, found: AwsFound): readonly string[] {
  const known = new Set(want.hosts.map(({ name }) => name))
  const names = found.instances.filter(({ name }) => !known.has(name) && isHostName(want, name)).map(({ name }) => name)
  return names.length === 0
    ? []
    : [`hosts no longer in the inventory keep running and keep their data: ${names.join(', ')} (destroy removes them with the stage)`]
}
