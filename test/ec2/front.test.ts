import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { after, before, beforeEach, test } from 'node:test'
import {
  AllocateAddressCommand,
  AssociateAddressCommand,
  AttachInternetGatewayCommand,
  AttachVolumeCommand,
  CreateInternetGatewayCommand,
  CreateRouteCommand,
  CreateRouteTableCommand,
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateTagsCommand,
  CreateVolumeCommand,
  CreateVpcCommand,
  DeleteInternetGatewayCommand,
  DeleteRouteTableCommand,
  DeleteSecurityGroupCommand,
  DeleteSubnetCommand,
  DeleteVolumeCommand,
  DeleteVpcCommand,
  DescribeAddressesCommand,
  DescribeImagesCommand,
  DescribeInstancesCommand,
  DescribeNetworkInterfacesCommand,
  DescribeVolumeStatusCommand,
  DescribeVolumesCommand,
  DescribeVpcsCommand,
  DetachInternetGatewayCommand,
  EC2Client,
  GetConsoleOutputCommand,
  type Instance,
  ModifyInstanceAttributeCommand,
  ModifyVolumeCommand,
  ReleaseAddressCommand,
  RunInstancesCommand,
  type RunInstancesCommandInput,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2'
import {
  CreateFileSystemCommand,
  CreateMountTargetCommand,
  DeleteFileSystemCommand,
  DeleteMountTargetCommand,
  DescribeFileSystemsCommand,
  DescribeMountTargetsCommand,
  EFSClient,
} from '@aws-sdk/client-efs'
import type { Ec2 } from './ec2.ts'
import { startEc2 } from './ec2.ts'
import type { InstanceEvent } from './front.ts'

const image = 'ami-00d73f83fa9a60285'
let ec2: Ec2
let client: EC2Client

before(async () => {
  ec2 = await startEc2()
  client = ec2.client()
})
after(async () => ec2.stop())
beforeEach(async () => ec2.reset())

interface Network {
  readonly vpc: string
  readonly subnet: string
  readonly group: string
  readonly gateway: string
}

async function makeNetwork(): Promise<Network> {
  const vpc = (await client.send(new CreateVpcCommand({ CidrBlock: '192.168.0.0/24' }))).Vpc?.VpcId ?? ''
  const subnet =
    (await client.send(new CreateSubnetCommand({ VpcId: vpc, CidrBlock: '192.168.0.0/26', AvailabilityZone: 'ap-northeast-1a' }))).Subnet?.SubnetId ?? ''
  const group = (await client.send(new CreateSecurityGroupCommand({ VpcId: vpc, GroupName: 'site', Description: 'site' }))).GroupId ?? ''
  const gateway = (await client.send(new CreateInternetGatewayCommand({}))).InternetGateway?.InternetGatewayId ?? ''
  await client.send(new AttachInternetGatewayCommand({ VpcId: vpc, InternetGatewayId: gateway }))
  return { vpc, subnet, group, gateway }
}

const runInput = ({ subnet, group }: Network, more: Partial<RunInstancesCommandInput> = {}): RunInstancesCommandInput => ({
  ImageId: image,
  InstanceType: 't3.medium',
  MinCount: 1,
  MaxCount: 1,
  NetworkInterfaces: [{ DeviceIndex: 0, SubnetId: subnet, Groups: [group], PrivateIpAddress: '192.168.0.4', DeleteOnTermination: true }],
  ...more,
})

async function run(network: Network, more: Partial<RunInstancesCommandInput> = {}): Promise<string> {
  return (await client.send(new RunInstancesCommand(runInput(network, more)))).Instances?.[0]?.InstanceId ?? ''
}

const describe = async (id: string): Promise<Instance | undefined> =>
  (await client.send(new DescribeInstancesCommand({ InstanceIds: [id] }))).Reservations?.[0]?.Instances?.[0]
const state = async (id: string): Promise<string | undefined> => (await describe(id))?.State?.Name
/** Instances show pending once. */
async function runReady(network: Network, more: Partial<RunInstancesCommandInput> = {}): Promise<string> {
  const id = await run(network, more)
  await describe(id)
  return id
}

const named = (name: string, message = /./): { name: string; message: RegExp } => ({ name, message })

test('every call is recorded in order, with what it asked and whether it writes', async () => {
  await client.send(new DescribeVpcsCommand({}))
  await client.send(new CreateVpcCommand({ CidrBlock: '192.168.0.0/24' }))
  await assert.rejects(client.send(new DescribeVpcsCommand({ VpcIds: ['vpc-00000000'] })), named('InvalidVpcID.NotFound'))
  assert.deepEqual(
    ec2.front.calls().map(({ service, region, action, write, status, error }) => [service, region, action, write, status, error]),
    [
      ['ec2', 'ap-northeast-1', 'DescribeVpcs', false, 200, undefined],
      ['ec2', 'ap-northeast-1', 'CreateVpc', true, 200, undefined],
      ['ec2', 'ap-northeast-1', 'DescribeVpcs', false, 400, 'InvalidVpcID.NotFound'],
    ],
  )
  assert.deepEqual(
    ec2.front.writes().map(({ params }) => params['CidrBlock']),
    ['192.168.0.0/24'],
  )
  ec2.front.forget()
  assert.deepEqual(ec2.front.calls(), [])
})

test('images are those of the fixture, with owners, names and dates', async () => {
  const { Images = [] } = await client.send(
    new DescribeImagesCommand({
      Owners: ['764336703387'],
      Filters: [
        { Name: 'name', Values: ['AlmaLinux OS 9.*'] },
        { Name: 'architecture', Values: ['x86_64'] },
      ],
    }),
  )
  const newest = Images.toSorted((a, b) => (a.CreationDate ?? '').localeCompare(b.CreationDate ?? '')).at(-1)
  assert.equal(newest?.Name, 'AlmaLinux OS 9.6.20250522 x86_64')
  assert.equal(newest?.RootDeviceName, '/dev/sda1')
  assert.ok(Images.some(({ ImageId }) => ImageId === image))
})

test('image, type and key of an instance are checked', async () => {
  const network = await makeNetwork()
  await assert.rejects(run(network, { ImageId: 'ami-0123456789abcdef0' }), named('InvalidAMIID.NotFound'))
  await assert.rejects(run(network, { InstanceType: 'z9.huge' as never }), named('InvalidParameterValue', /InstanceType/))
  await assert.rejects(run(network, { KeyName: 'nobody' }), named('InvalidKeyPair.NotFound'))
})

test('the same client token answers the same instance, also after the answer was lost', async () => {
  const network = await makeNetwork()
  ec2.front.loseAnswer('RunInstances')
  const id = await run(network, { ClientToken: 'one' })
  assert.equal(await run(network, { ClientToken: 'one' }), id)
  assert.equal((await client.send(new DescribeInstancesCommand({}))).Reservations?.length, 1)
  await assert.rejects(run(network, { ClientToken: 'one', InstanceType: 't3.large' }), named('IdempotentParameterMismatch'))
})

test('an answer is lost once, at the write that was named', async () => {
  const patient = new EC2Client({ endpoint: ec2.endpoint, region: 'ap-northeast-1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' }, maxAttempts: 1 })
  ec2.front.loseAnswer('CreateVolume', 2)
  const volume = { AvailabilityZone: 'ap-northeast-1a', Size: 1 }
  await patient.send(new CreateVolumeCommand(volume))
  await assert.rejects(patient.send(new CreateVolumeCommand(volume)))
  assert.equal((await client.send(new DescribeVolumesCommand({}))).Volumes?.length, 2)
  assert.deepEqual(
    ec2.front.writes().map(({ performed, status }) => [performed, status]),
    [
      [true, 200],
      [true, 200],
    ],
  )
  patient.destroy()
})

