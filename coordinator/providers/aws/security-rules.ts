/** The rules of the stage's security group, as sets of one-line texts, so that wanted and found can be compared. Pure. */
import type { IpPermission } from '@aws-sdk/client-ec2'
import { HiveError } from '../../../proto/errors.ts'
import type { Site } from '../../inventory/site.ts'

/** Who may come in: a network, or whoever is in the group itself (`self`), or in another group. */
export interface SecurityRule {
  /** `-1` for all, else tcp, udp, icmp, icmpv6 or a protocol number. */
  readonly protocol: string
  /** -1 to -1 where a protocol has no ports, or for all. */
  readonly from: number
  readonly to: number
  readonly source: string
}

/** Ports from here on are for the site's own use; smaller ones are open to the world. */
const firstInternalPort = 10_000
/** EC2 knows sctp by its number only. */
const protocolNumbers: Readonly<Record<string, string>> = { all: '-1', any: '-1', sctp: '132', '6': 'tcp', '17': 'udp', '1': 'icmp', '58': 'icmpv6' }
export const selfSource = 'self'

const protocolOf = (name: string): string => protocolNumbers[name.toLowerCase()] ?? name.toLowerCase()
const hasPorts = (protocol: string): boolean => protocol === 'tcp' || protocol === 'udp'
/** EC2 keeps ports (types of ICMP) for these only: others, SCTP too, it lets through on all ports, whatever is said. */
const keepsPorts = (protocol: string): boolean => hasPorts(protocol) || protocol === 'icmp' || protocol === 'icmpv6'
const ruleOf = (protocol: string, from: number, to: number, source: string): SecurityRule =>
  keepsPorts(protocol) ? { protocol, from, to, source } : { protocol, from: -1, to: -1, source }

export const ruleText = ({ protocol, from, to, source }: SecurityRule): string =>
  protocol === '-1' ? `all from ${source}` : `${protocol}${from === -1 && to === -1 ? '' : from === to ? ` ${from}` : ` ${from}-${to}`} from ${source}`

const distinct = (rules: readonly SecurityRule[]): readonly SecurityRule[] => [...new Map(rules.map((rule) => [ruleText(rule), rule])).values()]

export interface RuleInput {
  readonly sshPorts: readonly number[]
  /** IPv4 and IPv6 networks. */
  readonly sshSources: readonly string[]
  readonly services: readonly Pick<Site['services'][number], 'ports'>[]
  /** `hive_ec2_group_rules`: replaces all rules. */
  readonly given: unknown
  /** The VPC has IPv6 addresses. */
  readonly ipv6: boolean
}

/**
 * Everything from the group itself; ssh from where it is allowed; published ports below 10000 from everywhere. Throws HiveError
 * 'invalid-input' for a given rule that can't be read.
 */
export function wantedRules({ sshPorts, sshSources, services, given, ipv6 }: RuleInput): readonly SecurityRule[] {
  if (given !== undefined) return distinct(readGivenRules(given))
  const everywhere = ipv6 ? ['0.0.0.0/0', '::/0'] : ['0.0.0.0/0']
  const published = services
    .flatMap(({ ports }) => ports)
    .filter((port) => port.published < firstInternalPort)
    .sort((a, b) => a.published - b.published)
  const sources = sshSources.length === 0 ? everywhere : sshSources.filter((source) => ipv6 || !source.includes(':'))
  return distinct([
    { protocol: '-1', from: -1, to: -1, source: selfSource },
    ...sshPorts.flatMap((port) => sources.map((source) => ({ protocol: 'tcp', from: port, to: port, source }))),
    ...published.flatMap((port) => everywhere.map((source) => ruleOf(protocolOf(port.protocol), port.published, port.published, source))),
  ])
}

const variable = 'hive_ec2_group_rules'
const wrong = (index: number, what: string): HiveError =>
  new HiveError('invalid-input', `${variable}: rule ${index + 1} ${what}`, {
    hint: 'write it as {proto: tcp, from_port: 22, to_port: 22, cidr_ip: 192.0.2.0/24}, or {proto: all, group_name: default} for the hosts themselves',
  })

