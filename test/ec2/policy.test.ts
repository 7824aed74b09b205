/** The IAM policies of docs/: enough for all that the provider does, and no more. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { after, before, beforeEach, suite, test } from 'node:test'
import {
  AuthorizeSecurityGroupIngressCommand,
  CreateInternetGatewayCommand,
  CreateSecurityGroupCommand,
  CreateTagsCommand,
  DeleteInternetGatewayCommand,
  DeleteSecurityGroupCommand,
  DeleteTagsCommand,
  DeleteVolumeCommand,
  DescribeImagesCommand,
  DescribeRouteTablesCommand,
  DescribeSecurityGroupsCommand,
  DetachVolumeCommand,
  DisassociateAddressCommand,
  type EC2Client,
  ModifyVpcAttributeCommand,
  ReplaceRouteCommand,
  ReplaceRouteTableAssociationCommand,
  RevokeSecurityGroupIngressCommand,
  RunInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2'
import {
  DeleteMountTargetCommand,
  DescribeFileSystemsCommand,
  DescribeMountTargetsCommand,
  ModifyMountTargetSecurityGroupsCommand,
  UntagResourceCommand,
} from '@aws-sdk/client-efs'
import type { Site } from '../../coordinator/inventory/site.ts'
import { applyAws } from '../../coordinator/providers/aws/apply.ts'
import { awaitHost } from '../../coordinator/providers/aws/first-contact.ts'
import { type AwsFound, observe } from '../../coordinator/providers/aws/observe.ts'
import { planAws } from '../../coordinator/providers/aws/plan.ts'
import { awsProvider } from '../../coordinator/providers/aws/provider.ts'
import { commands } from '../../coordinator/providers/aws/sdk.ts'
import { planFileSystem } from '../../coordinator/providers/aws/stage-file-system.ts'
import { type AwsWant, awsWant } from '../../coordinator/providers/aws/want.ts'
import type { Provider, ProviderContext, SshTarget } from '../../coordinator/providers/provider.ts'
import { HiveError } from '../../proto/errors.ts'
import { accountOf, nothing } from './account.ts'
import { type Ec2, startEc2 } from './ec2.ts'
import { actionsOf, type Policy } from './policy.ts'
import { loadStage, memory, publicKey, type TestStage, testStage } from './stage.ts'

const key = 'arn:aws:kms:ap-northeast-1:123456789012:key/12345678-1234-1234-1234-123456789012'
const read = (name: string): Policy =>
  JSON.parse(
    readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8')
      .replaceAll('REGION', 'ap-northeast-1')
      .replaceAll('SITE', 'pdns')
      .replaceAll('KMS_KEY_ARN', key),
  ) as Policy
const full = read('aws-policy.json')
const planOnly = read('aws-policy-plan.json')

/** Rights that no call of the provider needs by itself. */
const onBehalf: Readonly<Record<string, string>> = {
  'ec2:CreateNetworkInterface': 'EFS makes the interface of a mount target with the rights of who asks for it',
  'ec2:DeleteNetworkInterface': 'the same, when a mount target goes',
  'ec2:ModifyNetworkInterfaceAttribute': "the same, for a mount target's security groups",
  'ec2:DescribeNetworkInterfaceAttribute': 'the same, when these are asked for',
  'iam:CreateServiceLinkedRole': 'EFS makes its role where the account never had a file system',
  'kms:CreateGrant': 'EC2 and EFS use kms_key_id with the rights of who asks for the disk',
  'kms:Decrypt': 'the same',
  'kms:DescribeKey': 'the same',
  'kms:GenerateDataKeyWithoutPlaintext': 'the same',
  'kms:ReEncryptFrom': 'the same, from the key of an encrypted image',
  'kms:ReEncryptTo': 'the same, to kms_key_id',
}

let ec2: Ec2
let site: Site
let want: AwsWant
/** Somebody in the AWS console, whom no policy binds. */
let past: EC2Client
const { signal } = new AbortController()
const host = 's-hive1.pdns'
const used = new Set<string>()

before(async () => {
  ec2 = await startEc2()
  site = await loadStage()
  want = { ...awsWant(site), hasNfs: true }
  past = ec2.front.client(want.region)
})
after(() => ec2.stop())
beforeEach(() => ec2.reset())

const noteCalls = (): void => {
  for (const { service, action } of ec2.front.calls()) used.add(`${service}:${action}`)
}
const say = (): void => undefined

