import { Converter, textOf } from './convert.ts'
import { isMapping } from './mapping.ts'
import { mirroredPools } from './mirrored-pools.ts'
import type { Findings } from './problems.ts'
import type { HostSettings } from './site.ts'
import { sourceNetworks } from './source-networks.ts'
import type { Variables } from './variables.ts'

/** Unsigned packages come over https, or are known by their checksum. */
function drbdDownloadUrl(read: Converter): string | undefined {
  const name = 'hive_drbd_download_url'
  const url = read.text(name)
  if (url === undefined || /^(?:https:\/\/|file:\/\/\/)\S+$/.test(url) || /^http:\/\/\S+#sha256=[0-9a-fA-F]{64}$/.test(url)) return url
  return url.startsWith('http://')
    ? read.wrong(name, 'packages that are not signed are not fetched over http', 'https://…, or http://…#sha256= and the checksum of the archive')
    : read.wrong(name, `"${url}" is no address of an archive`, 'https://…, or file:///… for an archive on the hosts')
}

export const defaultAgentPort = 17443

export const defaultAdmin = (provider: string): string => ({ vagrant: 'vagrant', aws: 'ec2-user', azure: 'hiveadmin' })[provider] ?? 'admin'

/** What setup-hosts needs to know of a server, with hive-builder's defaults. */
export const hostSettings = (host: string, provider: string, variables: Variables, findings: Findings): HostSettings => {
  const read = new Converter(variables, findings, host, host, { file: 'inventory', line: 1, column: 1 })
  const admin = read.text('hive_admin') ?? defaultAdmin(provider)
  const named = (name: string): readonly (readonly [string, Readonly<Record<string, unknown>>])[] =>
    Object.entries(read.mapping(name) ?? {}).map(([key, value]) => [key, isMapping(value) ? value : {}])
  const number = (value: unknown): number | undefined => (value === undefined || value === null || !Number.isInteger(Number(value)) ? undefined : Number(value))
  const text = (value: unknown): string | undefined => (value === undefined || value === null ? undefined : textOf(value))
  return {
    admin,
    adminGroup: read.text('hive_admin_group') ?? admin,
    adminUid: read.wholeNumber('hive_admin_uid'),
    adminGid: read.wholeNumber('hive_admin_gid'),
    rootPassword: read.text('hive_root_password'),
    sshdPort: read.wholeNumber('hive_sshd_port') ?? 22,
    timezone: read.text('hive_timezone'),
    locale: read.text('hive_locale'),
    ntpServers: read.texts('hive_ntp_servers') ?? [],
    selinux: read.oneOf('hive_selinux', ['permissive', 'disabled', 'enforcing'], 'permissive'),
    swarmMode: read.oneOf('hive_swarm_mode', ['manager', 'worker'], 'manager'),
    users: named('hive_users').map(([name, user]) => ({ name, uid: number(user['uid']), group: text(user['group']), publicKey: text(user['id_rsa_pub']) })),
    userGroups: named('hive_user_groups').map(([name, group]) => ({ name, gid: number(group['gid']) })),
    agentPort: read.wholeNumber('hive_agent_port') ?? defaultAgentPort,
    firewall: read.flag('hive_firewall', true),
    sshSources: sourceNetworks(read, 'hive_ssh_source_ips'),
    agentSources: sourceNetworks(read, 'hive_agent_source_ips'),
    registryMirror: read.text('hive_registry_mirror'),
    dockerSourceUrl: read.text('hive_docker_source_url'),
    epelSourceUrl: read.text('hive_epel_url'),
    elrepoSourceUrl: read.text('hive_elrepo_url'),
    kernelVersion: read.text('hive_kernel_version'),
    drbdDownloadUrl: drbdDownloadUrl(read),
    diskSizeGb: read.wholeNumber('hive_disk_size'),
    mirroredDiskSizeGb: read.wholeNumber('hive_mirrored_disk_size'),
    // Sites write the second name too, which hive-builder reads in one place.
    noMirroredDevice: read.flag('hive_no_mirrored_device', false) || read.flag('hive_no_mirrored_devices', false),
    mirroredPools: mirroredPools(read),
    partitionLabel: read.text('hive_partition_label'),
    memoryMb: read.wholeNumber('hive_memory_size'),
    cpus: read.number('hive_cpus'),
    nspawnBinds: bindsOf(read),
  }
}

function bindsOf(read: Converter): readonly string[] {
  const name = 'hive_nspawn_binds'
  const binds = read.texts(name) ?? []
  binds.forEach((bind, index) => {
    if (!/^\/[^:\s]*:\/[^:\s]+$/.test(bind))
      read.wrong(name, `'${bind}' is no bind`, 'write SOURCE:TARGET, both absolute, without blanks and further colons', read.within(name, index))
  })
  return binds
}
