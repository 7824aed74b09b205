/** The aws provider against the emulator: what it makes, that it makes it once, and what it does about each kind of drift. */
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, suite, test } from 'node:test'
import {
  AllocateAddressCommand,
  AssociateAddressCommand,
  AttachInternetGatewayCommand,
  AuthorizeSecurityGroupIngressCommand,
  CreateInternetGatewayCommand,
  CreateRouteCommand,
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  DeleteRouteCommand,
  DeleteSecurityGroupCommand,
  DeleteTagsCommand,
  DescribeImagesCommand,
  DescribeInstancesCommand,
  DescribeRouteTablesCommand,
  DescribeSecurityGroupsCommand,
  DescribeVolumesCommand,
  DetachVolumeCommand,
  DisassociateAddressCommand,
  type EC2Client,
  ImportKeyPairCommand,
  ModifyInstanceAttributeCommand,
  ModifyVpcAttributeCommand,
  RevokeSecurityGroupIngressCommand,
  RunInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2'
import { unanswered } from '../../coordinator/bootstrap/build-infra.ts'
import type { Site } from '../../coordinator/inventory/site.ts'
import { discardInstance } from '../../coordinator/providers/aws/discard.ts'
import { fingerprintOf } from '../../coordinator/providers/aws/key-fingerprint.ts'
import type { AwsFound } from '../../coordinator/providers/aws/observe.ts'
import { planAws } from '../../coordinator/providers/aws/plan.ts'
import { type AwsWant, awsWant } from '../../coordinator/providers/aws/want.ts'
import { accountOf, exampleAccount, nothing } from './account.ts'
import { type Ec2, startEc2 } from './ec2.ts'
import { loadStage, publicKey, type TestStage, testStage } from './stage.ts'

let ec2: Ec2
let site: Site
let want: AwsWant
/** Past the front: asks, and is not recorded. */
let past: EC2Client
/** Somebody in the AWS console. */
let byHand: EC2Client
let stage: TestStage

before(async () => {
  ec2 = await startEc2()
  site = await loadStage()
  want = awsWant(site)
  past = ec2.front.client(want.region)
  byHand = ec2.client(want.region)
})
after(() => ec2.stop())
beforeEach(async () => {
  await ec2.reset()
  stage = testStage(want, { endpoint: ec2.endpoint })
})
afterEach(() => stage.close())

const withHost = (name: string, change: Partial<AwsWant['hosts'][number]>): AwsWant => ({
  ...want,
  hosts: want.hosts.map((host) => (host.name === name ? { ...host, ...change } : host)),
})
const wanting = (other: AwsWant): TestStage => testStage(other, { endpoint: ec2.endpoint, state: stage.state })
const idsOf = (actions: readonly { readonly id: string }[]): readonly string[] => actions.map(({ id }) => id)
const actionsOf = (): readonly string[] => ec2.front.writes().map(({ action }) => action)
const instanceOf = (found: AwsFound, name: string) => found.instances.find((one) => one.name === name) ?? assert.fail(`no instance ${name}`)
const host = 's-hive1.pdns'

suite('a stage in an empty account', () => {
  test('is made with one call for each thing, everything tagged from its first moment', async () => {
    const { made } = await stage.apply()
    const { interfaces: _, ...rest } = await accountOf(past)
    assert.deepEqual(rest, exampleAccount)
    assert.deepEqual(
      made.map(({ name }) => name).sort(),
      want.hosts.map(({ name }) => name),
    )
    const counted = Object.entries(Object.groupBy(actionsOf(), (action) => action)).map(([action, calls]) => [action, calls?.length])
    assert.deepEqual(Object.fromEntries(counted), {
      CreateVpc: 1,
      ModifyVpcAttribute: 1,
      CreateInternetGateway: 1,
      AttachInternetGateway: 1,
      CreateSubnet: 3,
      CreateRouteTable: 1,
      CreateRoute: 1,
      AssociateRouteTable: 3,
      CreateSecurityGroup: 1,
      AuthorizeSecurityGroupIngress: 1,
      ImportKeyPair: 1,
      RunInstances: 4,
      AllocateAddress: 4,
      AssociateAddress: 4,
    })
    const creating = ec2.front.writes().filter(({ action }) => /^(Create(?!Route$)|Run|Allocate|Import)/.test(action))
    for (const { action, params } of creating)
      assert.ok(
        Object.entries(params).some(([key, value]) => /^TagSpecification\.\d+\.Tag\.\d+\.Key$/.test(key) && value === 'hive:stage'),
        action,
      )
  })

  test('is made once: the second run reads, and writes nothing', async () => {
    await stage.apply()
    ec2.front.forget()
    const again = testStage(want, { endpoint: ec2.endpoint })
    assert.deepEqual((await again.apply()).actions, [])
    again.close()
    assert.deepEqual(actionsOf(), [])
    assert.ok(ec2.front.calls().length <= 10, `${ec2.front.calls().length} calls`)
  })

  test('hosts have the addresses, zones, types and disks of the inventory, and the mirrored disk outlives its instance', async () => {
    await stage.apply()
    const { found } = await stage.plan()
    const rows = want.hosts.map(({ name }) => {
      const { privateIp, zone, type, disks, rootDevice } = instanceOf(found, name)
      const sizes = [...disks].map(([device, { volumeId, deletedWithInstance }]) => {
        const volume = found.volumes.find(({ id }) => id === volumeId)
        return `${device === rootDevice ? 'root' : device} ${volume?.sizeGb} ${deletedWithInstance ? 'goes' : 'stays'}`
      })
      return [name, privateIp, zone, type, sizes.sort().join(', ')]
    })
    const disks = '/dev/sdb 10 stays, root 20 goes'
    assert.deepEqual(rows.slice(0, 3), [
      ['s-hive0.pdns', '192.168.0.5', 'ap-northeast-1a', 't3.medium', disks],
      ['s-hive1.pdns', '192.168.0.69', 'ap-northeast-1c', 't3.medium', disks],
      ['s-hive2.pdns', '192.168.0.133', 'ap-northeast-1d', 't3.medium', disks],
    ])
    assert.deepEqual(rows[3]?.slice(0, 4), ['s-hive3.pdns', '192.168.0.6', 'ap-northeast-1a', 't3.large'])
  })

  test('the newest EL image of its makers is taken, and kept when a newer one comes', async () => {
    await stage.apply()
    const { Reservations = [] } = await past.send(new DescribeInstancesCommand({}))
    const used = new Set(Reservations.flatMap(({ Instances = [] }) => Instances.map(({ ImageId }) => ImageId)))
    assert.equal(used.size, 1)
    const { Images = [] } = await past.send(new DescribeImagesCommand({ Owners: ['764336703387'] }))
    const candidates = Images.filter(({ Name = '', Architecture }) => Name.startsWith('AlmaLinux OS 9') && Architecture === 'x86_64')
    assert.ok(candidates.length > 1)
    assert.equal([...used][0], candidates.toSorted((a, b) => (a.Name ?? '').localeCompare(b.Name ?? '', 'en', { numeric: true })).at(-1)?.ImageId)
    const older = candidates.find(({ ImageId }) => !used.has(ImageId))?.ImageId ?? ''
    const [key] = Object.keys(stage.state.get('aws.images') as object)
    stage.state.set('aws.images', { [key ?? '']: older })
    await byHand.send(new TerminateInstancesCommand({ InstanceIds: [instanceOf((await stage.plan()).found, host).id] }))
    await stage.apply()
    const { Reservations: now = [] } = await past.send(new DescribeInstancesCommand({ Filters: [{ Name: 'tag:Name', Values: [host] }] }))
    assert.ok(now.some(({ Instances = [] }) => Instances.some(({ ImageId }) => ImageId === older)))
  })

  test('ssh is open to the allowed sources only, published ports to all, and IPv6 where the network has it', async () => {
    const narrow = awsWant({
      ...site,
      variable: (name, variable) => (variable === 'hive_ssh_source_ips' ? ['192.0.2.7', '2001:db8::/32'] : site.variable(name, variable)),
    })
    await wanting(narrow).apply()
    const rules = async (): Promise<readonly string[]> => {
      const { SecurityGroups = [] } = await past.send(new DescribeSecurityGroupsCommand({ Filters: [{ Name: 'group-name', Values: ['hive-pdns-staging'] }] }))
      const [{ GroupId = '', IpPermissions = [] } = {}] = SecurityGroups
      return IpPermissions.flatMap(({ IpProtocol, FromPort, IpRanges = [], Ipv6Ranges = [], UserIdGroupPairs = [] }) =>
        [
          ...IpRanges.map(({ CidrIp }) => CidrIp),
          ...Ipv6Ranges.map(({ CidrIpv6 }) => CidrIpv6),
          ...UserIdGroupPairs.map((pair) => (pair.GroupId === GroupId ? 'self' : pair.GroupId)),
        ].map((source) => `${IpProtocol} ${IpProtocol === '-1' ? '' : FromPort} ${source}`),
      ).sort()
    }
    assert.deepEqual(await rules(), ['-1  self', 'tcp 22 192.0.2.7/32', 'tcp 53 0.0.0.0/0', 'tcp 80 0.0.0.0/0', 'udp 53 0.0.0.0/0'])
    assert.ok(narrow.rules(true).some(({ source, from }) => source === '::/0' && from === 53))
    assert.ok(narrow.rules(true).some(({ source, from }) => source === '2001:db8::/32' && from === 22))
  })
})

suite('drift', () => {
  /** What somebody did by hand, and the actions that bring it back. */
  const drifts: readonly { readonly what: string; readonly change: (found: AwsFound) => Promise<unknown>; readonly ids: readonly string[] }[] = [
    {
      what: 'a rule that was added, and one that was removed',
      change: async ({ groups: [group] }) => {
        const GroupId = group?.id ?? ''
        await past.send(
          new AuthorizeSecurityGroupIngressCommand({
            GroupId,
            IpPermissions: [{ IpProtocol: 'tcp', FromPort: 3306, ToPort: 3306, IpRanges: [{ CidrIp: '0.0.0.0/0' }] }],
          }),
        )
        await past.send(
          new RevokeSecurityGroupIngressCommand({
            GroupId,
            IpPermissions: [{ IpProtocol: 'tcp', FromPort: 80, ToPort: 80, IpRanges: [{ CidrIp: '0.0.0.0/0' }] }],
          }),
        )
      },
      ids: ['aws/security-rules'],
    },
    { what: 'tags of the network', change: ({ vpcs }) => untag(vpcs[0]?.id), ids: ['aws/tags'] },
    { what: 'tags of the gateway', change: ({ gateways }) => untag(gateways[0]?.id), ids: ['aws/tags'] },
    { what: 'tags of a subnet', change: ({ subnets }) => untag(subnets[0]?.id), ids: ['aws/tags'] },
    { what: 'tags of the route table', change: ({ routeTables }) => untag(routeTables[0]?.id), ids: ['aws/tags'] },
    { what: 'tags of the security group', change: ({ groups }) => untag(groups[0]?.id), ids: ['aws/tags'] },
    { what: 'tags of an instance', change: (found) => untag(instanceOf(found, host).id), ids: ['aws/tags'] },
    { what: 'tags of a disk', change: (found) => untag(instanceOf(found, host).disks.get('/dev/sdb')?.volumeId), ids: ['aws/tags'] },
    {
      what: 'DNS host names',
      change: ({ vpcs }) => past.send(new ModifyVpcAttributeCommand({ VpcId: vpcs[0]?.id, EnableDnsHostnames: { Value: false } })),
      ids: ['aws/vpc-dns'],
    },
    {
      what: 'the default route',
      change: ({ routeTables }) => past.send(new DeleteRouteCommand({ RouteTableId: routeTables[0]?.id, DestinationCidrBlock: '0.0.0.0/0' })),
      ids: ['aws/routes'],
    },
    {
      what: 'an elastic address that was taken off',
      change: ({ addresses }) => past.send(new DisassociateAddressCommand({ AssociationId: addresses[0]?.associationId })),
      ids: ['aws/address@'],
    },
    {
      what: 'a host that was taken out of the security group',
      change: async (found) => {
        const { SecurityGroups = [] } = await past.send(new DescribeSecurityGroupsCommand({ Filters: [{ Name: 'vpc-id', Values: [found.vpcs[0]?.id ?? ''] }] }))
        const group = SecurityGroups.find(({ GroupName }) => GroupName === 'default')?.GroupId ?? ''
        await byHand.send(new ModifyInstanceAttributeCommand({ InstanceId: instanceOf(found, host).id, Groups: [group] }))
      },
      ids: [`aws/security-group@${host}`],
    },
    {
      what: 'a host that is off',
      change: async (found) => {
        await byHand.send(new StopInstancesCommand({ InstanceIds: [instanceOf(found, host).id] }))
      },
      ids: [`aws/start@${host}`],
    },
    {
      what: 'a mirrored disk that would go with its instance',
      change: (found) =>
        byHand.send(
          new ModifyInstanceAttributeCommand({
            InstanceId: instanceOf(found, host).id,
            BlockDeviceMappings: [{ DeviceName: '/dev/sdb', Ebs: { DeleteOnTermination: true } }],
          }),
        ),
      ids: [`aws/keep-disk@${host}`],
    },
    {
      what: 'a mirrored disk that was detached',
      change: (found) =>
        byHand.send(
          new DetachVolumeCommand({
            VolumeId: instanceOf(found, host).disks.get('/dev/sdb')?.volumeId,
            InstanceId: instanceOf(found, host).id,
            Device: '/dev/sdb',
          }),
        ),
      ids: [`aws/mirrored-disk@${host}`],
    },
  ]
  const untag = (id: string | undefined) =>
    byHand.send(new DeleteTagsCommand({ Resources: [id ?? ''], Tags: ['Name', 'Project', 'hive:stage', 'hive:host'].map((Key) => ({ Key })) }))

  for (const { what, change, ids } of drifts)
    test(`${what}: told, put right, and then nothing is left to do`, async () => {
      await stage.apply()
      const before = await accountOf(past)
      await change((await stage.plan()).found)
      const { actions } = await stage.apply()
      assert.equal(actions.length, ids.length, JSON.stringify(actions))
      for (const [index, id] of ids.entries()) assert.ok(actions[index]?.id.startsWith(id), JSON.stringify(actions))
      assert.deepEqual(unanswered(actions, new Set()), [])
      assert.deepEqual((await stage.plan()).actions, [])
      assert.deepEqual(await accountOf(past), before)
    })

  test('larger disks grow in place, smaller ones are refused', async () => {
    await stage.apply()
    const larger = wanting(
      withHost(host, {
        root: { ...(want.hosts[1]?.root ?? assert.fail()), sizeGb: 30 },
        mirrored: { ...(want.hosts[1]?.mirrored ?? assert.fail()), sizeGb: 40 },
      }),
    )
    assert.deepEqual(idsOf((await larger.apply()).actions), [`aws/root-disk-size@${host}`, `aws/mirrored-disk-size@${host}`])
    assert.deepEqual((await larger.plan()).actions, [])
    const { actions } = await stage.plan()
    assert.deepEqual(
      actions.map(({ blocked }) => blocked !== undefined),
      [true, true],
    )
    assert.match(actions[0]?.reason ?? '', /30 GB, and a disk can't shrink/)
  })

  test('another type waits for a yes, stops the host, and keeps its address and disks', async () => {
    await stage.apply()
    const before = await accountOf(past)
    const other = wanting(withHost(host, { instanceType: 't3.xlarge' }))
    const { actions } = await other.plan()
    assert.deepEqual(idsOf(actions), [`aws/instance-type@${host}`])
    assert.deepEqual(
      unanswered(actions, new Set()).map(({ code, hint }) => [code, hint]),
      [['blocked', 'to allow it, name it: --allow s-hive1']],
    )
    assert.deepEqual(unanswered(actions, new Set(['s-hive1'])), [])
    ec2.front.forget()
    const { made } = await other.apply()
    assert.deepEqual(actionsOf(), ['StopInstances', 'ModifyInstanceAttribute', 'StartInstances'])
    assert.deepEqual(
      made.filter(({ boots }) => boots).map(({ name }) => name),
      [host],
    )
    assert.deepEqual((await other.plan()).actions, [])
    assert.deepEqual(await accountOf(past), before)
  })

  test('of two hosts that must stop, the second does when the first is back', async () => {
    await stage.apply()
    const both = wanting({ ...want, hosts: want.hosts.map((one, index) => (index < 2 ? { ...one, instanceType: 't3.xlarge' } : one)) })
    ec2.front.forget()
    await both.apply()
    const once = ['StopInstances', 'ModifyInstanceAttribute', 'StartInstances']
    assert.deepEqual(actionsOf(), [...once, ...once])
    assert.deepEqual((await both.plan()).actions, [])
  })

  test('another address waits for a yes and replaces the host, whose mirrored disk stays', async () => {
    await stage.apply()
    const { found } = await stage.plan()
    const disk = instanceOf(found, host).disks.get('/dev/sdb')?.volumeId
    const moved = wanting(withHost(host, { address: '192.168.0.77' }))
    const { actions } = await moved.plan()
    assert.deepEqual(idsOf(actions), [`aws/replace@${host}`])
    assert.equal(unanswered(actions, new Set()).length, 1)
    await moved.apply()
    const after = await moved.plan()
    assert.deepEqual(after.actions, [])
    const instance = instanceOf(after.found, host)
    assert.equal(instance.privateIp, '192.168.0.77')
    assert.equal(instance.disks.get('/dev/sdb')?.volumeId, disk)
    const { interfaces: _, ...rest } = await accountOf(past)
    assert.deepEqual(rest, exampleAccount)
  })

  test('a host that somebody terminated comes back with the disk and the elastic address it had', async () => {
    await stage.apply()
    const { found } = await stage.plan()
    const disk = instanceOf(found, host).disks.get('/dev/sdb')?.volumeId
    const address = found.addresses.find(({ instanceId }) => instanceId === instanceOf(found, host).id)?.publicIp
    await byHand.send(new TerminateInstancesCommand({ InstanceIds: [instanceOf(found, host).id] }))
    const { actions, made } = await stage.apply()
    assert.deepEqual(idsOf(actions), [`aws/instance@${host}`, `aws/address@${host}`])
    assert.match(actions[0]?.after ?? '', new RegExp(`the disk ${disk} for mirrored volumes that its last instance left`))
    assert.equal(made.find(({ name }) => name === host)?.publicIp, address)
    const after = await stage.plan()
    assert.deepEqual(after.actions, [])
    assert.equal(instanceOf(after.found, host).disks.get('/dev/sdb')?.volumeId, disk)
    assert.equal((await accountOf(past)).volumes.length, exampleAccount.volumes.length)
  })

  test('a host whose machine is given up leaves the others alone, and comes back with its disk and its address', async () => {
    await stage.apply()
    const { found } = await stage.plan()
    const disk = instanceOf(found, host).disks.get('/dev/sdb')?.volumeId
    ec2.front.forget()
    const work = { api: stage.api, want, found, signal: new AbortController().signal, say: () => undefined }
    await discardInstance(work, host)
    assert.deepEqual(
      actionsOf().filter((action) => !action.startsWith('CreateTags')),
      ['TerminateInstances'],
    )
    await discardInstance({ ...work, found: (await stage.plan()).found }, host)
    assert.equal(actionsOf().filter((action) => action === 'TerminateInstances').length, 1, 'it is gone already')
    const { actions, made } = await stage.apply()
    assert.deepEqual(idsOf(actions), [`aws/instance@${host}`, `aws/address@${host}`])
    assert.deepEqual(
      made.filter(({ isNew }) => isNew).map(({ name }) => name),
      [host],
    )
    const after = await stage.plan()
    assert.equal(instanceOf(after.found, host).privateIp, instanceOf(found, host).privateIp)
    assert.equal(instanceOf(after.found, host).disks.get('/dev/sdb')?.volumeId, disk)
    assert.deepEqual(after.actions, [])
  })

  test('two disks that could be the mirrored one stop it', async () => {
    await stage.apply()
    const { found } = await stage.plan()
    const zone = instanceOf(found, host).zone
    await byHand.send(new TerminateInstancesCommand({ InstanceIds: [instanceOf(found, host).id] }))
    await stage.api.call(
      'CreateVolume',
      {
        AvailabilityZone: zone,
        Size: 10,
        TagSpecifications: [
          {
            ResourceType: 'volume',
            Tags: [
              { Key: 'Project', Value: 'pdns' },
              { Key: 'hive:stage', Value: 'staging' },
              { Key: 'hive:host', Value: host },
            ],
          },
        ],
      },
      { what: 'another disk' },
      new AbortController().signal,
    )
    const blocked = (await stage.plan()).actions.filter((action) => action.blocked !== undefined)
    assert.deepEqual(idsOf(blocked), [`aws/mirrored-disk@${host}`])
    assert.match(blocked[0]?.reason ?? '', /there are 2 of this host/)
  })

  test('a key pair of the stage that holds another key is replaced, one that is not of the stage stops it', async () => {
    await stage.apply()
    const { found } = await stage.plan()
    const mine = fingerprintOf(publicKey)
    assert.deepEqual(planAws(want, found, mine).actions, [])
    assert.deepEqual(idsOf(planAws(want, found, 'aa:bb').actions), ['aws/key-pair'])
    const stranger = planAws(want, { ...found, keys: found.keys.map((key) => ({ ...key, tags: {} })) }, 'aa:bb').actions.find(({ id }) => id === 'aws/key-pair')
    assert.notEqual(stranger?.blocked, undefined)
  })

  test('a network of another size stops it before anything is touched', async () => {
    await stage.apply()
    const { actions } = await wanting({ ...want, cidr: '192.168.0.0/23' }).plan()
    assert.match(actions.find(({ blocked }) => blocked !== undefined)?.reason ?? '', /it is 192\.168\.0\.0\/24, and a VPC keeps its network/)
  })
})

suite('neighbours in an account', () => {
  test('two sites and another stage of the same site: each is whole, and destroying one leaves the others as they are', async () => {
    const others = [
      { ...want, owner: { site: 'other', stage: 'staging' }, keyName: 'hive-bulder-other', groupName: 'hive-other-staging', vpcName: 'vpc-other' },
      { ...want, owner: { site: 'pdns', stage: 'production' }, keyName: 'hive-bulder-pdns', groupName: 'hive-pdns-production' },
    ].map((other) => ({ ...other, hosts: want.hosts.map((one) => ({ ...one, name: one.name.replace('s-', '').replace('pdns', other.owner.site) })) }))
    const stages = [stage, ...others.map(wanting)]
    for (const one of stages) await one.apply()
    for (const one of stages) assert.deepEqual((await one.plan()).actions, [])
    await stages[1]?.destroy()
    await stages[2]?.destroy()
    assert.deepEqual((await stage.plan()).actions, [])
    const { interfaces: _, ...rest } = await accountOf(past)
    assert.deepEqual(rest, exampleAccount)
    await stage.destroy()
    assert.deepEqual(await accountOf(past), nothing)
    for (const one of stages) one.close()
  })

  test('a fixed elastic address is used, and stays when the stage is destroyed', async () => {
    const { PublicIp = '' } = await past.send(new AllocateAddressCommand({ Domain: 'vpc' }))
    const fixed = wanting(withHost(host, { publishedIp: PublicIp }))
    const { made } = await fixed.apply()
    assert.equal(made.find(({ name }) => name === host)?.publicIp, PublicIp)
    assert.deepEqual((await fixed.plan()).actions, [])
    await fixed.destroy()
    assert.deepEqual(await accountOf(past), { ...nothing, addresses: ['without a name'] })
    const elsewhere = await wanting(withHost(host, { publishedIp: '198.51.100.7' })).plan()
    assert.match(elsewhere.actions.find(({ blocked }) => blocked !== undefined)?.reason ?? '', /198\.51\.100\.7 is not in this account/)
  })

  test('an instance in the network that is not ours is never touched: destroy names it and stops', async () => {
    await stage.apply()
    const { found } = await stage.plan()
    const { Images = [] } = await past.send(new DescribeImagesCommand({ Owners: ['764336703387'] }))
    const { Instances = [] } = await byHand.send(
      new RunInstancesCommand({
        ImageId: Images[0]?.ImageId,
        InstanceType: 't3.micro',
        MinCount: 1,
        MaxCount: 1,
        SubnetId: found.subnets[0]?.id,
        PrivateIpAddress: '192.168.0.50',
      }),
    )
    const stranger = Instances[0]?.InstanceId ?? ''
    await assert.rejects(
      stage.destroy(),
      (error) => error instanceof Error && error.message.includes(stranger) && /not made for this stage/.test(error.message),
    )
    assert.deepEqual((await accountOf(past)).instances, ['without a name'])
    await byHand.send(new TerminateInstancesCommand({ InstanceIds: [stranger] }))
    await ec2.front.settle()
    await stage.destroy()
    const { interfaces: _, ...rest } = await accountOf(past)
    const { interfaces: __, ...empty } = nothing
    assert.deepEqual(rest, empty)
  })

  test('a security group in the network that is not ours is named by destroy', async () => {
    await stage.apply()
    const { found } = await stage.plan()
    const { GroupId = '' } = await byHand.send(new CreateSecurityGroupCommand({ VpcId: found.vpcs[0]?.id, GroupName: 'theirs', Description: 'theirs' }))
    await assert.rejects(stage.destroy(), (error) => error instanceof Error && error.message.includes(`${GroupId} theirs`))
    assert.deepEqual((await accountOf(past)).instances, [])
    await byHand.send(new DeleteSecurityGroupCommand({ GroupId }))
    await stage.destroy()
    assert.deepEqual(await accountOf(past), nothing)
  })

  test('hosts that the inventory has no longer are told and kept, and go with destroy', async () => {
    await stage.apply()
    const fewer = wanting({ ...want, hosts: want.hosts.slice(0, 3) })
    const { actions, notices } = await fewer.plan()
    assert.deepEqual(actions, [])
    assert.match(notices.join(), /s-hive3\.pdns \(destroy removes them with the stage\)/)
    await fewer.destroy()
    assert.deepEqual(await accountOf(past), nothing)
    fewer.close()
  })
})

suite('a stage that hive-builder made', () => {
  const project = [{ Key: 'Project', Value: 'pdns' }]
  const named = (type: 'vpc' | 'subnet' | 'internet-gateway' | 'instance' | 'elastic-ip', Name: string) => [
    { ResourceType: type, Tags: [...project, { Key: 'Name', Value: Name }] },
  ]

  test('is taken over as it is: tags, a security group, routes of its own; no instance is made or stopped', async () => {
    const VpcId = (await past.send(new CreateVpcCommand({ CidrBlock: want.cidr, TagSpecifications: named('vpc', 'vpc-pdns') }))).Vpc?.VpcId ?? ''
    await past.send(new ModifyVpcAttributeCommand({ VpcId, EnableDnsHostnames: { Value: true } }))
    const gateway = (await past.send(new CreateInternetGatewayCommand({ TagSpecifications: named('internet-gateway', 'gateway for vpc-pdns') })))
      .InternetGateway
    await past.send(new AttachInternetGatewayCommand({ VpcId, InternetGatewayId: gateway?.InternetGatewayId }))
    const { RouteTables = [] } = await past.send(new DescribeRouteTablesCommand({ Filters: [{ Name: 'vpc-id', Values: [VpcId] }] }))
    await past.send(
      new CreateRouteCommand({ RouteTableId: RouteTables[0]?.RouteTableId, DestinationCidrBlock: '0.0.0.0/0', GatewayId: gateway?.InternetGatewayId }),
    )
    const subnets = new Map<string, string>()
    for (const { name, cidr, zone } of want.subnets) {
      const { Subnet } = await past.send(new CreateSubnetCommand({ VpcId, CidrBlock: cidr, AvailabilityZone: zone, TagSpecifications: named('subnet', name) }))
      subnets.set(name, Subnet?.SubnetId ?? '')
    }
    await past.send(new ImportKeyPairCommand({ KeyName: 'hive-bulder-pdns', PublicKeyMaterial: Buffer.from(publicKey) }))
    const { Images = [] } = await past.send(new DescribeImagesCommand({ Owners: ['764336703387'] }))
    for (const { name, address, subnet, instanceType, mirrored, root } of want.hosts) {
      const { Instances = [] } = await byHand.send(
        new RunInstancesCommand({
          ImageId: Images.find(({ Architecture }) => Architecture === 'x86_64')?.ImageId,
          InstanceType: instanceType as 't3.medium',
          MinCount: 1,
          MaxCount: 1,
          KeyName: 'hive-bulder-pdns',
          SubnetId: subnets.get(subnet),
          PrivateIpAddress: address,
          BlockDeviceMappings: [
            { DeviceName: '/dev/sda1', Ebs: { VolumeSize: root.sizeGb ?? 20, DeleteOnTermination: true } },
            ...(mirrored === undefined ? [] : [{ DeviceName: '/dev/sdb', Ebs: { VolumeSize: mirrored.sizeGb, DeleteOnTermination: true } }]),
          ],
          TagSpecifications: named('instance', name),
        }),
      )
      const { AllocationId } = await past.send(new AllocateAddressCommand({ Domain: 'vpc', TagSpecifications: named('elastic-ip', `for ${name}`) }))
      await past.send(new AssociateAddressCommand({ AllocationId, InstanceId: Instances[0]?.InstanceId }))
    }
    const before = await accountOf(past)
    ec2.front.forget()
    const { actions } = await stage.apply()
    assert.deepEqual(
      [...new Set(idsOf(actions).map((id) => id.replace(/@.*/, '')))].sort(),
      ['aws/keep-disk', 'aws/key-pair', 'aws/routes', 'aws/security-group', 'aws/security-rules', 'aws/tags'].sort(),
    )
    assert.deepEqual(unanswered(actions, new Set()), [])
    const forbidden = actionsOf().filter((action) =>
      /^(Run|Stop|Start|Terminate|Allocate|Release|CreateVpc|CreateSubnet|CreateVolume|Detach|Delete)/.test(action),
    )
    assert.deepEqual(forbidden, [])
    assert.deepEqual((await stage.plan()).actions, [])
    const after = await accountOf(past)
    assert.deepEqual(after.instances, before.instances)
    assert.deepEqual(after.addresses, before.addresses)
    const { Volumes = [] } = await past.send(new DescribeVolumesCommand({}))
    assert.ok(Volumes.every(({ Tags = [] }) => Tags.some(({ Key }) => Key === 'hive:stage')))
    await stage.destroy()
    // The key pair by hive-builder's name belongs to all its stages.
    assert.deepEqual(await accountOf(past), { ...nothing, keys: ['hive-bulder-pdns'] })
  })

  test('another stage of the same site in another network is not taken for it', async () => {
    await past.send(new CreateVpcCommand({ CidrBlock: '10.9.0.0/24', TagSpecifications: named('vpc', 'vpc-pdns') }))
    const { actions } = await stage.plan()
    assert.ok(idsOf(actions).includes('aws/vpc'))
    await stage.apply()
    await stage.destroy()
    assert.deepEqual((await accountOf(past)).vpcs, ['vpc-pdns'])
  })
})

test('a network whose group was made by somebody else under the same name says what is in the way', async () => {
  const VpcId = (
    await past.send(
      new CreateVpcCommand({
        CidrBlock: want.cidr,
        TagSpecifications: [
          {
            ResourceType: 'vpc',
            Tags: [
              { Key: 'Project', Value: 'pdns' },
              { Key: 'Name', Value: 'vpc-pdns' },
            ],
          },
        ],
      }),
    )
  ).Vpc?.VpcId
  await past.send(
    new CreateSecurityGroupCommand({
      VpcId,
      GroupName: 'hive-pdns-staging',
      Description: 'other',
      TagSpecifications: [{ ResourceType: 'security-group', Tags: [{ Key: 'hive:stage', Value: 'production' }] }],
    }),
  )
  await assert.rejects(
    stage.apply(),
    (error) => error instanceof Error && /security group hive-pdns-staging: ec2:CreateSecurityGroup: InvalidGroup\.Duplicate/.test(error.message),
  )
})