/** What build-infra does, the file system with it; `key`: the fingerprint of the stage's key. */
async function buildInfra(wanted: AwsWant, { api, state }: TestStage, fingerprint?: string): Promise<readonly string[]> {
  const found = await observe(api, wanted, signal)
  const { actions } = planAws(wanted, found, fingerprint)
  const fileSystem = await planFileSystem(api, wanted, found, signal)
  const made = async (): Promise<void> => undefined
  await applyAws({ api, want: wanted, found, actions, state, publicKey, fileSystem: fileSystem.found, emit: say, signal, say, made })
  return [...actions, ...fileSystem.actions].map(({ id }) => id)
}

const instance = (found: AwsFound) => found.instances.find(({ name }) => name === host) ?? assert.fail(`no instance ${host}`)

/** Everything that can be put right without a tag being missing. */
async function somebodyChangesAll(found: AwsFound, efs: TestStage['api']['efs']): Promise<void> {
  const { id, disks } = instance(found)
  const { id: VpcId = '' } = found.vpcs[0] ?? {}
  const [table, address, subnet] = [found.routeTables[0], found.addresses[0], found.subnets[0]?.id ?? '']
  const GroupId = found.groups[0]?.id
  await past.send(new ModifyVpcAttributeCommand({ VpcId, EnableDnsHostnames: { Value: false } }))
  const other = (await past.send(new CreateInternetGatewayCommand({}))).InternetGateway?.InternetGatewayId
  await past.send(new ReplaceRouteCommand({ RouteTableId: table?.id, DestinationCidrBlock: '0.0.0.0/0', GatewayId: other }))
  await past.send(new DeleteInternetGatewayCommand({ InternetGatewayId: other }))
  const { RouteTables = [] } = await past.send(new DescribeRouteTablesCommand({ Filters: [{ Name: 'vpc-id', Values: [VpcId] }] }))
  const main = RouteTables.find(({ Associations = [] }) => Associations.some(({ Main }) => Main === true))
  await past.send(new ReplaceRouteTableAssociationCommand({ AssociationId: table?.associations.get(subnet), RouteTableId: main?.RouteTableId }))
  const rule = (port: number) => [{ IpProtocol: 'tcp', FromPort: port, ToPort: port, IpRanges: [{ CidrIp: '0.0.0.0/0' }] }]
  await past.send(new RevokeSecurityGroupIngressCommand({ GroupId, IpPermissions: rule(80) }))
  await past.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: rule(3306) }))
  await past.send(new DisassociateAddressCommand({ AssociationId: address?.associationId }))
  const VolumeId = disks.get('/dev/sdb')?.volumeId
  await past.send(new DetachVolumeCommand({ VolumeId, InstanceId: id }))
  await past.send(new DeleteVolumeCommand({ VolumeId }))
  await past.send(new StopInstancesCommand({ InstanceIds: [found.instances.find(({ name }) => name === 's-hive2.pdns')?.id ?? ''] }))
  const { FileSystems: [{ FileSystemId } = {}] = [] } = await efs.send(new DescribeFileSystemsCommand({}))
  await efs.send(new UntagResourceCommand({ ResourceId: FileSystemId, TagKeys: ['Name'] }))
  const { MountTargets: [gone, changed] = [] } = await efs.send(new DescribeMountTargetsCommand({ FileSystemId }))
  await efs.send(new DeleteMountTargetCommand({ MountTargetId: gone?.MountTargetId }))
  const group = await past.send(new CreateSecurityGroupCommand({ VpcId, GroupName: 'other', Description: 'other' }))
  await efs.send(new ModifyMountTargetSecurityGroupsCommand({ MountTargetId: changed?.MountTargetId, SecurityGroups: [group.GroupId ?? ''] }))
}

/** Without a policy, and not counted. */
async function somebody(work: () => Promise<unknown>, policy: Policy = full): Promise<void> {
  noteCalls()
  ec2.front.setPolicy(undefined)
  await work()
  await ec2.front.settle()
  ec2.front.forget()
  ec2.front.setPolicy(policy)
}

const withHost = (change: (one: AwsWant['hosts'][number]) => Partial<AwsWant['hosts'][number]>): AwsWant => ({
  ...want,
  hosts: want.hosts.map((one) => (one.name === host ? { ...one, ...change(one) } : one)),
})

/** As the program runs it: its own client, its own clock. */
async function asProgram(work: (provider: Provider, context: ProviderContext) => Promise<void>): Promise<void> {
  const before = { ...process.env }
  Object.assign(process.env, ec2.env)
  try {
    await work(awsProvider(), { site: { ...site, contextDir: '/nonexistent' }, state: memory(), emit: say, signal })
  } finally {
    process.env = before
  }
}