test('throttled and failed calls answer as EC2 does, as often as was said', async () => {
  ec2.front.throttle('DescribeVpcs', 1)
  await client.send(new DescribeVpcsCommand({}))
  assert.deepEqual(
    ec2.front.calls().map(({ error, status }) => [error, status]),
    [
      ['RequestLimitExceeded', 503],
      [undefined, 200],
    ],
  )
  ec2.front.fail('CreateVpc', 'VpcLimitExceeded', 'The maximum number of VPCs has been reached.')
  await assert.rejects(client.send(new CreateVpcCommand({ CidrBlock: '192.168.0.0/24' })), named('VpcLimitExceeded', /maximum number/))
  assert.equal(ec2.front.writes()[0]?.performed, false)
  await client.send(new CreateVpcCommand({ CidrBlock: '192.168.0.0/24' }))
})

test('a hook is asked at each write, before or after it is performed, and may break the connection', async () => {
  const seen: string[] = []
  const unhook = ec2.front.hook('*', ({ action }, nth) => {
    seen.push(`${nth} ${action}`)
    return nth === 2 ? 'drop' : undefined
  })
  const impatient = new EC2Client({ endpoint: ec2.endpoint, region: 'ap-northeast-1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' }, maxAttempts: 1 })
  await impatient.send(new CreateVpcCommand({ CidrBlock: '192.168.0.0/24' }))
  await assert.rejects(impatient.send(new CreateInternetGatewayCommand({})))
  unhook()
  await impatient.send(new CreateInternetGatewayCommand({}))
  assert.deepEqual(seen, ['1 CreateVpc', '2 CreateInternetGateway'])
  assert.deepEqual(
    ec2.front.writes().map(({ performed }) => performed),
    [true, false, true],
  )
  impatient.destroy()
})

