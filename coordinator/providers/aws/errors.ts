/** What AWS answered, as a typed error: the call, the thing it was about, what AWS said, and what to change. Pure. */
import { type ErrorCode, HiveError } from '../../../proto/errors.ts'

/** What a call is about. */
export interface About {
  /** For people: "instance s-hive0.pdns". */
  readonly what: string
  readonly host?: string
}

interface AwsFailure {
  readonly name: string
  readonly message: string
  readonly code?: string
  readonly $fault?: string
  readonly $metadata?: { readonly httpStatusCode?: number }
}

const failureOf = (thrown: unknown): AwsFailure => (thrown instanceof Error ? (thrown as unknown as AwsFailure) : { name: 'Error', message: String(thrown) })

/** EC2's own code (`InvalidVpcID.NotFound`), or the name of what kept the call from an answer. */
export const awsCode = (thrown: unknown): string => failureOf(thrown).name

export const isThrottled = (thrown: unknown): boolean => meansThrottled(awsCode(thrown))
const meansThrottled = (code: string): boolean =>
  /^(RequestLimitExceeded|Throttling\w*|TooManyRequests\w*|SlowDown|EC2ThrottledException|BandwidthLimitExceeded)$/.test(code)

const hasAnswer = (thrown: unknown): boolean => failureOf(thrown).$metadata?.httpStatusCode !== undefined

/** Nobody can tell whether AWS did it: the answer was lost, or AWS itself was in trouble. */
export function isAmbiguous(thrown: unknown): boolean {
  if (isThrottled(thrown) || noCredentials(thrown)) return false
  const { $metadata, name } = failureOf(thrown)
  if (name === 'AbortError') return false
  return $metadata?.httpStatusCode === undefined || $metadata.httpStatusCode >= 500
}

/** What was just made is not known everywhere yet. */
export const isNotFound = (thrown: unknown): boolean => meansNotFound(awsCode(thrown))
export const meansNotFound = (code: string): boolean => /\.NotFound$|NotFoundException$|^FileSystemNotFound$|^MountTargetNotFound$/.test(code)

const noCredentials = (thrown: unknown): boolean => /CredentialsProviderError|TokenProviderError/.test(awsCode(thrown))

interface Explanation {
  readonly code: ErrorCode
  readonly hint: string
}

const quotas: Readonly<Record<string, string>> = {
  VcpuLimitExceeded: 'vCPUs of running instances',
  InstanceLimitExceeded: 'running instances',
  VpcLimitExceeded: 'VPCs',
  AddressLimitExceeded: 'elastic addresses',
  InternetGatewayLimitExceeded: 'internet gateways',
  SubnetLimitExceeded: 'subnets',
  SecurityGroupLimitExceeded: 'security groups',
  RulesPerSecurityGroupLimitExceeded: 'rules of a security group',
  SecurityGroupsPerInstanceLimitExceeded: 'security groups of an instance',
  RouteTableLimitExceeded: 'route tables',
  RouteLimitExceeded: 'routes of a route table',
  NetworkInterfaceLimitExceeded: 'network interfaces',
  VolumeLimitExceeded: 'volumes',
  MaxStorageLimitExceeded: 'storage of volumes',
  MaxIOPSLimitExceeded: 'IOPS of volumes',
  TagLimitExceeded: 'tags of a resource',
  ResourceLimitExceeded: 'this resource',
  FileSystemLimitExceeded: 'file systems',
}

const clock = 'set the clock of this machine: AWS takes requests of the last and the next minutes only'

interface Rule {
  readonly is: RegExp
  /** Of AWS's words; not given: whatever they are. */
  readonly says?: RegExp
  readonly code: ErrorCode
  readonly hint: string
}

const rule = (code: ErrorCode, is: RegExp, hint: string, says?: RegExp): Rule => ({ code, is, hint, ...(says === undefined ? {} : { says }) })

