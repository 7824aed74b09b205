import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fromAws, fromStateReason, isAmbiguous, isNotFound, isThrottled } from '../../../coordinator/providers/aws/errors.ts'
import { type ErrorCode, HiveError } from '../../../proto/errors.ts'

/** As the SDK throws what EC2 answers; without a status nothing was answered. */
const thrown = (name: string, message: string, httpStatusCode?: number, code?: string): Error =>
  Object.assign(new Error(message), { name, $metadata: httpStatusCode === undefined ? {} : { httpStatusCode }, ...(code === undefined ? {} : { code }) })

interface Row {
  readonly name: string
  readonly call: string
  /** EC2's code and words. */
  readonly says: readonly [string, string]
  readonly status?: number
  readonly code: ErrorCode
  /** What to change. */
  readonly change: RegExp
}

const quota = (code: string, what: string, call = 'ec2:RunInstances'): Row => ({
  name: `the quota ${code}`,
  call,
  says: [code, 'The maximum number has been reached.'],
  code: 'blocked',
  change: new RegExp(`quota of ${what} in this region is used up: ask AWS for more \\(Service Quotas\\)`),
})

const rows: readonly Row[] = [
  {
    name: 'a missing permission',
    call: 'ec2:CreateVpc',
    says: ['UnauthorizedOperation', 'You are not authorized to perform this operation. Encoded authorization failure message: WZ8'],
    status: 403,
    code: 'denied',
    change: /allow the action ec2:CreateVpc .*docs\/aws\.md/,
  },
  {
    name: 'a permission that another call needs',
    call: 'ec2:RunInstances',
    says: ['UnauthorizedOperation', 'User: arn:aws:iam::1:user/x is not authorized to perform: kms:CreateGrant on resource: arn:aws:kms:x:1:key/y'],
    status: 403,
    code: 'denied',
    change: /allow the action kms:CreateGrant /,
  },
  {
    name: 'a missing permission for EFS',
    call: 'elasticfilesystem:CreateMountTarget',
    says: ['AccessDeniedException', 'User: arn:aws:iam::1:user/x is not authorized to perform: ec2:CreateNetworkInterface on the specified resource'],
    status: 403,
    code: 'denied',
    change: /allow the action ec2:CreateNetworkInterface /,
  },
  quota('VcpuLimitExceeded', 'vCPUs of running instances'),
  quota('InstanceLimitExceeded', 'running instances'),
  quota('VpcLimitExceeded', 'VPCs', 'ec2:CreateVpc'),
  quota('AddressLimitExceeded', 'elastic addresses', 'ec2:AllocateAddress'),
  quota('InternetGatewayLimitExceeded', 'internet gateways', 'ec2:CreateInternetGateway'),
  quota('SubnetLimitExceeded', 'subnets', 'ec2:CreateSubnet'),
  quota('SecurityGroupLimitExceeded', 'security groups', 'ec2:CreateSecurityGroup'),
  quota('RulesPerSecurityGroupLimitExceeded', 'rules of a security group', 'ec2:AuthorizeSecurityGroupIngress'),
  quota('SecurityGroupsPerInstanceLimitExceeded', 'security groups of an instance', 'ec2:ModifyInstanceAttribute'),
  quota('RouteTableLimitExceeded', 'route tables', 'ec2:CreateRouteTable'),
  quota('RouteLimitExceeded', 'routes of a route table', 'ec2:CreateRoute'),
  quota('NetworkInterfaceLimitExceeded', 'network interfaces'),
  quota('VolumeLimitExceeded', 'volumes', 'ec2:CreateVolume'),
  quota('MaxStorageLimitExceeded', 'storage of volumes', 'ec2:ModifyVolume'),
  quota('MaxIOPSLimitExceeded', 'IOPS of volumes', 'ec2:CreateVolume'),
  quota('TagLimitExceeded', 'tags of a resource', 'ec2:CreateTags'),
  quota('FileSystemLimitExceeded', 'file systems', 'elasticfilesystem:CreateFileSystem'),
  quota('SomethingNewLimitExceeded', 'this resource'),
  {
    name: 'no capacity',
    call: 'ec2:RunInstances',
    says: ['InsufficientInstanceCapacity', 'We currently do not have sufficient t3.medium capacity in the Availability Zone you requested (ap-northeast-1a).'],
    status: 500,
    code: 'blocked',
    change: /instance_type, or available_zone/,
  },
  {
    name: 'no elastic address free',
    call: 'ec2:AllocateAddress',
    says: ['InsufficientAddressCapacity', 'Insufficient capacity.'],
    status: 500,
    code: 'blocked',
    change: /try again later/,
  },
  {
    name: 'a full subnet',
    call: 'ec2:RunInstances',
    says: ['InsufficientFreeAddressesInSubnet', 'There are not enough free addresses in subnet subnet-1.'],
    code: 'blocked',
    change: /cidr of the subnet/,
  },
  {
    name: 'an unknown AMI',
    call: 'ec2:DescribeImages',
    says: ['InvalidAMIID.NotFound', "The image id '[ami-0123]' does not exist"],
    code: 'invalid-input',
    change: /image_name to an AMI of this region/,
  },
  {
    name: 'a malformed AMI',
    call: 'ec2:DescribeImages',
    says: ['InvalidAMIID.Malformed', 'Invalid id: "ami-x"'],
    code: 'invalid-input',
    change: /image_name/,
  },
  {
    name: 'an image whose terms were not accepted',
    call: 'ec2:RunInstances',
    says: ['OptInRequired', 'In order to use this AWS Marketplace product you need to accept terms and subscribe.'],
    status: 401,
    code: 'blocked',
    change: /accept the terms of the image.*image_name/,
  },
  {
    name: 'an account that is being verified',
    call: 'ec2:RunInstances',
    says: ['PendingVerification', 'Your request for accessing resources in this region is being validated'],
    code: 'blocked',
    change: /what the account still needs/,
  },
  {
    name: 'a zone that does not exist',
    call: 'ec2:CreateSubnet',
    says: [
      'InvalidParameterValue',
      'Value (ap-northeast-1z) for parameter availabilityZone is invalid. Subnets can currently only be created in the following availability zones: ap-northeast-1a, ap-northeast-1c.',
    ],
    code: 'invalid-input',
    change: /available_zone of the subnet to a zone of this region/,
  },
  {
    name: 'an instance type that the zone does not have',
    call: 'ec2:RunInstances',
    says: [
      'Unsupported',
      'Your requested instance type (m7i.large) is not supported in your requested Availability Zone (us-east-1e). Please retry your request by not specifying an Availability Zone or choosing us-east-1a.',
    ],
    code: 'invalid-input',
    change: /instance_type \(repository_instance_type\), or available_zone/,
  },
  {
    name: 'an instance type that does not exist',
    call: 'ec2:RunInstances',
    says: ['InvalidParameterValue', "Invalid value 't9.huge' for InstanceType."],
    code: 'invalid-input',
    change: /change instance_type/,
  },
  {
    name: 'expired credentials',
    call: 'ec2:DescribeVpcs',
    says: ['ExpiredToken', 'The provided token has expired.'],
    code: 'denied',
    change: /have expired: log in again/,
  },
  {
    name: 'expired credentials, in the words of EC2',
    call: 'ec2:DescribeVpcs',
    says: ['RequestExpired', 'Request has expired.'],
    code: 'denied',
    change: /have expired.*clock/,
  },
  {
    name: 'unknown credentials',
    call: 'ec2:DescribeVpcs',
    says: ['AuthFailure', 'AWS was not able to validate the provided access credentials'],
    status: 401,
    code: 'denied',
    change: /AWS_ACCESS_KEY_ID.*hivecoord set aws_access_key_id; and that the region is switched on/,
  },
  {
    name: 'a secret key that is not of this access key',
    call: 'elasticfilesystem:DescribeFileSystems',
    says: ['InvalidSignatureException', 'The request signature we calculated does not match the signature you provided.'],
    status: 403,
    code: 'denied',
    change: /AWS_SECRET_ACCESS_KEY/,
  },
  {
    name: 'a clock that is fast',
    call: 'ec2:DescribeVpcs',
    says: ['SignatureDoesNotMatch', 'Signature not yet current: 20300101T000000Z is still later than 20260101T000000Z (20260101T000000Z + 5 min.)'],
    status: 403,
    code: 'denied',
    change: /set the clock/,
  },
  {
    name: 'a clock that is slow',
    call: 'elasticfilesystem:DescribeFileSystems',
    says: ['InvalidSignatureException', 'Signature expired: 20200101T000000Z is now earlier than 20260101T000000Z (20260101T000500Z - 5 min.)'],
    status: 403,
    code: 'denied',
    change: /set the clock/,
  },
  {
    name: 'a key of KMS that is not there',
    call: 'ec2:CreateVolume',
    says: ['InvalidParameterValue', 'The specified KMS key arn:aws:kms:x:1:key/y is not valid'],
    code: 'invalid-input',
    change: /kms_key_id/,
  },
  {
    name: 'a key of KMS that EFS may not use',
    call: 'elasticfilesystem:CreateFileSystem',
    says: ['BadRequest', 'KMS key is disabled'],
    code: 'invalid-input',
    change: /kms_key_id/,
  },
  {
    name: 'a network that is too large',
    call: 'ec2:CreateVpc',
    says: ['InvalidVpc.Range', "The CIDR '10.0.0.0/8' is invalid."],
    code: 'invalid-input',
    change: /cidr of the stage: a VPC is between \/28 and \/16/,
  },
  {
    name: 'a subnet outside of the network',
    call: 'ec2:CreateSubnet',
    says: ['InvalidSubnet.Range', "The CIDR '10.9.0.0/24' is invalid."],
    code: 'invalid-input',
    change: /inside the cidr of the stage/,
  },
  {
    name: 'subnets one over another',
    call: 'ec2:CreateSubnet',
    says: ['InvalidSubnet.Conflict', "The CIDR '10.9.0.0/24' conflicts with another subnet"],
    code: 'invalid-input',
    change: /not over another subnet/,
  },
  {
    name: 'an address that the subnet keeps for itself',
    call: 'ec2:RunInstances',
    says: ['InvalidParameterValue', "Address 10.0.0.1 is in subnet's reserved address range"],
    code: 'invalid-input',
    change: /ip_address_list/,
  },
  {
    name: 'an address that is taken',
    call: 'ec2:RunInstances',
    says: ['InvalidIPAddress.InUse', 'Address 10.0.0.5 is in use.'],
    code: 'blocked',
    change: /something else in the subnet has this address/,
  },
  {
    name: 'a key pair that is there',
    call: 'ec2:ImportKeyPair',
    says: ['InvalidKeyPair.Duplicate', "The keypair 'x' already exists."],
    code: 'conflict',
    change: /hive_aws_key_name/,
  },
  {
    name: 'a key that EC2 does not take',
    call: 'ec2:ImportKeyPair',
    says: ['InvalidKey.Format', 'Key is not in valid OpenSSH public key format'],
    code: 'invalid-input',
    change: /RSA, or ED25519/,
  },
  {
    name: 'a group of another',
    call: 'ec2:CreateSecurityGroup',
    says: ['InvalidGroup.Duplicate', "The security group 'x' already exists"],
    code: 'conflict',
    change: /remove or rename it/,
  },
  {
    name: 'a disk that is too small',
    call: 'ec2:RunInstances',
    says: ['InvalidBlockDeviceMapping', "Volume of size 5GB is smaller than snapshot 'snap-1', expect size >= 10GB"],
    code: 'invalid-input',
    change: /disk_size \(repository_disk_size\)/,
  },
  {
    name: 'an elastic address of nobody',
    call: 'ec2:AssociateAddress',
    says: ['InvalidAllocationID.NotFound', "The allocation ID 'eipalloc-1' does not exist"],
    code: 'invalid-input',
    change: /hive_published_ip/,
  },
  {
    name: 'what still hangs on a thing',
    call: 'ec2:DeleteVpc',
    says: ['DependencyViolation', "The vpc 'vpc-1' has dependencies and cannot be deleted."],
    code: 'blocked',
    change: /still uses it: remove that first/,
  },
  {
    name: 'termination protection',
    call: 'ec2:TerminateInstances',
    says: ['OperationNotPermitted', "The instance 'i-1' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again."],
    code: 'blocked',
    change: /turn off termination or stop protection/,
  },
  {
    name: 'a disk that was changed a moment ago',
    call: 'ec2:ModifyVolume',
    says: [
      'VolumeModificationRateExceeded',
      "You've reached the maximum modification rate per volume limit. Wait at least 6 hours between modifications per EBS volume.",
    ],
    code: 'blocked',
    change: /once in six hours/,
  },
  {
    name: 'a disk in another zone',
    call: 'ec2:AttachVolume',
    says: ['InvalidVolume.ZoneMismatch', "The volume 'vol-1' is not in the same availability zone as instance 'i-1'"],
    code: 'blocked',
    change: /available_zone in which its disk is/,
  },
  {
    name: 'throttling that does not end',
    call: 'ec2:RunInstances',
    says: ['RequestLimitExceeded', 'Request limit exceeded.'],
    status: 503,
    code: 'timeout',
    change: /run the command again later/,
  },
]