/** In the form of Ansible's ec2_security_group module. */
function readGivenRules(given: unknown): readonly SecurityRule[] {
  if (!Array.isArray(given)) throw new HiveError('invalid-input', `${variable} is not a list`, { hint: 'write a list of rules' })
  return given.flatMap((item: unknown, index) => {
    if (typeof item !== 'object' || item === null) throw wrong(index, 'is not a mapping')
    const rule = item as Readonly<Record<string, unknown>>
    const protocol = protocolOf(String(rule['proto'] ?? 'tcp'))
    const sources = [
      ...texts(rule['cidr_ip']),
      ...texts(rule['cidr_ipv6']),
      ...texts(rule['group_id']),
      // hive-builder puts its rules into the VPC's default group; here that name stands for the stage's own.
      ...texts(rule['group_name']).map((name) => {
        if (name !== 'default') throw wrong(index, `names the group ${name}; another group than the hosts' own is named by group_id`)
        return selfSource
      }),
    ]
    if (sources.length === 0) throw wrong(index, 'says no source (cidr_ip, cidr_ipv6, group_name or group_id)')
    return portRanges(rule, protocol, index).flatMap(([from, to]) => sources.map((source) => ruleOf(protocol, from, to, source)))
  })
}

const texts = (value: unknown): readonly string[] => (value === undefined || value === null ? [] : Array.isArray(value) ? value.map(String) : [String(value)])

function portRanges(rule: Readonly<Record<string, unknown>>, protocol: string, index: number): readonly (readonly [number, number])[] {
  const number = (value: unknown): number => {
    const parsed = Number(value)
    if (!Number.isInteger(parsed) || parsed < -1 || parsed > 65_535) throw wrong(index, `has the port ${String(value)}`)
    return parsed
  }
  if (protocol === '-1') return [[-1, -1]]
  const listed = texts(rule['ports'])
  if (listed.length > 0)
    return listed.map((range) => {
      const [from, to = from] = range.split('-')
      return [number(from), number(to)]
    })
  const from = rule['from_port']
  const to = rule['to_port'] ?? from
  if (from === undefined || from === null) {
    if (hasPorts(protocol)) throw wrong(index, 'has no from_port')
    return [[-1, -1]]
  }
  return [[number(from), number(to)]]
}

/** The rules of a group as EC2 tells them. */
export function foundRules(permissions: readonly IpPermission[], groupId: string): readonly SecurityRule[] {
  return permissions.flatMap((permission) => {
    const protocol = protocolOf(permission.IpProtocol ?? '-1')
    const { from, to } = ruleOf(protocol, permission.FromPort ?? -1, permission.ToPort ?? -1, '')
    const base = { protocol, from, to }
    return [
      ...(permission.IpRanges ?? []).map(({ CidrIp = '' }) => ({ ...base, source: CidrIp })),
      ...(permission.Ipv6Ranges ?? []).map(({ CidrIpv6 = '' }) => ({ ...base, source: CidrIpv6 })),
      ...(permission.UserIdGroupPairs ?? []).map(({ GroupId = '' }) => ({ ...base, source: GroupId === groupId ? selfSource : GroupId })),
      ...(permission.PrefixListIds ?? []).map(({ PrefixListId = '' }) => ({ ...base, source: PrefixListId })),
    ]
  })
}

export interface RuleChanges {
  readonly add: readonly SecurityRule[]
  readonly remove: readonly SecurityRule[]
}

export function ruleChanges(wanted: readonly SecurityRule[], found: readonly SecurityRule[]): RuleChanges {
  const texts = (rules: readonly SecurityRule[]): ReadonlySet<string> => new Set(rules.map(ruleText))
  const want = texts(wanted)
  const have = texts(found)
  return { add: wanted.filter((rule) => !have.has(ruleText(rule))), remove: distinct(found).filter((rule) => !want.has(ruleText(rule))) }
}

/** For AuthorizeSecurityGroupIngress and RevokeSecurityGroupIngress. */
export const permissionsOf = (rules: readonly SecurityRule[], groupId: string): IpPermission[] =>
  rules.map(({ protocol, from, to, source }) => ({
    IpProtocol: protocol,
    ...(keepsPorts(protocol) ? { FromPort: from, ToPort: to } : {}),
    ...sourceOf(source === selfSource ? groupId : source),
  }))

function sourceOf(source: string): IpPermission {
  if (source.startsWith('sg-')) return { UserIdGroupPairs: [{ GroupId: source }] }
  if (source.startsWith('pl-')) return { PrefixListIds: [{ PrefixListId: source }] }
  return source.includes(':') ? { Ipv6Ranges: [{ CidrIpv6: source }] } : { IpRanges: [{ CidrIp: source }] }
}