/** The first that fits. Codes: "Error codes for the Amazon EC2 API" in EC2's API reference; words where one code has many causes. */
const rules: readonly Rule[] = [
  rule('denied', /^(RequestTimeTooSkewed|RequestInTheFuture)$/, clock),
  rule('denied', /^(SignatureDoesNotMatch|InvalidSignatureException|AuthFailure|RequestExpired)$/, clock, /not yet current|signature expired|clock/i),
  rule(
    'denied',
    /^(ExpiredToken|ExpiredTokenException|RequestExpired|TokenRefreshRequired)$/,
    'the credentials have expired: log in again, or renew them; where they are new, look at the clock of this machine',
  ),
  rule('denied', /CredentialsProviderError|TokenProviderError/, 'log in again (aws sso login), or renew the credentials', /expired|sso login/i),
  rule(
    'denied',
    /CredentialsProviderError|TokenProviderError/,
    'give credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or hivecoord set aws_access_key_id and aws_secret_access_key',
  ),
  rule(
    'denied',
    /^(AuthFailure|InvalidClientTokenId|SignatureDoesNotMatch|UnrecognizedClientException|IncompleteSignature|MissingAuthenticationToken|InvalidSignatureException)$/,
    'AWS does not know these credentials: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the profile, or hivecoord set aws_access_key_id; and that the region is switched on for the account',
  ),
  rule(
    'blocked',
    /^(InsufficientInstanceCapacity|InsufficientHostCapacity|InsufficientCapacity|InsufficientVolumeCapacity)$/,
    'the zone has none of this type free: try again later, or change instance_type, or available_zone of the subnet',
  ),
  rule('blocked', /^InsufficientAddressCapacity$/, 'AWS has no elastic address free in this region: try again later'),
  rule(
    'blocked',
    /^(InsufficientFreeAddressesInSubnet|NoFreeAddressesInSubnet)$/,
    'remove what else is in the subnet, or make it larger: cidr of the subnet, before it is made',
  ),
  rule(
    'blocked',
    /^(OptInRequired|PendingVerification|Blocked)$/,
    'accept the terms of the image, or finish what the account still needs, in the AWS console; or change image_name',
  ),
  rule(
    'invalid-input',
    /^(Unsupported|UnsupportedOperation|InvalidInstanceType)$|^InvalidParameter/,
    'change instance_type (repository_instance_type), or available_zone of the subnet to a zone that has the type',
    /instance ?type/i,
  ),
  rule('invalid-input', /^InvalidAMIID\.|^InvalidAMIName/, 'change image_name to an AMI of this region, or leave it out for the newest EL image'),
  rule('invalid-input', /./, 'change image_name to an AMI of this region, or leave it out for the newest EL image', /image id/i),
  rule('invalid-input', /kms/i, 'check kms_key_id, and that these credentials may use the key'),
  rule('invalid-input', /./, 'check kms_key_id, and that these credentials may use the key', /kms/i),
  rule('blocked', /^InvalidVolume\.ZoneMismatch$/, 'give the subnet of the host back the available_zone in which its disk is'),
  rule(
    'invalid-input',
    /^(Invalid|UnsupportedAvailabilityZone)/,
    'change available_zone of the subnet to a zone of this region that the account has',
    /availab\w* ?zone/i,
  ),
  rule(
    'invalid-input',
    /^(Unsupported|UnsupportedOperation|InvalidInstanceType)$/,
    'change instance_type (repository_instance_type), or available_zone of the subnet to a zone that has the type',
  ),
  rule('invalid-input', /^InvalidKey\.Format$/, 'the ssh key of the stage is not one that EC2 takes: RSA, or ED25519'),
  rule('conflict', /^InvalidKeyPair\.Duplicate$/, 'write another name in hive_aws_key_name, or remove that key pair'),
  rule('conflict', /^InvalidGroup\.Duplicate$/, 'a group of this name is there and not of this stage: remove or rename it, or write another hive_vpc_name'),
  rule('invalid-input', /^InvalidVpc\w*\.Range|^InvalidVpcRange/, 'change cidr of the stage: a VPC is between /28 and /16'),
  rule(
    'invalid-input',
    /^InvalidSubnet\.(Range|Conflict)|^InvalidSubnetRange/,
    'change the cidr of the subnet: inside the cidr of the stage, and not over another subnet',
  ),
  rule(
    'invalid-input',
    /^InvalidParameterValue$/,
    'change cidr of the subnet, or ip_address_list: a subnet keeps its first four addresses and its last one for itself',
    /address range/i,
  ),
  rule('invalid-input', /^InvalidParameterValue$/, 'change cidr of the stage or of the subnet', /cidr/i),
  rule(
    'invalid-input',
    /^InvalidBlockDeviceMapping$/,
    "change disk_size (repository_disk_size) to what the image needs, or hive_osdisk_device to the image's root device",
  ),
  rule('invalid-input', /^InvalidPermission\.Malformed$/, 'change hive_ec2_group_rules or hive_ssh_source_ips'),
  rule('invalid-input', /^InvalidAllocationID|^InvalidAddress/, 'check hive_published_ip: an elastic address of this account and region'),
  rule(
    'blocked',
    /^(InvalidIPAddress|PrivateIpAddressInUse$|IpAddressInUse$)/,
    'something else in the subnet has this address: remove it, or choose another network',
  ),
  rule('blocked', /^OperationNotPermitted$/, 'it is protected against that: turn off termination or stop protection of the instance in the AWS console'),
  rule('blocked', /^DependencyViolation$/, 'something that is not of this stage still uses it: remove that first'),
  rule('blocked', /^(IncorrectInstanceState|IncorrectState)$/, 'it is on its way to another state: run the command again'),
  rule('blocked', /^VolumeModification|^IncorrectModificationState/, 'a volume can be changed once in six hours: run the command again later'),
]

