/** Evaluates an IAM policy against a call, resource by resource, as far as policies for EC2 and EFS usually go. */
import type { Call } from './call.ts'

type OneOrMore = string | readonly string[]

export interface Statement {
  readonly Sid?: string
  readonly Effect: 'Allow' | 'Deny'
  readonly Action: OneOrMore
  readonly Resource: OneOrMore
  /** Operator → key → values. StringEquals, StringLike, StringNotEquals, Null, each also with IfExists. */
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, OneOrMore>>>>
}

export interface Policy {
  readonly Version: string
  readonly Statement: readonly Statement[]
}

const account = '123456789012'
const many = (value: OneOrMore): readonly string[] => (typeof value === 'string' ? [value] : value)
const matches = (pattern: string, value: string): boolean =>
  new RegExp(
    `^${pattern
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')}$`,
    'is',
  ).test(value)

const types: Readonly<Record<string, string>> = {
  vpc: 'vpc',
  subnet: 'subnet',
  igw: 'internet-gateway',
  rtb: 'route-table',
  sg: 'security-group',
  i: 'instance',
  vol: 'volume',
  eni: 'network-interface',
  ami: 'image',
  snap: 'snapshot',
  eipalloc: 'elastic-ip',
  key: 'key-pair',
  sgr: 'security-group-rule',
  rtbassoc: 'route-table',
  eipassoc: 'elastic-ip',
}

/** What a call makes: checked as resources of their own. */
const makes: Readonly<Record<string, readonly string[]>> = {
  CreateVpc: ['vpc'],
  CreateSubnet: ['subnet'],
  CreateInternetGateway: ['internet-gateway'],
  CreateRouteTable: ['route-table'],
  CreateSecurityGroup: ['security-group'],
  CreateVolume: ['volume'],
  AllocateAddress: ['elastic-ip'],
  ImportKeyPair: ['key-pair'],
  CreateKeyPair: ['key-pair'],
  RunInstances: ['instance', 'network-interface', 'volume'],
}

export interface Denied {
  /** `ec2:RunInstances` */
  readonly action: string
  readonly resource: string
}

type TagsOf = (id: string) => Promise<Readonly<Record<string, string>>>
type FileSystemOf = (mountTarget: string) => Promise<string | undefined>

/** What EFS does to network interfaces needs the caller's right to do that. */
const doneByEfs: Readonly<Record<string, readonly string[]>> = {
  CreateMountTarget: ['DescribeSubnets', 'DescribeNetworkInterfaces', 'CreateNetworkInterface'],
  DeleteMountTarget: ['DeleteNetworkInterface'],
  ModifyMountTargetSecurityGroups: ['ModifyNetworkInterfaceAttribute'],
  DescribeMountTargetSecurityGroups: ['DescribeNetworkInterfaceAttribute'],
}

/**
 * What of the call is not allowed. `tagsOf`: the tags of a resource's id, or of a key pair's name, for conditions on them.
 * `fileSystemOf`: a mount target's.
 */
export async function denied(policy: Policy, call: Call, tagsOf: TagsOf, fileSystemOf: FileSystemOf): Promise<Denied | undefined> {
  if (call.service === 'sts' && call.action === 'GetCallerIdentity') return undefined
  const requestTags = tagsAsked(call)
  const prefix = call.service
  const resources = await resourcesOf(call, tagsOf, fileSystemOf)
  const wanted = resources.map((resource) => ({ ...resource, action: `${prefix}:${call.action}`, context: {} as Record<string, string> }))
  // Tags given while something is made need the right to tag it.
  if (call.service === 'ec2' && Object.keys(requestTags).length > 0 && call.action !== 'CreateTags')
    for (const type of new Set(Object.entries(call.params).flatMap(([key, value]) => (/^TagSpecification\.\d+\.ResourceType$/.test(key) ? [value] : []))))
      wanted.push({ arn: arnOf(call.region, type, '*'), tags: {}, action: 'ec2:CreateTags', context: { 'ec2:CreateAction': call.action } })
  if (call.service === 'elasticfilesystem' && call.action === 'CreateFileSystem' && call.params['Tags'] !== undefined)
    wanted.push({
      arn: fileSystemArn(call.region, '*'),
      tags: {},
      action: 'elasticfilesystem:TagResource',
      context: { 'elasticfilesystem:CreateAction': 'CreateFileSystem' },
    })
  if (call.service === 'elasticfilesystem')
    for (const action of doneByEfs[call.action] ?? [])
      for (const resource of await networkResources(call, action, tagsOf)) wanted.push({ ...resource, action: `ec2:${action}`, context: {} })

  for (const { arn, tags, action, context } of wanted) {
    const values: Record<string, string> = { ...context, 'aws:RequestedRegion': call.region, 'ec2:Region': call.region }
    for (const [key, value] of Object.entries(tags)) for (const name of ['aws', prefix]) values[`${name}:ResourceTag/${key}`] = value
    for (const [key, value] of Object.entries(requestTags)) values[`aws:RequestTag/${key}`] = value
    const applies = (statement: Statement): boolean =>
      many(statement.Action).some((pattern) => matches(pattern, action)) &&
      many(statement.Resource).some((pattern) => matches(pattern, arn)) &&
      holds(statement.Condition ?? {}, values)
    const found = policy.Statement.filter(applies)
    if (!found.some(({ Effect }) => Effect === 'Allow') || found.some(({ Effect }) => Effect === 'Deny')) return { action, resource: arn }
  }
  return undefined
}

