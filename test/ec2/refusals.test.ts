/** What AWS refuses, in the words a person reads: the call, the thing, what AWS said, and what to change. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, suite, test } from 'node:test'
import { DescribeInstancesCommand, TerminateInstancesCommand } from '@aws-sdk/client-ec2'
import { setSetting } from '../../coordinator/inventory/settings.ts'
import { openAws } from '../../coordinator/providers/aws/api.ts'
import { observe } from '../../coordinator/providers/aws/observe.ts'
import type { AwsWant } from '../../coordinator/providers/aws/want.ts'
import { type ErrorCode, HiveError } from '../../proto/errors.ts'
import { accountOf, nothing } from './account.ts'
import { type Ec2, startEc2 } from './ec2.ts'
import { exampleWant, fastClock, type TestStage, testStage } from './stage.ts'

let ec2: Ec2
let want: AwsWant
let stage: TestStage
const { signal } = new AbortController()
const host = 's-hive1.pdns'

before(async () => {
  ec2 = await startEc2()
  want = await exampleWant()
})
after(() => ec2.stop())
beforeEach(async () => {
  await ec2.reset()
  stage = testStage(want, { endpoint: ec2.endpoint })
})
afterEach(() => stage.close())

interface Refusal {
  readonly code: ErrorCode
  readonly message: RegExp
  readonly hint: RegExp
}

async function refused(work: Promise<unknown>, { code, message, hint }: Refusal): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof HiveError)
    assert.match(error.message, message)
    assert.match(error.hint ?? '', hint)
    assert.equal(error.code, code)
    return true
  })
}
const wanting = (change: Partial<AwsWant>): TestStage => testStage({ ...want, ...change }, { endpoint: ec2.endpoint, state: stage.state })
const onHost = (change: Partial<AwsWant['hosts'][number]>): TestStage =>
  wanting({ hosts: want.hosts.map((one) => (one.name === host ? { ...one, ...change } : one)) })

/** Whatever was made until then is found again, and goes. */
async function leavesNothing(): Promise<void> {
  await stage.destroy()
  assert.deepEqual(await accountOf(ec2.front.client(want.region)), nothing)
}

