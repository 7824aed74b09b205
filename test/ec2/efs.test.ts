/** The stage's file system against the emulator's EFS. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, beforeEach, suite, test } from 'node:test'
import {
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  DeleteSecurityGroupCommand,
  DeleteSubnetCommand,
  DescribeNetworkInterfacesCommand,
  type EC2Client,
} from '@aws-sdk/client-ec2'
import {
  CreateFileSystemCommand,
  CreateMountTargetCommand,
  DeleteMountTargetCommand,
  DescribeFileSystemsCommand,
  DescribeMountTargetSecurityGroupsCommand,
  DescribeMountTargetsCommand,
  EFSClient,
  type FileSystemDescription,
  ModifyMountTargetSecurityGroupsCommand,
  type MountTargetDescription,
  UntagResourceCommand,
} from '@aws-sdk/client-efs'
import { applyEfs, destroyEfs, observeEfs } from '../../coordinator/providers/aws/efs.ts'
import type { EfsAddress } from '../../coordinator/providers/aws/efs-address.ts'
import { type EfsFound, type EfsWant, efsEncryption, planEfs } from '../../coordinator/providers/aws/efs-plan.ts'
import { type Ec2, startEc2 } from './ec2.ts'
import { fasterClock } from './stage.ts'

const docs = new URL('../../docs', import.meta.url).pathname
const region = 'ap-northeast-1'
let ec2: Ec2
let network: EC2Client
let client: EFSClient

before(async () => {
  ec2 = await startEc2()
  network = ec2.client(region)
  client = new EFSClient({ endpoint: ec2.endpoint, region, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } })
})
after(async () => {
  client.destroy()
  await ec2.stop()
})
beforeEach(async () => ec2.reset())

/** A network with two subnets in one zone and a third in another, and what is asked for in it. */
async function makeStage(stage = 'staging', cidr = '192.168.0'): Promise<EfsWant> {
  const vpc = (await network.send(new CreateVpcCommand({ CidrBlock: `${cidr}.0/24` }))).Vpc?.VpcId
  const subnets = []
  for (const [name, zone, part] of [
    ['subnet1', 'a', '0/26'],
    ['subnet2', 'a', '64/26'],
    ['subnet3', 'c', '128/26'],
  ]) {
    const AvailabilityZone = `${region}${zone}`
    const { Subnet } = await network.send(new CreateSubnetCommand({ VpcId: vpc, CidrBlock: `${cidr}.${part}`, AvailabilityZone }))
    subnets.push({ name: name ?? '', zone: AvailabilityZone, id: Subnet?.SubnetId })
  }
  const { GroupId } = await network.send(new CreateSecurityGroupCommand({ VpcId: vpc, GroupName: `group-${stage}`, Description: 'the site' }))
  ec2.front.forget()
  return { site: 'pdns', stage, name: 'efs-pdns', tags: {}, ...efsEncryption(undefined), subnets, securityGroupId: GroupId }
}

const clock = { ...fasterClock(1000), random: () => 0.5 }
const contextOf = (signal = new AbortController().signal) => ({ signal, emit: () => undefined, clock })

const look = (want: EfsWant): Promise<EfsFound | undefined> => observeEfs(client, want, contextOf())
const apply = async (want: EfsWant, signal?: AbortSignal): Promise<EfsAddress> => applyEfs(client, want, await look(want), contextOf(signal))
const destroy = async (want: EfsWant, signal?: AbortSignal): Promise<void> => destroyEfs(client, want, await look(want), contextOf(signal))
const planned = async (want: EfsWant): Promise<readonly string[]> => planEfs(want, await look(want)).map(({ id }) => id)
const writes = (): readonly string[] => ec2.front.writes().map(({ action }) => action)

const fileSystems = async (): Promise<readonly FileSystemDescription[]> => (await client.send(new DescribeFileSystemsCommand({}))).FileSystems ?? []
const targetsOf = async (FileSystemId: string): Promise<readonly MountTargetDescription[]> =>
  (await client.send(new DescribeMountTargetsCommand({ FileSystemId }))).MountTargets ?? []
