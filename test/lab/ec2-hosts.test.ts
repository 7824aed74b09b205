/** An instance of the emulator is a host that is reached as on EC2: by its elastic address, with the key pair, as cloud-init made it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  AllocateAddressCommand,
  AssociateAddressCommand,
  AttachInternetGatewayCommand,
  CreateInternetGatewayCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  type EC2Client,
  GetConsoleOutputCommand,
  ImportKeyPairCommand,
  RunInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
  waitUntilInstanceRunning,
  waitUntilInstanceStopped,
} from '@aws-sdk/client-ec2'
import { type CommandResult, run } from '../../coordinator/providers/command.ts'
import { type Ec2, startEc2 } from '../ec2/ec2.ts'
import { type Ec2Hosts, insideVpc, standForInstances } from './harness/ec2-hosts.ts'
import { eventually, patience } from './harness/eventually.ts'
import { leftovers } from './harness/leftovers.ts'

const folder = mkdtempSync(join(tmpdir(), 'hive-ec2-hosts-'))
const keyFile = join(folder, 'id_ed25519')
const userData = `#cloud-config
hostname: staging-hive0
fqdn: staging-hive0.example.org
users:
  - default
  - name: admin
    groups: wheel
    sudo: ALL=(ALL) NOPASSWD:ALL
    shell: /bin/bash
    ssh_authorized_keys: [KEY]
`
let ec2: Ec2
let client: EC2Client
let hosts: Ec2Hosts | undefined
const vpc = (): Ec2Hosts => {
  assert.ok(hosts)
  return hosts
}

before(async () => {
  ec2 = await startEc2()
  client = ec2.client()
  hosts = await standForInstances(ec2.front, { name: 'hosts', cidr: '192.168.0.0/24' })
  await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', keyFile])
})
after(async () => {
  await hosts?.stop()
  await ec2.stop()
  rmSync(folder, { recursive: true, force: true })
})

const ssh = (user: string, address: string, ...command: string[]): Promise<CommandResult> => {
  const options = ['StrictHostKeyChecking=accept-new', `UserKnownHostsFile=${folder}/known_hosts`, 'BatchMode=yes', 'ConnectTimeout=5', 'IdentitiesOnly=yes']
  return run(['ssh', '-F', 'none', '-i', keyFile, ...options.flatMap((option) => ['-o', option]), `${user}@${address}`, ...command], { timeout: 60_000 })
}
const answers = (user: string, address: string): Promise<string> =>
  eventually('ssh to the instance', patience, async () => (await ssh(user, address, 'hostname')).stdout.trim())

test('an instance lives as a host behind its elastic address, and leaves nothing', async (context) => {
  const publicKey = readFileSync(`${keyFile}.pub`, 'utf8').trim()
  await client.send(new ImportKeyPairCommand({ KeyName: 'site', PublicKeyMaterial: Buffer.from(publicKey) }))
  const VpcId = (await client.send(new CreateVpcCommand({ CidrBlock: '192.168.0.0/24' }))).Vpc?.VpcId
  const InternetGatewayId = (await client.send(new CreateInternetGatewayCommand({}))).InternetGateway?.InternetGatewayId
  await client.send(new AttachInternetGatewayCommand({ VpcId, InternetGatewayId }))
  const subnets = await Promise.all(
    ['192.168.0.0/26', '192.168.0.64/26'].map((CidrBlock) => client.send(new CreateSubnetCommand({ VpcId, CidrBlock, AvailabilityZone: 'ap-northeast-1a' }))),
  )
  const [one, two] = await Promise.all(
    ['192.168.0.4', '192.168.0.68'].map(async (PrivateIpAddress, index) => {
      const { Instances } = await client.send(
        new RunInstancesCommand({
          ImageId: 'ami-00d73f83fa9a60285',
          InstanceType: 't3.medium',
          MinCount: 1,
          MaxCount: 1,
          KeyName: 'site',
          UserData: Buffer.from(userData.replace('KEY', publicKey)).toString('base64'),
          SubnetId: subnets[index]?.Subnet?.SubnetId,
          PrivateIpAddress,
        }),
      )
      return Instances?.[0]?.InstanceId ?? ''
    }),
  )
  assert.ok(one !== undefined && two !== undefined)
  await waitUntilInstanceRunning({ client, maxWaitTime: 180, minDelay: 1 }, { InstanceIds: [one, two] })
  const { AllocationId, PublicIp = '' } = await client.send(new AllocateAddressCommand({}))
  await client.send(new AssociateAddressCommand({ AllocationId, InstanceId: one }))

  await context.test('it has the name of the user data and the admins of both', async () => {
    assert.equal(await answers('ec2-user', PublicIp), 'staging-hive0')
    // cloud-init makes the host's keys anew while sshd answers already: a log-in between the two is closed.
    const done = await eventually('the end of cloud-init', patience, async () => (await ssh('ec2-user', PublicIp, 'cloud-init', 'status', '--wait')).stdout)
    assert.match(done, /status: done/)
    assert.equal((await ssh('admin', PublicIp, 'sudo', 'whoami')).stdout.trim(), 'root')
    await assert.rejects(ssh('root', PublicIp, 'true'))
  })

  await context.test('instances of different subnets reach one another', async () => {
    await eventually('the other instance', patience, async () => {
      const { stdout } = await ssh('admin', PublicIp, 'timeout', '5', 'bash', '-c', "'exec 3<>/dev/tcp/192.168.0.68/22; head -1 <&3'")
      return stdout.startsWith('SSH-2.0')
    })
    const reach = await insideVpc(vpc(), ['bash', '-c', 'exec 3<>/dev/tcp/192.168.0.4/22; head -1 <&3'])
    assert.match(reach.stdout, /^SSH-2\.0/)
  })

  await context.test('its console is what GetConsoleOutput gives', async () => {
    await eventually('the last line of cloud-init', patience, async () => {
      const { Output = '' } = await client.send(new GetConsoleOutputCommand({ InstanceId: one }))
      return /Cloud-init v\. .* finished/.test(Buffer.from(Output, 'base64').toString('utf8'))
    })
  })

  await context.test('stopped it does not answer; started it is the same host', async () => {
    await ssh('admin', PublicIp, 'touch', 'here')
    await client.send(new StopInstancesCommand({ InstanceIds: [one] }))
    await waitUntilInstanceStopped({ client, maxWaitTime: 180, minDelay: 1 }, { InstanceIds: [one] })
    await vpc().idle()
    await assert.rejects(ssh('admin', PublicIp, 'true'))
    await client.send(new StartInstancesCommand({ InstanceIds: [one] }))
    assert.equal(await answers('admin', PublicIp), 'staging-hive0')
    assert.equal((await ssh('admin', PublicIp, 'ls')).stdout.trim(), 'here')
  })

  await context.test('terminated nothing of it is there', async () => {
    await client.send(new TerminateInstancesCommand({ InstanceIds: [one, two] }))
    await vpc().idle()
    const { namespace } = vpc()
    assert.deepEqual(
      leftovers(namespace).filter((left) => left.includes(one) || left.includes(two)),
      [],
    )
    await vpc().stop()
    hosts = undefined
    assert.deepEqual(leftovers(namespace), [])
  })
})

test('hosts go when the test that made them is killed', async () => {
  const program = `import { CreateSubnetCommand, CreateVpcCommand, RunInstancesCommand } from '@aws-sdk/client-ec2'
    import { startEc2 } from '../ec2/ec2.ts'
    import { standForInstances } from './harness/ec2-hosts.ts'
    const ec2 = await startEc2()
    const client = ec2.client()
    const hosts = await standForInstances(ec2.front, { name: 'killed', cidr: '192.168.0.0/24' })
    const { Vpc } = await client.send(new CreateVpcCommand({ CidrBlock: '192.168.0.0/24' }))
    const { Subnet } = await client.send(new CreateSubnetCommand({ VpcId: Vpc.VpcId, CidrBlock: '192.168.0.0/26' }))
    await client.send(new RunInstancesCommand({ ImageId: 'ami-00d73f83fa9a60285', InstanceType: 't3.medium', MinCount: 1, MaxCount: 1, SubnetId: Subnet.SubnetId }))
    await hosts.idle()
    console.log(hosts.namespace)
    setInterval(() => undefined, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'], cwd: import.meta.dirname })
  const [said] = (await once(child.stdout, 'data')) as [Buffer]
  const namespace = said.toString('utf8').trim()
  assert.notDeepEqual(leftovers(namespace), [])
  child.kill('SIGKILL')
  await eventually('nothing left', patience, async () => leftovers(namespace).length === 0)
})