test('a client killed by a hook at its second call leaves the first done, the second not', async () => {
  const program = `import { CreateVpcCommand, EC2Client } from '@aws-sdk/client-ec2'
    const client = new EC2Client({ region: 'eu-west-1' })
    for (const octet of [1, 2, 3]) await client.send(new CreateVpcCommand({ CidrBlock: '10.' + octet + '.0.0/16' }))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    env: { ...process.env, ...ec2.env },
    cwd: import.meta.dirname,
    stdio: 'inherit',
  })
  const exit = once(child, 'exit')
  ec2.front.hook('CreateVpc', async (_call, nth) => {
    if (nth !== 2) return undefined
    child.kill('SIGKILL')
    await exit
    return 'drop'
  })
  const [, signal] = (await exit) as [number | null, string | null]
  assert.equal(signal, 'SIGKILL')
  const { Vpcs = [] } = await ec2.client('eu-west-1').send(new DescribeVpcsCommand({ Filters: [{ Name: 'is-default', Values: ['false'] }] }))
  assert.deepEqual(
    Vpcs.map(({ CidrBlock }) => CidrBlock),
    ['10.1.0.0/16'],
  )
})

test('instances and volumes show what is under way, and filters see the same', async () => {
  const network = await makeNetwork()
  Object.assign(ec2.front.pace, { instances: 2, volumes: 1, hidden: 1 })
  const id = await run(network)
  await assert.rejects(describe(id), named('InvalidInstanceID.NotFound'))
  assert.deepEqual([await state(id), await state(id), await state(id)], ['pending', 'pending', 'running'])
  await client.send(new StopInstancesCommand({ InstanceIds: [id] }))
  assert.deepEqual([await state(id), await state(id), await state(id)], ['stopping', 'stopping', 'stopped'])
  await client.send(new StartInstancesCommand({ InstanceIds: [id] }))
  const filtered = await client.send(new DescribeInstancesCommand({ Filters: [{ Name: 'instance-state-name', Values: ['pending'] }] }))
  assert.equal(filtered.Reservations?.length, 1)
  assert.deepEqual([await state(id), await state(id)], ['pending', 'running'])
  await client.send(new TerminateInstancesCommand({ InstanceIds: [id] }))
  assert.deepEqual([await state(id), await state(id), await state(id)], ['shutting-down', 'shutting-down', 'terminated'])

  ec2.front.pace.hidden = 0
  const { VolumeId = '' } = await client.send(new CreateVolumeCommand({ AvailabilityZone: 'ap-northeast-1a', Size: 1 }))
  const status = async (): Promise<string | undefined> => (await client.send(new DescribeVolumesCommand({ VolumeIds: [VolumeId] }))).Volumes?.[0]?.State
  assert.deepEqual([await status(), await status()], ['creating', 'available'])
  await client.send(new DeleteVolumeCommand({ VolumeId }))
  assert.equal(await status(), 'deleting')
  await assert.rejects(status(), named('InvalidVolume.NotFound'))
})

test('what others need is not taken away, and goes in order', async () => {
  const network = await makeNetwork()
  const { vpc, subnet, group, gateway } = network
  const id = await runReady(network)
  const address = await client.send(new AllocateAddressCommand({}))
  await client.send(new AssociateAddressCommand({ AllocationId: address.AllocationId, InstanceId: id }))
  const inUse = named('DependencyViolation')
  const detach = { VpcId: vpc, InternetGatewayId: gateway }
  const table = (await client.send(new CreateRouteTableCommand({ VpcId: vpc }))).RouteTable?.RouteTableId
  await client.send(new CreateRouteCommand({ RouteTableId: table, DestinationCidrBlock: '0.0.0.0/0', GatewayId: gateway }))

  await assert.rejects(client.send(new DeleteSecurityGroupCommand({ GroupId: group })), inUse)
  await assert.rejects(client.send(new DeleteSubnetCommand({ SubnetId: subnet })), inUse)
  await assert.rejects(client.send(new DetachInternetGatewayCommand(detach)), named('DependencyViolation', /mapped public address/))
  await assert.rejects(client.send(new DeleteInternetGatewayCommand({ InternetGatewayId: gateway })), inUse)
  await assert.rejects(client.send(new DeleteVpcCommand({ VpcId: vpc })), inUse)
  await assert.rejects(client.send(new ReleaseAddressCommand({ AllocationId: address.AllocationId })), named('InvalidIPAddress.InUse'))

  await client.send(new TerminateInstancesCommand({ InstanceIds: [id] }))
  await assert.rejects(client.send(new DeleteSubnetCommand({ SubnetId: subnet })), inUse, 'it is still shutting down')
  await client.send(new ReleaseAddressCommand({ AllocationId: address.AllocationId }))
  assert.equal(await state(id), 'terminated')
  await client.send(new DeleteSecurityGroupCommand({ GroupId: group }))
  await client.send(new DeleteSubnetCommand({ SubnetId: subnet }))
  await client.send(new DetachInternetGatewayCommand(detach))
  await client.send(new DeleteInternetGatewayCommand({ InternetGatewayId: gateway }))
  await client.send(new DeleteRouteTableCommand({ RouteTableId: table }))
  await client.send(new DeleteVpcCommand({ VpcId: vpc }))
  assert.equal((await client.send(new DescribeNetworkInterfacesCommand({ Filters: [{ Name: 'vpc-id', Values: [vpc] }] }))).NetworkInterfaces?.length, 0)
})

test('a subnet with an EFS mount target stays, and EFS calls are recorded by name', async () => {
  const { subnet, group } = await makeNetwork()
  const efs = new EFSClient({ endpoint: ec2.endpoint, region: 'ap-northeast-1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } })
  ec2.front.forget()
  ec2.front.pace.efs = 0
  const { FileSystemId } = await efs.send(new CreateFileSystemCommand({ CreationToken: 'v', Tags: [{ Key: 'Name', Value: 'v' }] }))
  const { MountTargetId } = await efs.send(new CreateMountTargetCommand({ FileSystemId, SubnetId: subnet, SecurityGroups: [group] }))
  await efs.send(new DescribeFileSystemsCommand({}))
  assert.equal((await efs.send(new DescribeMountTargetsCommand({ FileSystemId }))).MountTargets?.length, 1)
  await assert.rejects(client.send(new DeleteSubnetCommand({ SubnetId: subnet })), named('DependencyViolation'))
  await assert.rejects(client.send(new DeleteSecurityGroupCommand({ GroupId: group })), named('DependencyViolation'))
  await efs.send(new DeleteMountTargetCommand({ MountTargetId }))
  await client.send(new DeleteSecurityGroupCommand({ GroupId: group }))
  await client.send(new DeleteSubnetCommand({ SubnetId: subnet }))
  const asked = ec2.front.calls().filter(({ service }) => service === 'elasticfilesystem')
  assert.deepEqual(
    asked.map(({ action, write }) => [action, write]),
    [
      ['CreateFileSystem', true],
      ['CreateMountTarget', true],
      ['DescribeFileSystems', false],
      ['DescribeMountTargets', false],
      ['DeleteMountTarget', true],
    ],
  )
  ec2.front.setPolicy({ Version: '2012-10-17', Statement: [] })
  await assert.rejects(efs.send(new DescribeFileSystemsCommand({})), named('AccessDeniedException', /elasticfilesystem:DescribeFileSystems/))
  efs.destroy()
})

test('file systems and mount targets take their time', async () => {
  const { subnet } = await makeNetwork()
  const efs = new EFSClient({ endpoint: ec2.endpoint, region: 'ap-northeast-1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } })
  const { FileSystemId, LifeCycleState } = await efs.send(new CreateFileSystemCommand({ CreationToken: 'v' }))
  assert.equal(LifeCycleState, 'creating')
  const target = new CreateMountTargetCommand({ FileSystemId, SubnetId: subnet })
  await assert.rejects(efs.send(target), named('IncorrectFileSystemLifeCycleState'))
  const { MountTargetId } = await efs.send(target)
  const states = async (): Promise<(string | undefined)[]> =>
    ((await efs.send(new DescribeMountTargetsCommand({ FileSystemId }))).MountTargets ?? []).map((each) => each.LifeCycleState)
  assert.deepEqual([await states(), await states()], [['creating'], ['available']])
  await efs.send(new DeleteMountTargetCommand({ MountTargetId }))
  assert.deepEqual([await states(), await states()], [['deleting'], []])
  const again = await efs.send(target)
  await efs.send(new DeleteMountTargetCommand({ MountTargetId: again.MountTargetId }))
  await assert.rejects(efs.send(new DeleteFileSystemCommand({ FileSystemId })), named('FileSystemInUse'))
  await efs.send(new DeleteFileSystemCommand({ FileSystemId }))
  efs.destroy()
})

test('what is new may not be found at first, by those who read and by those who write', async () => {
  Object.assign(ec2.front.pace, { hidden: 1, unknown: 1 })
  const vpc = (await client.send(new CreateVpcCommand({ CidrBlock: '192.168.0.0/24' }))).Vpc?.VpcId ?? ''
  const create = new CreateSubnetCommand({ VpcId: vpc, CidrBlock: '192.168.0.0/26' })
  await assert.rejects(client.send(create), named('InvalidVpcID.NotFound'))
  await client.send(create)
  const look = async (): Promise<number | undefined> =>
    (await client.send(new DescribeVpcsCommand({ Filters: [{ Name: 'vpc-id', Values: [vpc] }] }))).Vpcs?.length
  assert.deepEqual([await look(), await look()], [0, 1])
})

test('calls for which a thing is in the wrong state are refused', async () => {
  const network = await makeNetwork()
  const id = await run(network)
  const { AllocationId } = await client.send(new AllocateAddressCommand({}))
  const associate = new AssociateAddressCommand({ AllocationId, InstanceId: id })
  await assert.rejects(client.send(associate), named('InvalidInstanceID', /pending/))
  await client.send(associate)
  await assert.rejects(run(network), named('InvalidIPAddress.InUse'))
  await assert.rejects(
    run(network, { NetworkInterfaces: [{ DeviceIndex: 0, SubnetId: network.subnet, PrivateIpAddress: '192.168.0.70' }] }),
    named('InvalidParameterValue', /does not fall within/),
  )
  const type = new ModifyInstanceAttributeCommand({ InstanceId: id, InstanceType: { Value: 't3.large' } })
  await assert.rejects(client.send(type), named('IncorrectInstanceState'))
  const { VolumeId } = await client.send(new CreateVolumeCommand({ AvailabilityZone: 'ap-northeast-1a', Size: 2 }))
  const attach = new AttachVolumeCommand({ VolumeId, InstanceId: id, Device: '/dev/sdb' })
  await assert.rejects(client.send(attach), named('IncorrectState'))
  await client.send(attach)
  await assert.rejects(client.send(new ModifyVolumeCommand({ VolumeId, Size: 1 })), named('InvalidParameterValue', /smaller/))
  await client.send(new StopInstancesCommand({ InstanceIds: [id] }))
  await assert.rejects(client.send(new StartInstancesCommand({ InstanceIds: [id] })), named('IncorrectInstanceState'))
  await client.send(type)
  await client.send(new TerminateInstancesCommand({ InstanceIds: [id] }))
  await assert.rejects(client.send(new DeleteVolumeCommand({ VolumeId })), named('VolumeInUse'))
  await client.send(new DeleteVolumeCommand({ VolumeId }))
  await ec2.front.settle()
  assert.deepEqual((await client.send(new DescribeVolumesCommand({}))).Volumes, [])
})

test('the address of an instance that was terminated past the front is free', async () => {
  const network = await makeNetwork()
  const first = await run(network)
  await ec2.front.client('ap-northeast-1').send(new TerminateInstancesCommand({ InstanceIds: [first] }))
  await ec2.front.settle()
  assert.notEqual(await run(network), first)
})

test('a policy allows what it names, by action, resource, region and tag, and nothing else', async () => {
  const statement = { Effect: 'Allow', Action: 'ec2:Describe*', Resource: '*' } as const
  const version = '2012-10-17'
  ec2.front.setPolicy({ Version: version, Statement: [statement] })
  await client.send(new DescribeVpcsCommand({}))
  const create = new CreateVpcCommand({ CidrBlock: '192.168.0.0/24', TagSpecifications: [{ ResourceType: 'vpc', Tags: [{ Key: 'site', Value: 'one' }] }] })
  await assert.rejects(client.send(create), named('UnauthorizedOperation', /ec2:CreateVpc/))
  const makes = { Effect: 'Allow', Action: ['ec2:CreateVpc', 'ec2:DeleteVpc'], Resource: 'arn:aws:ec2:*:*:vpc/*' } as const
  ec2.front.setPolicy({ Version: version, Statement: [statement, makes] })
  await assert.rejects(client.send(create), named('UnauthorizedOperation', /ec2:CreateTags/))
  const tags = {
    Effect: 'Allow',
    Action: 'ec2:CreateTags',
    Resource: '*',
    Condition: { StringEquals: { 'ec2:CreateAction': 'CreateVpc', 'aws:RequestTag/site': 'one' } },
  } as const
  ec2.front.setPolicy({ Version: version, Statement: [statement, makes, tags] })
  const vpc = (await client.send(create)).Vpc?.VpcId ?? ''
  await assert.rejects(client.send(new CreateTagsCommand({ Resources: [vpc], Tags: [{ Key: 'site', Value: 'one' }] })), named('UnauthorizedOperation'))
  const others = { Effect: 'Deny', Action: 'ec2:Delete*', Resource: '*', Condition: { StringNotEquals: { 'ec2:ResourceTag/site': 'one' } } } as const
  const tokyo = { ...makes, Condition: { StringEquals: { 'aws:RequestedRegion': 'ap-northeast-1' } } }
  ec2.front.setPolicy({ Version: version, Statement: [statement, tokyo, others] })
  await client.send(new DeleteVpcCommand({ VpcId: vpc }))
  await assert.rejects(ec2.client('eu-west-1').send(new CreateVpcCommand({ CidrBlock: '192.168.0.0/24' })), named('UnauthorizedOperation'))
})

test('no answer holds a public address that belongs to somebody else', async () => {
  const network = await makeNetwork()
  const { subnet, group } = network
  const id = await run(network, { NetworkInterfaces: [{ DeviceIndex: 0, SubnetId: subnet, Groups: [group], AssociatePublicIpAddress: true }] })
  const instance = await describe(id)
  assert.equal(instance?.PublicIpAddress, undefined)
  assert.equal(instance?.PublicDnsName || undefined, undefined)
  assert.deepEqual(
    instance?.SecurityGroups?.map(({ GroupId }) => GroupId),
    [group],
  )
  const address = await client.send(new AllocateAddressCommand({}))
  assert.match(address.PublicIp ?? '', /^127\./)
  await client.send(new AssociateAddressCommand({ AllocationId: address.AllocationId, InstanceId: id }))
  assert.equal((await describe(id))?.PublicIpAddress, address.PublicIp)
  assert.equal((await client.send(new DescribeAddressesCommand({}))).Addresses?.[0]?.InstanceId, id)
})

test('a test hears of the life of instances and of addresses, and gives the console', async () => {
  const events: InstanceEvent[] = []
  const addresses: (readonly (string | undefined)[])[] = []
  ec2.front.onInstance((event) => events.push(event))
  ec2.front.onAddresses((all) => void addresses.push(all.map(({ InstanceId }) => InstanceId || undefined)))
  ec2.front.console = (instanceId) => `console of ${instanceId}\n`
  const network = await makeNetwork()
  const mirrored = { DeviceName: '/dev/sdb', Ebs: { VolumeSize: 10, VolumeType: 'gp3', DeleteOnTermination: false } } as const
  const id = await runReady(network, {
    UserData: Buffer.from('#cloud-config\n').toString('base64'),
    BlockDeviceMappings: [mirrored],
    TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'Name', Value: 'h0' }] }],
  })
  const { AllocationId } = await client.send(new AllocateAddressCommand({}))
  await client.send(new AssociateAddressCommand({ AllocationId, InstanceId: id }))
  await client.send(new StopInstancesCommand({ InstanceIds: [id] }))
  await describe(id)
  await client.send(new StartInstancesCommand({ InstanceIds: [id] }))
  await client.send(new TerminateInstancesCommand({ InstanceIds: [id] }))
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['run', 'stop', 'start', 'terminate'],
  )
  const [first] = events
  assert.equal(first?.userData, '#cloud-config\n')
  assert.equal(first?.instance.PrivateIpAddress, '192.168.0.4')
  assert.equal(first?.instance.ImageId, image)
  assert.equal(first?.instance.Tags?.[0]?.Value, 'h0')
  assert.deepEqual(addresses, [[undefined], [id], [undefined]])
  const { Output = '' } = await client.send(new GetConsoleOutputCommand({ InstanceId: id }))
  assert.equal(Buffer.from(Output, 'base64').toString(), `console of ${id}\n`)
  assert.deepEqual(
    (await client.send(new DescribeVolumesCommand({}))).Volumes?.map(({ Size }) => Size),
    [10],
    'the mirrored disk outlives its instance',
  )
})

test('twenty writes at once are all done', async () => {
  const network = await makeNetwork()
  const ids = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      run(network, { NetworkInterfaces: [{ DeviceIndex: 0, SubnetId: network.subnet, Groups: [network.group], PrivateIpAddress: `192.168.0.${10 + index}` }] }),
    ),
  )
  assert.equal(new Set(ids).size, 20)
})

test('what the emulator does not know is an error that says so', async () => {
  await assert.rejects(client.send(new DescribeVolumeStatusCommand({})), named('EmulatorLacks', /DescribeVolumeStatus/))
})

test('the emulator ends with the process that started it, also when that is killed', async () => {
  const program = `import { startEc2 } from ${JSON.stringify(`${import.meta.dirname}/ec2.ts`)}
    await startEc2()
    console.log('started')
    setInterval(() => undefined, 1000)`
  const owner = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(owner.stdout, 'data')
  const children = readFileSync(`/proc/${owner.pid}/task/${owner.pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter((pid) => pid !== '')
  assert.equal(children.length, 1)
  const exit = once(owner, 'exit')
  owner.kill('SIGKILL')
  await exit
  const alive = (): boolean => {
    try {
      return !/^State:\s+Z/m.test(readFileSync(`/proc/${children[0]}/status`, 'utf8'))
    } catch {
      return false
    }
  }
  const deadline = performance.now() + 60_000
  while (alive() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(alive(), false)
})