const interfaces = async (): Promise<number> => (await network.send(new DescribeNetworkInterfacesCommand({}))).NetworkInterfaces?.length ?? 0

async function whole(want: EfsWant): Promise<void> {
  const all = await fileSystems()
  assert.equal(all.length, 1)
  const targets = await targetsOf(all[0]?.FileSystemId ?? '')
  assert.deepEqual(targets.map(({ SubnetId }) => SubnetId).sort(), [want.subnets[0]?.id, want.subnets[2]?.id].sort())
  assert.deepEqual(await planned(want), [])
}

/** As hive-builder leaves it: no stage among its tags, a token of its own, not encrypted, a security group that is not ours. */
async function legacy(want: EfsWant): Promise<string> {
  const Tags = [
    { Key: 'Name', Value: 'efs-pdns' },
    { Key: 'Project', Value: 'pdns' },
  ]
  const { FileSystemId } = await client.send(new CreateFileSystemCommand({ CreationToken: `efs-pdns-${want.stage}`, Tags }))
  await ec2.front.settle()
  for (const { id } of [want.subnets[0], want.subnets[2]].filter((subnet) => subnet !== undefined))
    await client.send(new CreateMountTargetCommand({ FileSystemId, SubnetId: id, SecurityGroups: [] }))
  ec2.front.forget()
  return FileSystemId ?? ''
}