describe('what AWS answered', () => {
  for (const { name, call, says, status = 400, code, change } of rows)
    it(`names the call, the resource, the words and the change: ${name}`, () => {
      const error = fromAws(thrown(says[0], says[1], status), call, { what: 'thing of s-hive0.pdns', host: 's-hive0.pdns' }, 'ap-northeast-1')
      assert.ok(error.message.startsWith(`thing of s-hive0.pdns: ${call}: `), error.message)
      assert.ok(error.message.includes(says[0]), error.message)
      if (code !== 'timeout') assert.ok(error.message.endsWith(says[1]), error.message)
      assert.equal(error.code, code)
      assert.match(error.hint ?? '', change)
      assert.equal(error.host, 's-hive0.pdns')
    })

  it('keeps the words where the code is a new one', () => {
    const { code, message } = fromAws(thrown('BrandNew', 'no', 400), 'ec2:RunInstances', { what: 'x' }, 'r')
    assert.deepEqual([code, message], ['command-failed', 'x: ec2:RunInstances: BrandNew: no'])
  })

  it('leaves an error that is explained already as it is', () => {
    const known = new HiveError('blocked', 'x')
    assert.equal(fromAws(known, 'ec2:RunInstances', { what: 'x' }, 'r'), known)
  })
})

describe('no answer of AWS', () => {
  const explained = (error: Error) => fromAws(error, 'ec2:DescribeVpcs', { what: 'network' }, 'ap-nowhere-1')

  it('is another thing than a refusal: nobody listens, or the name is not known', () => {
    const refused = explained(thrown('Error', 'connect ECONNREFUSED 127.0.0.1:1', undefined, 'ECONNREFUSED'))
    assert.deepEqual([refused.code, refused.hint], ['unreachable', 'does this machine reach AWS?'])
    assert.match(refused.message, /ec2:DescribeVpcs: no answer \(ECONNREFUSED/)
    for (const code of ['ENOTFOUND', 'EAI_AGAIN'])
      assert.match(explained(thrown('Error', 'getaddrinfo', undefined, code)).hint ?? '', /is ap-nowhere-1 a region of AWS \(region of the stage\)/)
  })

  it('says which credentials can be given where there are none, and to log in where they have ended', () => {
    const none = explained(thrown('CredentialsProviderError', 'Could not load credentials from any providers'))
    assert.equal(none.code, 'denied')
    assert.match(none.hint ?? '', /AWS_ACCESS_KEY_ID.*AWS_PROFILE.*hivecoord set aws_access_key_id and aws_secret_access_key/)
    const ended = explained(thrown('CredentialsProviderError', "Token is expired. To refresh this SSO session run 'aws sso login'"))
    assert.match(ended.hint ?? '', /log in again/)
  })

  it('a region that is no name is told before anything is asked', () => {
    const wrong = explained(thrown('Error', 'Region not accepted: region="ap northeast" is not a valid hostname component.'))
    assert.deepEqual([wrong.code, /region of the stage/.test(wrong.hint ?? '')], ['invalid-input', true])
  })
})

describe('whether to ask again', () => {
  it('an answer that was lost, and trouble of AWS, leave it open what happened; a refusal does not', () => {
    assert.ok(isAmbiguous(thrown('Error', 'socket hang up', undefined, 'ECONNRESET')))
    assert.ok(isAmbiguous(thrown('InternalError', 'x', 500)))
    for (const [name, status] of [
      ['VpcLimitExceeded', 400],
      ['RequestLimitExceeded', 503],
      ['CredentialsProviderError', undefined],
      ['AbortError', undefined],
    ] as const)
      assert.equal(isAmbiguous(thrown(name, 'x', status)), false, name)
  })

  it('what is not known is told apart from what is too much', () => {
    for (const name of ['InvalidVpcID.NotFound', 'InvalidInstanceID.NotFound', 'FileSystemNotFound', 'MountTargetNotFound'])
      assert.ok(isNotFound(thrown(name, 'x', 400)), name)
    for (const name of ['RequestLimitExceeded', 'ThrottlingException', 'TooManyRequestsException']) assert.ok(isThrottled(thrown(name, 'x', 503)), name)
    assert.ok(!isThrottled(thrown('VcpuLimitExceeded', 'x', 400)))
  })
})

describe('an instance that ended by itself', () => {
  const ended: readonly (readonly [string, RegExp])[] = [
    ['Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state', /kms_key_id/],
    ['Client.InternalError: Client error on launch', /kms_key_id/],
    ['Server.InsufficientInstanceCapacity: There was insufficient capacity available to satisfy the launch request.', /instance_type/],
    ['Client.VolumeLimitExceeded: The limit on the number of EBS volumes or total storage was exceeded', /quota of volumes/],
    ['Client.UserInitiatedShutdown: User initiated shutdown', /somebody terminated it/],
    ['Client.InstanceInitiatedShutdown: Instance initiated shutdown', /image_name/],
    ['', /run the command again/],
  ]
  for (const [reason, change] of ended)
    it(`says why, and what to change: ${reason || 'no reason'}`, () => {
      const error = fromStateReason('instance i-1 of s-hive0.pdns', 's-hive0.pdns', reason)
      assert.equal(error.code, 'not-converged')
      assert.equal(error.message, `instance i-1 of s-hive0.pdns ended: ${reason || 'AWS says no reason'}`)
      assert.match(error.hint ?? '', change)
    })
})