suite('a creation that AWS refuses', () => {
  const answers: readonly (Refusal & { readonly what: string; readonly call: string; readonly says: readonly [string, string, number?] })[] = [
    {
      what: 'VPCs are used up',
      call: 'CreateVpc',
      says: ['VpcLimitExceeded', 'The maximum number of VPCs has been reached.'],
      code: 'blocked',
      message: /network vpc-pdns: ec2:CreateVpc: VpcLimitExceeded: The maximum number of VPCs has been reached\./,
      hint: /quota of VPCs .*Service Quotas/,
    },
    {
      what: 'elastic addresses are used up',
      call: 'AllocateAddress',
      says: ['AddressLimitExceeded', 'The maximum number of addresses has been reached.'],
      code: 'blocked',
      message: /elastic address of s-hive\d\.pdns: ec2:AllocateAddress: AddressLimitExceeded/,
      hint: /quota of elastic addresses/,
    },
    {
      what: 'vCPUs are used up',
      call: 'RunInstances',
      says: ['VcpuLimitExceeded', 'You have requested more vCPU capacity than your current vCPU limit of 5 allows'],
      code: 'blocked',
      message: /instance s-hive\d\.pdns: ec2:RunInstances: VcpuLimitExceeded: You have requested more vCPU capacity/,
      hint: /quota of vCPUs of running instances/,
    },
    {
      what: 'the zone is full',
      call: 'RunInstances',
      says: ['InsufficientInstanceCapacity', 'We currently do not have sufficient t3.medium capacity in the Availability Zone you requested.'],
      code: 'blocked',
      message: /instance s-hive\d\.pdns: ec2:RunInstances: InsufficientInstanceCapacity/,
      hint: /change instance_type, or available_zone/,
    },
    {
      what: "the image's terms are not accepted",
      call: 'RunInstances',
      says: ['OptInRequired', 'In order to use this AWS Marketplace product you need to accept terms and subscribe.', 401],
      code: 'blocked',
      message: /ec2:RunInstances: OptInRequired/,
      hint: /accept the terms of the image.*image_name/,
    },
    {
      what: 'the zone does not have the type',
      call: 'RunInstances',
      says: ['Unsupported', 'Your requested instance type (t3.medium) is not supported in your requested Availability Zone (ap-northeast-1a).'],
      code: 'invalid-input',
      message: /ec2:RunInstances: Unsupported: Your requested instance type/,
      hint: /instance_type \(repository_instance_type\), or available_zone/,
    },
    {
      what: 'rules of a group are used up',
      call: 'AuthorizeSecurityGroupIngress',
      says: ['RulesPerSecurityGroupLimitExceeded', 'The maximum number of rules per security group has been reached.'],
      code: 'blocked',
      message: /rules of security group hive-pdns-staging: ec2:AuthorizeSecurityGroupIngress: RulesPerSecurityGroupLimitExceeded/,
      hint: /quota of rules of a security group/,
    },
    {
      what: 'a right is missing',
      call: 'CreateSubnet',
      says: ['UnauthorizedOperation', 'You are not authorized to perform this operation. Encoded authorization failure message: WZ8', 403],
      code: 'denied',
      message: /subnet subnet-[acd]: ec2:CreateSubnet: UnauthorizedOperation/,
      hint: /allow the action ec2:CreateSubnet .*docs\/aws\.md/,
    },
  ]
  for (const { what, call, says, ...refusal } of answers)
    test(`${what}: told, and what was made until then goes with destroy`, async () => {
      ec2.front.fail(call, says[0], says[1], says[2], 100)
      await refused(stage.apply(), refusal)
      await leavesNothing()
    })

  test('an image that is not in the region', async () => {
    await refused(onHost({ image: 'ami-00000000000000000' }).apply(), {
      code: 'invalid-input',
      message: new RegExp(`image of ${host}: ec2:DescribeImages: InvalidAMIID\\.NotFound: .*ami-00000000000000000`),
      hint: /change image_name to an AMI of this region/,
    })
    await leavesNothing()
  })

  test('a name that no image has', async () => {
    await refused(onHost({ image: 'No such image*' }).apply(), {
      code: 'invalid-input',
      message: new RegExp(`image of ${host}: there is no AMI No such image\\* for x86_64 in ${want.region}`),
      hint: /write image_name/,
    })
  })

  test('a zone that the region does not have', async () => {
    await refused(wanting({ subnets: want.subnets.map((subnet, index) => (index === 0 ? { ...subnet, zone: `${want.region}z` } : subnet)) }).apply(), {
      code: 'invalid-input',
      message: /subnet subnet-a: ec2:CreateSubnet: InvalidParameterValue: Value \(ap-northeast-1z\) for parameter availabilityZone is invalid/,
      hint: /change available_zone/,
    })
    await leavesNothing()
  })

  test('a type that does not exist', async () => {
    await refused(onHost({ instanceType: 't9.huge' }).apply(), {
      code: 'invalid-input',
      message: new RegExp(`instance ${host}: ec2:RunInstances: InvalidParameterValue: Invalid value 't9\\.huge' for InstanceType`),
      hint: /change instance_type/,
    })
    await leavesNothing()
  })

  test('a network that is too large', async () => {
    await refused(wanting({ cidr: '10.0.0.0/8' }).apply(), {
      code: 'invalid-input',
      message: /network vpc-pdns: ec2:CreateVpc: InvalidVpc\.Range: The CIDR '10\.0\.0\.0\/8' is invalid/,
      hint: /between \/28 and \/16/,
    })
  })

  test('a subnet outside of its network', async () => {
    await refused(wanting({ subnets: want.subnets.map((subnet, index) => (index === 0 ? { ...subnet, cidr: '10.9.0.0/26' } : subnet)) }).apply(), {
      code: 'invalid-input',
      message: /subnet subnet-a: ec2:CreateSubnet: InvalidSubnet\.Range/,
      hint: /inside the cidr of the stage/,
    })
    await leavesNothing()
  })

  test('an instance that ends before it runs: named, with the reason that AWS gives', async () => {
    ec2.front.hook(
      'RunInstances',
      async ({ params }) => {
        if (params['PrivateIpAddress'] !== want.hosts[1]?.address) return
        const Filters = [{ Name: 'private-ip-address', Values: [want.hosts[1]?.address ?? ''] }]
        const { Reservations = [] } = await ec2.front.client(want.region).send(new DescribeInstancesCommand({ Filters }))
        const id = Reservations[0]?.Instances?.[0]?.InstanceId ?? ''
        await ec2.front.client(want.region).send(new TerminateInstancesCommand({ InstanceIds: [id] }))
      },
      'after',
    )
    await refused(stage.apply(), {
      code: 'not-converged',
      message: new RegExp(`instance i-\\w+ of ${host} ended: Client\\.UserInitiatedShutdown`),
      hint: /somebody terminated it: run the command again/,
    })
  })

  test('several at once: all are told, each with its change', async () => {
    ec2.front.fail('AllocateAddress', 'AddressLimitExceeded', 'no more', 400, 100)
    ec2.front.fail('ImportKeyPair', 'UnauthorizedOperation', 'You are not authorized to perform this operation.', 403, 100)
    const error = await stage.apply().then(
      () => assert.fail('it was refused'),
      (caught: unknown) => caught,
    )
    assert.ok(error instanceof HiveError)
    for (const part of [/key pair hive-bulder-pdns-staging: ec2:ImportKeyPair: Unauth/, /elastic address of s-hive0\.pdns: ec2:AllocateAddress: AddressLimit/])
      assert.match(error.message, part)
    for (const part of [/allow the action ec2:ImportKeyPair/, /quota of elastic addresses/]) assert.match(error.hint ?? '', part)
  })
})

