/** A whole aws stage with NFS volumes: the file system beside network and hosts. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { DescribeSecurityGroupsCommand, DescribeVpcsCommand } from '@aws-sdk/client-ec2'
import { DescribeFileSystemsCommand, DescribeMountTargetsCommand } from '@aws-sdk/client-efs'
import { applyAws } from '../../coordinator/providers/aws/apply.ts'
import { efsAddress } from '../../coordinator/providers/aws/efs-address.ts'
import { planFileSystem } from '../../coordinator/providers/aws/stage-file-system.ts'
import { type Ec2, startEc2 } from './ec2.ts'
import { exampleWant, publicKey, type TestStage, testStage } from './stage.ts'

let ec2: Ec2
let stage: TestStage

before(async () => {
  ec2 = await startEc2()
  stage = testStage({ ...(await exampleWant()), hasNfs: true }, { endpoint: ec2.endpoint })
})
after(async () => {
  stage.close()
  await ec2.stop()
})

/** What build-infra does; answers the ids of what it planned. */
async function buildInfra(): Promise<readonly string[]> {
  const { api, want, state } = stage
  const { signal } = new AbortController()
  const say = (): void => undefined
  const { found, actions } = await stage.plan()
  const fileSystem = await planFileSystem(api, want, found, signal)
  await applyAws({ api, want, found, actions, state, publicKey, fileSystem: fileSystem.found, emit: say, signal, say, made: async () => undefined })
  return [...actions, ...fileSystem.actions].map(({ id }) => id)
}

test('a stage with NFS volumes has its file system in its network, again without any write, and leaves nothing', async () => {
  const { api, want, state } = stage
  const planned = await buildInfra()
  assert.ok(planned.includes('aws/efs/file-system'))
  const [made, ...others] = (await api.efs.send(new DescribeFileSystemsCommand({}))).FileSystems ?? []
  assert.deepEqual(others, [])
  assert.deepEqual(efsAddress(state), { fileSystemId: made?.FileSystemId, dnsName: `${made?.FileSystemId}.efs.${want.region}.amazonaws.com` })
  const { MountTargets = [] } = await api.efs.send(new DescribeMountTargetsCommand({ FileSystemId: made?.FileSystemId }))
  const zones = MountTargets.map(({ AvailabilityZoneName }) => AvailabilityZoneName)
  assert.equal(new Set(zones).size, zones.length)
  assert.deepEqual(zones.sort(), [...new Set(want.subnets.map(({ zone }) => zone))].sort())

  ec2.front.forget()
  assert.deepEqual(await buildInfra(), [])
  assert.deepEqual(ec2.front.writes(), [])

  await stage.destroy()
  assert.equal(efsAddress(state), undefined)
  assert.deepEqual((await api.efs.send(new DescribeFileSystemsCommand({}))).FileSystems, [])
  const client = ec2.client(want.region)
  assert.ok(!(await client.send(new DescribeVpcsCommand({}))).Vpcs?.some(({ Tags = [] }) => Tags.some(({ Key }) => Key === 'Project')))
  assert.ok(!(await client.send(new DescribeSecurityGroupsCommand({}))).SecurityGroups?.some(({ GroupName }) => GroupName !== 'default'))
})