suite('the file system of a stage', () => {
  test('is made with one mount target in each zone, and again without any write', async () => {
    const want = await makeStage()
    assert.deepEqual(await planned(want), ['efs/file-system', `efs/target-${region}a`, `efs/target-${region}c`])
    assert.deepEqual(writes(), [])
    const address = await apply(want)
    assert.deepEqual(writes(), ['CreateFileSystem', 'CreateMountTarget', 'CreateMountTarget'])
    assert.equal(address.dnsName, `${address.fileSystemId}.efs.${region}.amazonaws.com`)
    const [made] = await fileSystems()
    assert.equal(made?.Encrypted, true)
    assert.deepEqual(Object.fromEntries((made?.Tags ?? []).map(({ Key, Value }) => [Key, Value])), {
      Name: 'efs-pdns',
      Project: 'pdns',
      'hive:stage': 'staging',
    })
    await whole(want)
    ec2.front.forget()
    assert.deepEqual(await apply(want), address)
    assert.deepEqual(writes(), [])
    // Listing, mount targets, and the groups of both; nothing for waiting.
    assert.equal(ec2.front.calls().length, 4)
  })

  test('has the key of the stage where it has one', async () => {
    const key = 'arn:aws:kms:ap-northeast-1:123456789012:key/1'
    const want = { ...(await makeStage()), ...efsEncryption(key) }
    await apply(want)
    assert.equal((await fileSystems())[0]?.KmsKeyId, key)
  })

  test('gets back tags, mount targets and security groups that were taken away, and keeps what others added', async () => {
    const want = await makeStage()
    const { fileSystemId } = await apply(want)
    const [first, second] = await targetsOf(fileSystemId)
    const other = (await network.send(new CreateSecurityGroupCommand({ VpcId: first?.VpcId, GroupName: 'other', Description: 'x' }))).GroupId ?? ''
    await client.send(new UntagResourceCommand({ ResourceId: fileSystemId, TagKeys: ['Name'] }))
    await client.send(new ModifyMountTargetSecurityGroupsCommand({ MountTargetId: first?.MountTargetId, SecurityGroups: [other] }))
    await client.send(new DeleteMountTargetCommand({ MountTargetId: second?.MountTargetId }))
    // Mount targets were made side by side, so the first may be in any zone.
    const lacks = ['efs/tags', `efs/target-groups-${first?.AvailabilityZoneName}`, `efs/target-${second?.AvailabilityZoneName}`]
    assert.deepEqual([...(await planned(want))].sort(), lacks.sort())
    ec2.front.forget()
    await apply(want)
    assert.deepEqual([...writes()].sort(), ['CreateMountTarget', 'ModifyMountTargetSecurityGroups', 'TagResource'])
    await whole(want)
    const { SecurityGroups } = await client.send(new DescribeMountTargetSecurityGroupsCommand({ MountTargetId: first?.MountTargetId }))
    assert.deepEqual(SecurityGroups, [want.securityGroupId, other])
  })

  test('is satisfied with a mount target in another subnet of the zone', async () => {
    const want = await makeStage()
    await apply(want)
    const [one, two, three] = want.subnets
    assert.ok(one && two && three)
    assert.deepEqual(await planned({ ...want, subnets: [two, one, three] }), [])
  })

  for (const when of ['before', 'after'] as const)
    test(`is finished, or taken away, by the next run after one that ended ${when} any of its writes`, async () => {
      for (const next of [apply, destroy]) {
        for (let nth = 1; ; nth++) {
          await ec2.reset()
          const want = await makeStage()
          const killed = await killedAt(nth, when, (signal) => apply(want, signal))
          await next(want)
          if (next === apply) await whole(want)
          else await nothingLeft(want)
          if (!killed) break
        }
      }
    })

  for (const when of ['before', 'after'] as const)
    test(`is taken away whole by the next run after a destroy that ended ${when} any of its writes`, async () => {
      for (const make of [apply, legacy]) {
        for (let nth = 1; ; nth++) {
          await ec2.reset()
          const want = await makeStage()
          await make(want)
          const killed = await killedAt(nth, when, (signal) => destroy(want, signal))
          await destroy(want)
          await nothingLeft(want)
          if (!killed) break
        }
      }
    })

  test('has no twin after lost answers', async () => {
    const want = await makeStage()
    for (const action of ['CreateFileSystem', 'CreateMountTarget']) ec2.front.loseAnswer(action)
    await apply(want)
    await whole(want)
    for (const action of ['DeleteMountTarget', 'DeleteFileSystem']) ec2.front.loseAnswer(action)
    await destroy(want)
    await nothingLeft(want)
  })

  test('waits for what AWS is not ready for', async () => {
    const want = await makeStage()
    ec2.front.fail('CreateMountTarget', 'IncorrectFileSystemLifeCycleState', 'not available yet', 409, 2)
    await apply(want)
    ec2.front.fail('DeleteFileSystem', 'FileSystemInUse', 'mount targets', 409, 2)
    await destroy(want)
    await nothingLeft(want)
  })

  test('names what is missing to those who carry errors out', async () => {
    const want = await makeStage()
    ec2.front.fail('CreateFileSystem', 'AccessDeniedException', 'not authorized', 403, 1)
    const seen: string[] = []
    const call = async <T>(about: { readonly action: string; readonly resource: string }, send: () => Promise<T>): Promise<T> =>
      send().catch((error: unknown) => {
        seen.push(`${about.action} ${about.resource}`)
        throw error
      })
    await assert.rejects(applyEfs(client, want, undefined, { ...contextOf(), call }), { name: 'AccessDeniedException' })
    assert.deepEqual(seen, ['elasticfilesystem:CreateFileSystem efs-pdns'])
  })

  test('needs no more rights than documented', async () => {
    const allow = (actions: readonly string[]) =>
      ec2.front.setPolicy({
        Version: '2012-10-17',
        Statement: [
          { Effect: 'Allow', Action: actions.map((action) => `elasticfilesystem:${action}`), Resource: '*' },
          { Effect: 'Allow', Action: 'ec2:*', Resource: '*' },
        ],
      })
    const plan = ['DescribeFileSystems', 'DescribeMountTargets', 'DescribeMountTargetSecurityGroups']
    const build = [...plan, 'CreateFileSystem', 'TagResource', 'CreateMountTarget', 'ModifyMountTargetSecurityGroups']
    const remove = [...plan, 'TagResource', 'DeleteMountTarget', 'DeleteFileSystem']
    const documented = actionsIn(
      readdirSync(docs)
        .map((name) => readFileSync(join(docs, name), 'utf8'))
        .join('\n'),
    )
    assert.deepEqual(
      [...new Set([...build, ...remove])].filter((action) => !documented.has(action)),
      [],
    )
    for (const make of [apply, legacy]) {
      await ec2.reset()
      const want = await makeStage()
      if (make === legacy) await legacy(want)
      allow(plan)
      assert.notDeepEqual(await planned(want), [])
      allow(build)
      await apply(want)
      allow(plan)
      assert.deepEqual(await planned(want), [])
      allow(remove)
      await destroy(want)
      ec2.front.setPolicy(undefined)
      await nothingLeft(want)
    }
  })

  test('is found among more file systems than one page holds', async () => {
    const want = await makeStage()
    for (let index = 0; index < 105; index++) await client.send(new CreateFileSystemCommand({ CreationToken: `other-${index}` }))
    const { fileSystemId } = await apply(want)
    assert.equal((await look(want))?.fileSystemId, fileSystemId)
    assert.deepEqual(await planned(want), [])
  })
})