suite('a change or removal that AWS refuses', () => {
  test('an instance that is protected against termination', async () => {
    await stage.apply()
    const message = "The instance 'i-1' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again."
    ec2.front.fail('TerminateInstances', 'OperationNotPermitted', message, 400, 1)
    await refused(stage.destroy(), {
      code: 'blocked',
      message:
        /s-hive0\.pdns, s-hive1\.pdns, s-hive2\.pdns, s-hive3\.pdns: ec2:TerminateInstances: OperationNotPermitted: The instance 'i-1' may not be terminated/,
      hint: /turn off termination or stop protection/,
    })
    await leavesNothing()
  })

  test('a disk that was changed a moment ago', async () => {
    await stage.apply()
    ec2.front.fail('ModifyVolume', 'VolumeModificationRateExceeded', "You've reached the maximum modification rate per volume limit.", 400, 1)
    await refused(onHost({ root: { sizeGb: 40, encrypted: false, kmsKeyId: undefined } }).apply(), {
      code: 'blocked',
      message: new RegExp(`disk vol-\\w+ of ${host}: ec2:ModifyVolume: VolumeModificationRateExceeded`),
      hint: /once in six hours/,
    })
  })

  test('a network that something else still uses', async () => {
    await stage.apply()
    ec2.front.fail('DeleteVpc', 'DependencyViolation', "The vpc 'vpc-1' has dependencies and cannot be deleted.", 400, 1000)
    await refused(stage.destroy(), { code: 'blocked', message: /network vpc-\w+: ec2:DeleteVpc: DependencyViolation/, hint: /remove that first/ })
  })

  test('a key of KMS that may not be used', async () => {
    await stage.apply()
    ec2.front.fail(
      'RunInstances',
      'UnauthorizedOperation',
      'User: arn:aws:iam::1:user/x is not authorized to perform: kms:CreateGrant on resource: arn:aws:kms:x',
      403,
      1,
    )
    const { found } = await stage.plan()
    await ec2.client(want.region).send(new TerminateInstancesCommand({ InstanceIds: [found.instances.find(({ name }) => name === host)?.id ?? ''] }))
    await refused(stage.apply(), { code: 'denied', message: new RegExp(`instance ${host}: ec2:RunInstances`), hint: /allow the action kms:CreateGrant/ })
  })
})