function holds(condition: NonNullable<Statement['Condition']>, values: Readonly<Record<string, string>>): boolean {
  return Object.entries(condition).every(([operator, keys]) =>
    Object.entries(keys).every(([key, wanted]) => {
      const value = Object.entries(values).find(([name]) => name.toLowerCase() === key.toLowerCase())?.[1]
      const kind = operator.replace(/IfExists$/, '')
      if (kind === 'Null') return many(wanted).some((each) => each === String(value === undefined))
      if (value === undefined) return operator.endsWith('IfExists') || kind === 'StringNotEquals'
      if (kind === 'StringEquals') return many(wanted).includes(value)
      if (kind === 'StringEqualsIgnoreCase') return many(wanted).some((each) => each.toLowerCase() === value.toLowerCase())
      if (kind === 'StringLike') return many(wanted).some((each) => matches(each, value))
      if (kind === 'StringNotEquals') return !many(wanted).includes(value)
      throw new Error(`condition ${operator} is not known here`)
    }),
  )
}

interface Resource {
  readonly arn: string
  readonly tags: Readonly<Record<string, string>>
}

const arnOf = (region: string, type: string, id: string): string =>
  `arn:aws:ec2:${region}:${type === 'image' || type === 'snapshot' ? '' : account}:${type}/${id}`

const fileSystemArn = (region: string, id: string): string => `arn:aws:elasticfilesystem:${region}:${account}:file-system/${id}`

/** Of a call that EFS makes for the caller: the interface, and the subnet and the groups that it stands in. */
async function networkResources({ region, params }: Call, action: string, tagsOf: TagsOf): Promise<Resource[]> {
  if (action.startsWith('Describe')) return [{ arn: '*', tags: {} }]
  const ids = [
    params['SubnetId'] ?? [],
    ...(params['SecurityGroups']?.startsWith('[') === true ? (JSON.parse(params['SecurityGroups']) as string[]) : []),
  ].flat()
  const inside = ids.map(async (id) => ({ arn: arnOf(region, id.startsWith('sg-') ? 'security-group' : 'subnet', id), tags: await tagsOf(id) }))
  return [{ arn: arnOf(region, 'network-interface', '*'), tags: {} }, ...(await Promise.all(inside))]
}

async function resourcesOf(call: Call, tagsOf: TagsOf, fileSystemOf: FileSystemOf): Promise<Resource[]> {
  if (call.service === 'elasticfilesystem') {
    const named = call.params['FileSystemId'] ?? call.params['Id']
    const id = named?.startsWith('fsmt-') === true ? await fileSystemOf(named) : named
    return id?.startsWith('fs-') === true ? [{ arn: fileSystemArn(call.region, id), tags: await tagsOf(id) }] : [{ arn: '*', tags: {} }]
  }
  if (/^Describe/.test(call.action)) return [{ arn: '*', tags: {} }]
  const found: Resource[] = (makes[call.action] ?? []).map((type) => ({ arn: arnOf(call.region, type, '*'), tags: {} }))
  for (const value of new Set(Object.values(call.params))) {
    const type = types[/^([a-z]+)-[0-9a-f]{8,17}$/.exec(value)?.[1] ?? '']
    if (type !== undefined) found.push({ arn: arnOf(call.region, type, value), tags: await tagsOf(value) })
  }
  if (call.params['KeyName'] !== undefined && makes[call.action]?.includes('key-pair') !== true)
    found.push({ arn: arnOf(call.region, 'key-pair', call.params['KeyName']), tags: await tagsOf(call.params['KeyName']) })
  return found.length === 0 ? [{ arn: '*', tags: {} }] : found
}

/** The tags a call brings along. */
function tagsAsked({ params }: Call): Record<string, string> {
  const tags: Record<string, string> = {}
  for (const [key, value] of Object.entries(params)) {
    const base = /^((?:TagSpecification\.\d+\.)?Tag\.\d+)\.Key$/.exec(key)?.[1]
    if (base !== undefined) tags[value] = params[`${base}.Value`] ?? ''
  }
  if (params['Tags']?.startsWith('[') === true) for (const { Key, Value } of JSON.parse(params['Tags']) as { Key: string; Value: string }[]) tags[Key] = Value
  return tags
}

/** Statements' actions of a policy, for a test that none is there in vain. */
export const actionsOf = (policy: Policy): readonly string[] => [...new Set(policy.Statement.flatMap(({ Action }) => many(Action)))].sort()