suite('a file system of hive-builder', () => {
  test('is adopted: tagged, and opened for the hosts; its encryption stays as it is', async () => {
    const want = await makeStage()
    const id = await legacy(want)
    assert.deepEqual(await planned(want), ['efs/tags', `efs/target-groups-${region}a`, `efs/target-groups-${region}c`])
    assert.equal((await apply(want)).fileSystemId, id)
    assert.ok(!writes().some((action) => action.startsWith('Create')))
    await whole(want)
  })

  test('of another stage, which has the same tags, is left alone', async () => {
    const production = await makeStage('production', '192.168.1')
    const id = await legacy(production)
    const staging = await makeStage()
    assert.equal(await look(staging), undefined)
    const own = await apply(staging)
    assert.notEqual(own.fileSystemId, id)
    await destroy(staging)
    assert.deepEqual(
      (await fileSystems()).map(({ FileSystemId }) => FileSystemId),
      [id],
    )
    assert.equal((await targetsOf(id)).length, 2)
  })
})

test('two stages of a site have two file systems, and destroying one leaves the other', async () => {
  const [staging, production] = [await makeStage(), await makeStage('production', '192.168.1')]
  await Promise.all([apply(staging), apply(production)])
  assert.equal((await fileSystems()).length, 2)
  await destroy(staging)
  assert.equal(await look(staging), undefined)
  assert.deepEqual(await planned(production), [])
  await destroy(staging)
})

test("two file systems that could both be the stage's stop everything", async () => {
  const want = await makeStage()
  await apply(want)
  const Tags = [
    { Key: 'Project', Value: 'pdns' },
    { Key: 'hive:stage', Value: 'staging' },
  ]
  await client.send(new CreateFileSystemCommand({ CreationToken: 'by hand', Tags }))
  await assert.rejects(look(want), { code: 'conflict' })
})

/** The names of EFS's actions in a text. */
const actionsIn = (text: string): ReadonlySet<string> => new Set([...text.matchAll(/elasticfilesystem:(\w+)/g)].map(([, action = '']) => action))

/** Runs `work` and breaks it off at its nth write: the signal is aborted, the answer never comes. Answers whether there was an nth. */
async function killedAt(nth: number, when: 'before' | 'after', work: (signal: AbortSignal) => Promise<unknown>): Promise<boolean> {
  const kill = new AbortController()
  const forget = ec2.front.hook(
    '*',
    (_call, seen) => {
      if (kill.signal.aborted) return 'drop'
      if (seen !== nth) return undefined
      kill.abort()
      return 'drop'
    },
    when,
  )
  try {
    await work(kill.signal)
    assert.ok(!kill.signal.aborted, 'a run whose write was broken off said that all is well')
    return false
  } catch (error) {
    if (!kill.signal.aborted) throw error
    return true
  } finally {
    forget()
  }
}

/** No file system, and nothing that keeps the network from being deleted. */
async function nothingLeft(want: EfsWant): Promise<void> {
  assert.deepEqual(await fileSystems(), [])
  assert.equal(await interfaces(), 0)
  for (const { id } of want.subnets) await network.send(new DeleteSubnetCommand({ SubnetId: id }))
  await network.send(new DeleteSecurityGroupCommand({ GroupId: want.securityGroupId }))
}