const isDenied = (error: unknown): boolean =>
  error instanceof HiveError && error.code === 'denied' && /^ec2:\w+|elasticfilesystem:\w+/.test(/allow the action (\S+)/.exec(error.hint ?? '')?.[1] ?? '')

suite('docs/aws-policy.json', () => {
  test('fits into a policy of IAM: 6144 characters without spaces', () => {
    assert.ok(JSON.stringify(full).length <= 6144, `${JSON.stringify(full).length}`)
  })

  test('allows to make a stage, to put right and change all of it, to switch it off and on, and to remove it', async () => {
    ec2.front.setPolicy(full)
    const stage = testStage(want, { endpoint: ec2.endpoint })
    const build = (one: AwsWant = want, fingerprint?: string) => buildInfra(one, stage, fingerprint)
    await build()
    assert.deepEqual(await build(), [])

    await somebody(async () => somebodyChangesAll((await stage.plan()).found, stage.api.efs))
    const repaired = await build()
    const kinds = repaired.map((id) => id.replace(/@.*|-ap-northeast-1.$/, '')).sort()
    const network = ['aws/vpc-dns', 'aws/routes', 'aws/security-rules', 'aws/address', 'aws/mirrored-disk', 'aws/start']
    assert.deepEqual(kinds, [...network, 'aws/efs/tags', 'aws/efs/target', 'aws/efs/target-groups'].sort())
    assert.deepEqual(await build(), [])

    await somebody(async () => {
      const { found } = await stage.plan()
      const Tags = ['Name', 'Project', 'hive:stage', 'hive:host'].map((Key) => ({ Key }))
      await past.send(new DeleteTagsCommand({ Resources: [instance(found).id, found.subnets[0]?.id ?? ''], Tags }))
    })
    assert.deepEqual(await build(), ['aws/tags'])

    assert.deepEqual(await build(want, 'aa:bb'), ['aws/key-pair'])
    assert.deepEqual(
      await build(
        withHost(({ root, mirrored }) => ({
          instanceType: 't3.xlarge',
          root: { ...root, sizeGb: 30 },
          mirrored: { ...(mirrored ?? assert.fail()), sizeGb: 40 },
        })),
      ),
      [`aws/instance-type@${host}`, `aws/root-disk-size@${host}`, `aws/mirrored-disk-size@${host}`],
    )
    const larger = withHost(({ mirrored }) => ({ address: '192.168.0.77', mirrored: { ...(mirrored ?? assert.fail()), sizeGb: 40 } }))
    assert.deepEqual(await build(larger), [`aws/replace@${host}`])

    await asProgram((provider, context) => provider.halt(context))
    const started = await build(larger)
    assert.equal(started.length, want.hosts.length, started.join())
    assert.ok(started.every((id) => id.startsWith('aws/start@')))

    const { found } = await stage.plan()
    await assert.rejects(awaitHost(silentHost(instance(found).id), await silentTarget(), { api: stage.api, contextDir: '/nonexistent', signal, patience: 1 }), {
      code: 'unreachable',
    })

    const stranger = await runStranger(found)
    await assert.rejects(stage.destroy(), new RegExp(stranger))
    await somebody(async () => {
      await ec2.client(want.region).send(new TerminateInstancesCommand({ InstanceIds: [stranger] }))
      const { SecurityGroups = [] } = await past.send(new DescribeSecurityGroupsCommand({ Filters: [{ Name: 'group-name', Values: ['other'] }] }))
      await past.send(new DeleteSecurityGroupCommand({ GroupId: SecurityGroups[0]?.GroupId }))
    })
    await stage.destroy()
    noteCalls()
    assert.deepEqual((await stage.api.efs.send(new DescribeFileSystemsCommand({}))).FileSystems, [])
    stage.close()
    assert.deepEqual(await accountOf(past), nothing)
  })

  test('has no right that nothing needs, and the provider makes no call in vain', () => {
    const allowed = actionsOf(full)
    assert.deepEqual(
      allowed.filter((action) => action.includes('*')),
      [],
    )
    assert.deepEqual(
      allowed.filter((action) => !used.has(action) && onBehalf[action] === undefined),
      [],
    )
    assert.deepEqual(
      Object.keys(onBehalf).filter((action) => !allowed.includes(action)),
      [],
    )
    assert.deepEqual(
      Object.keys(commands).filter((name) => !used.has(`ec2:${name}`)),
      [],
    )
  })
})