function explain(code: string, message: string, call: string): Explanation {
  if (/^(UnauthorizedOperation|AccessDenied|AccessDeniedException)$/.test(code)) {
    const named = /not authorized to perform: ([\w-]+:\w+)/.exec(message)?.[1]
    return { code: 'denied', hint: `allow the action ${named ?? call} for these credentials; docs/aws.md has the whole policy` }
  }
  if (/LimitExceeded$/.test(code) && !meansThrottled(code)) {
    const what = quotas[code] ?? 'this resource'
    return { code: 'blocked', hint: `the account's quota of ${what} in this region is used up: ask AWS for more (Service Quotas), or need fewer` }
  }
  const found = rules.find(({ is, says }) => is.test(code) && (says === undefined || says.test(message)))
  return found ?? { code: 'command-failed', hint: '' }
}

/**
 * Why an instance ended by itself, with what to change. `reason`: EC2's StateReason, as
 * `Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state`.
 */
export function fromStateReason(what: string, host: string, reason: string): HiveError {
  const [, code = '', message = reason] = /^(?:Client|Server)\.([\w.]+): ?(.*)$/s.exec(reason) ?? []
  const again = '; then run the command again'
  const hint =
    // What EC2 says where it may not use the key of a disk.
    code === 'InternalError'
      ? `check kms_key_id, that it is not disabled, and that these credentials may use it; without kms_key_id it is AWS's own trouble${again}`
      : code === 'UserInitiatedShutdown'
        ? 'somebody terminated it: run the command again'
        : code === 'InstanceInitiatedShutdown'
          ? 'it switched itself off: look at the image (image_name), or run the command again'
          : `${explain(code, message, '').hint || 'where a quota, capacity or the key of a disk is the reason, change that'}${again}`
  return new HiveError('not-converged', `${what} ended: ${reason || 'AWS says no reason'}`, { host, hint })
}

/** `call`: the IAM action, as ec2:RunInstances. A HiveError stays as it is. */
export function fromAws(thrown: unknown, call: string, about: About, region: string): HiveError {
  if (thrown instanceof HiveError) return thrown
  const { name, message, code: systemCode } = failureOf(thrown)
  const details = (hint: string) => ({ hint: hint === '' ? undefined : hint, host: about.host, cause: thrown })
  const said = (text: string): string => `${about.what}: ${call}: ${text}`
  if (name === 'AbortError') return new HiveError('cancelled', said('stopped'), details(''))
  if (isThrottled(thrown)) return new HiveError('timeout', said(`AWS takes no more requests now (${name})`), details('run the command again later'))
  if (/^Region not accepted/.test(message))
    return new HiveError('invalid-input', said(message), details('write region of the stage as AWS does: ap-northeast-1 (or another)'))
  if (!hasAnswer(thrown) && !noCredentials(thrown)) {
    const hint =
      systemCode === 'ENOTFOUND' || systemCode === 'EAI_AGAIN'
        ? `is ${region} a region of AWS (region of the stage), and does this machine have name service?`
        : 'does this machine reach AWS?'
    return new HiveError('unreachable', said(`no answer (${systemCode ?? name}: ${message})`), details(hint))
  }
  const { code, hint } = explain(name, message, call)
  return new HiveError(code, said(`${name}: ${message}`), details(hint))
}
