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

export const isThrottled = (thrown: unknown): boolean =>
  /^(RequestLimitExceeded|Throttling\w*|TooManyRequests\w*|SlowDown|EC2ThrottledException|BandwidthLimitExceeded)$/.test(awsCode(thrown))

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
  RouteTableLimitExceeded: 'route tables',
  VolumeLimitExceeded: 'volumes',
  MaxStorageLimitExceeded: 'storage of volumes',
  ResourceLimitExceeded: 'this resource',
  FileSystemLimitExceeded: 'file systems',
}

function explain(code: string, message: string, call: string): Explanation {
  const blocked = (hint: string): Explanation => ({ code: 'blocked', hint })
  const input = (hint: string): Explanation => ({ code: 'invalid-input', hint })
  const denied = (hint: string): Explanation => ({ code: 'denied', hint })
  if (/^(UnauthorizedOperation|AccessDenied|AccessDeniedException)$/.test(code)) {
    const named = /not authorized to perform: ([\w-]+:\w+)/.exec(message)?.[1]
    return denied(`allow the action ${named ?? call} for these credentials; docs/aws.md has the whole policy`)
  }
  if (/^(ExpiredToken|ExpiredTokenException|RequestExpired|TokenRefreshRequired)$/.test(code))
    return denied('the credentials have expired: log in again, or renew them; where they are new, look at the clock of this machine')
  if (
    /^(AuthFailure|InvalidClientTokenId|SignatureDoesNotMatch|UnrecognizedClientException|IncompleteSignature|MissingAuthenticationToken|InvalidSignatureException)$/.test(
      code,
    )
  )
    return denied(
      'AWS does not know these credentials: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the profile, or hivecoord set aws_access_key_id; and that the region is switched on for the account',
    )
  if (/CredentialsProviderError|TokenProviderError/.test(code))
    return denied('give credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or hivecoord set aws_access_key_id and aws_secret_access_key')
  const quota = quotas[code]
  if (quota !== undefined) return blocked(`the account's quota of ${quota} in this region is used up: ask AWS for more (Service Quotas), or need fewer`)
  if (/^(InsufficientInstanceCapacity|InsufficientHostCapacity|InsufficientCapacity)$/.test(code))
    return blocked('the zone has none of this type free: try again later, or change instance_type, or available_zone of the subnet')
  if (/^(Unsupported|UnsupportedOperation|InvalidInstanceType)$/.test(code) || (code === 'InvalidParameterValue' && /instance type/i.test(message)))
    return input('change instance_type (repository_instance_type), or available_zone of the subnet to a zone that has the type')
  if (/^InvalidAMIID\.|^InvalidAMIName/.test(code) || /image id/i.test(message))
    return input('change image_name to an AMI of this region, or leave it out for the newest EL image')
  if (code === 'OptInRequired' || code === 'PendingVerification')
    return blocked('accept the terms of the image, or finish what the account still needs, in the AWS console; or change image_name')
  if (/availab\w* ?zone/i.test(message) && /^Invalid/.test(code)) return input('change available_zone of the subnet to a zone of this region')
  if (/^InvalidKey\.Format|^InvalidKeyPair/.test(code)) return input('the ssh key of the stage is not one that EC2 takes: RSA, or ED25519')
  if (/kms/i.test(code) || /kms/i.test(message)) return input('check kms_key_id, and that these credentials may use the key')
  if (/^InvalidVpc\w*\.Range|^InvalidVpcRange/.test(code)) return input('change cidr of the stage: a VPC is between /28 and /16')
  if (/^InvalidSubnet\.(Range|Conflict)|^InvalidSubnetRange/.test(code))
    return input('change the cidr of the subnet: inside the cidr of the stage, and not over another subnet')
  if (/^InvalidAllocationID|^InvalidAddress/.test(code)) return input('check hive_published_ip: an elastic address of this account and region')
  if (/^InvalidIPAddress/.test(code) || code === 'PrivateIpAddressInUse')
    return blocked('something else in the subnet has this address: remove it, or choose another network')
  if (code === 'OperationNotPermitted')
    return blocked('it is protected against that: turn off termination or stop protection of the instance in the AWS console')
  if (code === 'DependencyViolation') return blocked('something that is not of this stage still uses it: remove that first')
  if (code === 'IncorrectInstanceState' || code === 'IncorrectState') return blocked('it is on its way to another state: run the command again')
  if (/^VolumeModification|^IncorrectModificationState/.test(code)) return blocked('a volume can be changed once in six hours: run the command again later')
  return { code: 'command-failed', hint: '' }
}

/** `call`: the IAM action, as ec2:RunInstances. A HiveError stays as it is. */
export function fromAws(thrown: unknown, call: string, about: About, region: string): HiveError {
  if (thrown instanceof HiveError) return thrown
  const { name, message, code: systemCode } = failureOf(thrown)
  const details = (hint: string) => ({ hint: hint === '' ? undefined : hint, host: about.host, cause: thrown })
  const said = (text: string): string => `${about.what}: ${call}: ${text}`
  if (name === 'AbortError') return new HiveError('cancelled', said('stopped'), details(''))
  if (isThrottled(thrown)) return new HiveError('timeout', said(`AWS takes no more requests now (${name})`), details('run the command again later'))
  if (!hasAnswer(thrown) && !noCredentials(thrown)) {
    const hint =
      systemCode === 'ENOTFOUND'
        ? `is ${region} a region of AWS (region of the stage), and does this machine have name service?`
        : 'does this machine reach AWS?'
    return new HiveError('unreachable', said(`no answer (${systemCode ?? name}: ${message})`), details(hint))
  }
  const { code, hint } = explain(name, message, call)
  return new HiveError(code, said(`${name}: ${message}`), details(hint))
}
