/** What the network of a stage lacks or has too much of. Pure. */
import type { ProviderAction } from '../provider.ts'
import type { FoundVpc } from './found.ts'
import type { AwsFound } from './observe.ts'
import { action, blocked, ids } from './plan-actions.ts'
import { ruleChanges, ruleText } from './security-rules.ts'
import { projectTag, stageTag } from './tags.ts'
import type { AwsWant } from './want.ts'

export function planNetwork(want: AwsWant, found: AwsFound): readonly ProviderAction[] {
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

/** `fingerprint`: of the stage's ssh key; undefined where there is none yet. */
export function planKey(want: AwsWant, found: AwsFound, fingerprint: string | undefined): readonly ProviderAction[] {
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