suite('docs/aws-policy-plan.json', () => {
  test('allows to plan and to ask for the state, before there is anything and afterwards', async () => {
    ec2.front.setPolicy(planOnly)
    await asProgram(async (provider, context) => {
      assert.ok((await provider.plan(context)).length > 10)
      assert.deepEqual(new Set((await provider.status(context)).values()), new Set(['absent']))
    })
    const stage = testStage(want, { endpoint: ec2.endpoint })
    await somebody(() => buildInfra(want, stage), planOnly)
    await asProgram(async (provider, context) => {
      assert.deepEqual(await provider.plan(context), [])
      assert.deepEqual(new Set((await provider.status(context)).values()), new Set(['running']))
    })
    assert.deepEqual((await planFileSystem(stage.api, want, (await stage.plan()).found, signal)).actions, [])
    assert.deepEqual(ec2.front.writes(), [])
    const asked = new Set(ec2.front.calls().map(({ service, action }) => `${service}:${action}`))
    assert.deepEqual(
      actionsOf(planOnly).filter((action) => !asked.has(action) && onBehalf[action] === undefined),
      [],
    )
    stage.close()
  })

  test('refuses every write, and the error names the right that is missing', async () => {
    const stage = testStage(want, { endpoint: ec2.endpoint })
    ec2.front.setPolicy(planOnly)
    await assert.rejects(buildInfra(want, stage), isDenied)
    await somebody(() => buildInfra(want, stage), planOnly)
    await assert.rejects(
      buildInfra(
        withHost(() => ({ instanceType: 't3.xlarge' })),
        stage,
      ),
      isDenied,
    )
    await assert.rejects(stage.destroy(), isDenied)
    await asProgram((provider, context) => assert.rejects(provider.halt(context), isDenied))
    const { length } = ec2.front.writes()
    assert.ok(length > 5)
    assert.equal(ec2.front.writes().filter(({ performed }) => performed).length, 0)
    stage.close()
  })
})

test('with docs/aws-policy.json what belongs to another project can be looked at only', async () => {
  const stage = testStage(want, { endpoint: ec2.endpoint })
  await stage.apply()
  const { found } = await stage.plan()
  const other = [{ Key: 'Project', Value: 'other' }]
  const ids = [instance(found).id, found.vpcs[0]?.id ?? '', found.groups[0]?.id ?? '', found.volumes[0]?.id ?? '']
  await past.send(new CreateTagsCommand({ Resources: ids, Tags: other }))
  ec2.front.setPolicy(full)
  const [InstanceId, VpcId, GroupId, VolumeId] = ids as [string, string, string, string]
  const about = { what: "another's" }
  const attempts = [
    stage.api.call('TerminateInstances', { InstanceIds: [InstanceId] }, about, signal),
    stage.api.call('StopInstances', { InstanceIds: [InstanceId] }, about, signal),
    stage.api.call('DeleteVpc', { VpcId }, about, signal),
    stage.api.call('DeleteSecurityGroup', { GroupId }, about, signal),
    stage.api.call('DeleteVolume', { VolumeId }, about, signal),
    stage.api.call('CreateTags', { Resources: [InstanceId], Tags: [{ Key: 'Project', Value: 'pdns' }] }, about, signal),
    stage.api.call('CreateSubnet', { VpcId, CidrBlock: '192.168.0.192/26' }, about, signal),
    stage.api.call('CreateVpc', { CidrBlock: '10.0.0.0/24' }, about, signal),
  ]
  for (const attempt of await Promise.allSettled(attempts)) assert.ok(attempt.status === 'rejected' && isDenied(attempt.reason), JSON.stringify(attempt))
  stage.close()
})

/** A port of this machine where nobody listens. */
async function silentTarget(): Promise<SshTarget> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return { host, address: '127.0.0.1', port, user: 'nobody', identityFile: '/nonexistent', password: undefined }
}
const silentHost = (instanceId: string) => ({ name: host, instanceId, publicIp: '127.0.0.1', boots: true, isNew: false })

/** Another's instance in the stage's network; its id. */
async function runStranger(found: AwsFound): Promise<string> {
  let id = ''
  await somebody(async () => {
    const { Images = [] } = await past.send(new DescribeImagesCommand({ Owners: ['764336703387'] }))
    const { Instances = [] } = await ec2.client(want.region).send(
      new RunInstancesCommand({
        ImageId: Images[0]?.ImageId,
        InstanceType: 't3.micro',
        MinCount: 1,
        MaxCount: 1,
        SubnetId: found.subnets[0]?.id,
        PrivateIpAddress: '192.168.0.50',
      }),
    )
    id = Instances[0]?.InstanceId ?? assert.fail()
  })
  return id
}
