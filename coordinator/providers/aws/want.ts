/** What an aws stage needs in its account, from the site alone. Pure. */

import { HiveError } from '../../../proto/errors.ts'
import { motherName } from '../../inventory/hosts.ts'
import type { Host, Site } from '../../inventory/site.ts'
import { type SecurityRule, wantedRules } from './security-rules.ts'
import type { Owner } from './tags.ts'

export interface SubnetWant {
  readonly name: string
  readonly cidr: string
  /** undefined: AWS chooses. */
  readonly zone: string | undefined
}

export interface DiskWant {
  /** GB; undefined: what the image has. */
  readonly sizeGb: number | undefined
  readonly encrypted: boolean
  readonly kmsKeyId: string | undefined
}

export interface HostWant {
  readonly name: string
  readonly host: Host
  readonly address: string
  readonly subnet: string
  readonly instanceType: string
  /** An AMI's id or the pattern of its name; undefined: the newest EL image. */
  readonly image: string | undefined
  /** Where `hive_osdisk_device` says otherwise than the image. */
  readonly rootDevice: string | undefined
  readonly root: DiskWant
  /** The disk for mirrored volumes. It outlives its instance. */
  readonly mirrored: DiskWant | undefined
  /** An elastic address that exists already, and stays when the stage is destroyed. */
  readonly publishedIp: string | undefined
}

export interface AwsWant {
  readonly owner: Owner
  readonly region: string
  readonly vpcName: string
  readonly cidr: string
  readonly gatewayName: string
  readonly routeTableName: string
  readonly subnets: readonly SubnetWant[]
  readonly groupName: string
  readonly groupTag: string
  readonly rules: (ipv6: boolean) => readonly SecurityRule[]
  readonly keyName: string
  readonly hosts: readonly HostWant[]
  /** The stage has volumes on EFS. */
  readonly hasNfs: boolean
  readonly kmsKeyId: string | undefined
}

/** The device name that a mirrored disk is attached under; inside, NVMe gives it another. */
export const mirroredDevice = '/dev/sdb'

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value.trim() !== '' ? value.trim() : typeof value === 'number' ? String(value) : undefined
const flag = (value: unknown): boolean => value === true || (typeof value === 'string' && /^(?:true|yes|on|1)$/i.test(value))

/** Throws HiveError 'invalid-input' that names all that is missing. */
export function awsWant(site: Site): AwsWant {
  const owner = { site: site.name, stage: site.stage }
  const mother = motherName(site.stage, site.name)
  const siteText = (variable: string): string | undefined => text(site.variable(mother, variable))
  const problems: string[] = []
  const region = text(site.attributes['region']) ?? ''
  if (region === '') problems.push(`stages.${site.stage}.region is missing: write region: ap-northeast-1 (or another)`)
  const hosts = site.hosts.map((host) => hostWant(site, host, problems))
  const vpcName = siteText('hive_vpc_name') ?? `vpc-${site.name}`
  const first = site.hosts[0]?.name ?? mother
  const sources = site.variable(first, 'hive_ssh_source_ips')
  const want: AwsWant = {
    owner,
    region,
    vpcName,
    cidr: site.cidr,
    gatewayName: `gateway for ${vpcName}`,
    routeTableName: 'Public for subnet',
    subnets: subnetsOf(site),
    groupName: `hive-${site.name}-${site.stage}`,
    groupTag: `group-${vpcName}`,
    rules: (ipv6) =>
      wantedRules({
        sshPorts: [...new Set([22, ...site.hosts.map(({ settings }) => settings.sshdPort)])].sort((a, b) => a - b),
        sshSources: (Array.isArray(sources) ? sources : sources === undefined ? [] : [sources])
          .map(String)
          .map((one) => (/\//.test(one) ? one : `${one}/${one.includes(':') ? 128 : 32}`)),
        services: site.services,
        given: site.variable(mother, 'hive_ec2_group_rules'),
        ipv6,
      }),
    // hive-builder's name, its spelling included; each stage has a key of its own, and production keeps the name alone.
    keyName: siteText('hive_aws_key_name') ?? `hive-bulder-${site.name}${site.stage === 'production' ? '' : `-${site.stage}`}`,
    hosts,
    hasNfs: site.volumes.some(({ kind, stages }) => kind === 'nfs' && stages.includes(site.stage)),
    kmsKeyId: text(site.attributes['kms_key_id']),
  }
  if (problems.length > 0) throw new HiveError('invalid-input', problems.join('\n'))
  want.rules(false)
  return want
}

function hostWant(site: Site, host: Host, problems: string[]): HostWant {
  const of = (variable: string): unknown => site.variable(host.name, variable)
  const instanceType = text(of('hive_instance_type')) ?? ''
  const attribute = host.isHive ? 'instance_type' : 'repository_instance_type'
  if (instanceType === '') problems.push(`${host.name} has no instance type: write stages.${site.stage}.${attribute}: t3.medium (or another)`)
  const kmsKeyId = text(of('hive_kms_key_id'))
  const disk = (sizeGb: number | undefined, encrypted: unknown): DiskWant => ({
    sizeGb,
    encrypted: flag(encrypted),
    kmsKeyId: flag(encrypted) ? kmsKeyId : undefined,
  })
  const { diskSizeGb, mirroredDiskSizeGb } = host.settings
  const hasMirrored = mirroredDiskSizeGb !== undefined && !host.settings.noMirroredDevice
  return {
    name: host.name,
    host,
    address: host.address,
    subnet: host.subnet,
    instanceType,
    image: text(of('hive_vm_image_name')),
    rootDevice: text(of('hive_osdisk_device')),
    root: disk(diskSizeGb, of('hive_disk_encrypted')),
    mirrored: hasMirrored ? disk(mirroredDiskSizeGb, of('hive_mirrored_disk_encrypted')) : undefined,
    publishedIp: text(of('hive_published_ip')),
  }
}

/** As the hosts' addresses were given out: the subnets of the stage in their order, else one that is the whole network. */
function subnetsOf(site: Site): readonly SubnetWant[] {
  const listed = site.attributes['subnets']
  const fromList = (Array.isArray(listed) ? listed : []).map((item: unknown, index) => {
    const subnet = (typeof item === 'object' && item !== null ? item : {}) as Readonly<Record<string, unknown>>
    // Hosts are dealt out in turn, so host `index` is in subnet `index` and knows its name.
    const name = text(subnet['name']) ?? site.hosts[index]?.subnet ?? `subnet${index}`
    return { name, cidr: text(subnet['cidr']) ?? '', zone: text(subnet['available_zone']) }
  })
  return fromList.length > 0 ? fromList : [{ name: site.hosts[0]?.subnet ?? `${site.name}-default`, cidr: site.cidr, zone: undefined }]
}
