/** Tags that things of the stage lack. Pure. */
import type { ProviderAction } from '../provider.ts'
import { type AwsFound, liveInstance, mirroredDisksOf } from './observe.ts'
import { action, ids } from './plan-actions.ts'
import { addressesOf } from './plan-host.ts'
import { gatewayInUse, routeTableInUse } from './plan-network.ts'
import { missingTags, type Tags, tagsOf } from './tags.ts'
import { type AwsWant, mirroredDevice } from './want.ts'

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

export function planTags(want: AwsWant, found: AwsFound): readonly ProviderAction[] {
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