suite('credentials, and the way to AWS', () => {
  const login: readonly (Refusal & { readonly what: string; readonly says: readonly [string, string, number] })[] = [
    {
      what: 'expired',
      says: ['ExpiredToken', 'The provided token has expired.', 400],
      code: 'denied',
      message: /ec2:Describe\w+: ExpiredToken: The provided token has expired/,
      hint: /log in again/,
    },
    {
      what: 'unknown',
      says: ['AuthFailure', 'AWS was not able to validate the provided access credentials', 401],
      code: 'denied',
      message: /ec2:Describe\w+: AuthFailure/,
      hint: /AWS_ACCESS_KEY_ID.*hivecoord set aws_access_key_id.*region is switched on/,
    },
    {
      what: 'signed by a clock that is fast',
      says: ['SignatureDoesNotMatch', 'Signature not yet current: 20300101T000000Z is still later than 20260101T000000Z', 403],
      code: 'denied',
      message: /ec2:Describe\w+: SignatureDoesNotMatch: Signature not yet current/,
      hint: /set the clock/,
    },
  ]
  for (const { what, says, ...refusal } of login)
    test(`credentials that are ${what}`, async () => {
      ec2.front.fail('*', says[0], says[1], says[2], 1000)
      await refused(stage.plan(), refusal)
    })

  /** A client as the program opens it, with nothing but this in its environment, and an empty home. */
  async function withEnvironment(env: Readonly<Record<string, string>>, settings: Readonly<Record<string, string>>): Promise<void> {
    const before = { ...process.env }
    const home = mkdtempSync(join(tmpdir(), 'hive-ec2-'))
    mkdirSync(join(home, '.hive'))
    for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name]
    const files = { AWS_SHARED_CREDENTIALS_FILE: join(home, 'credentials'), AWS_CONFIG_FILE: join(home, 'config') }
    Object.assign(process.env, { HOME: home, AWS_EC2_METADATA_DISABLED: 'true', ...files, ...env })
    try {
      for (const [name, value] of Object.entries(settings)) await setSetting(home, name, value, 'staging')
      const api = await openAws({ root: home, stage: 'staging' }, want.region, fastClock)
      await observe(api, want, signal).finally(() => api.close())
    } finally {
      process.env = before
      rmSync(home, { recursive: true, force: true })
    }
  }

  test('none at all', async () => {
    await refused(withEnvironment({ AWS_ENDPOINT_URL: ec2.endpoint }, {}), {
      code: 'denied',
      message: /of stage staging: ec2:Describe\w+: CredentialsProviderError: /,
      hint: /give credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or hivecoord set aws_access_key_id/,
    })
  })

  test('those that hivecoord set keeps are used; one of the two alone is told', async () => {
    await withEnvironment({ AWS_ENDPOINT_URL: ec2.endpoint }, { aws_access_key_id: 'kept', aws_secret_access_key: 'secret' })
    assert.ok(ec2.front.calls().length > 0)
    await refused(withEnvironment({ AWS_ENDPOINT_URL: ec2.endpoint }, { aws_access_key_id: 'kept' }), {
      code: 'invalid-input',
      message: /only one of aws_access_key_id and aws_secret_access_key is set for stage staging/,
      hint: /set both/,
    })
  })

  test('an address where nobody listens', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    await new Promise((resolve) => server.close(resolve))
    const env = { AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`, AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' }
    await refused(withEnvironment(env, {}), { code: 'unreachable', message: /ec2:Describe\w+: no answer \(ECONNREFUSED/, hint: /does this machine reach AWS/ })
  })
})
