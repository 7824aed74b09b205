/** What every server has whatever it is for: its name, the names of the others, packages, kernel settings, time and language. */
import type { Step } from '#gen/hive/v1/step.ts'
import { UnitState } from '#gen/hive/v1/steps_host.ts'
import { mirrorsHere } from '../../inventory/mirrored-volumes.ts'
import type { Host, Site } from '../../inventory/site.ts'
import { onWire } from '../../pki/wire.ts'
import type { SetupHostsFacts } from './facts.ts'
import { hostStep } from './host-step.ts'
import { logPackages } from './log-collection.ts'

export const hostname = (host: Host): Step => hostStep(host, 'hostname', `host name ${host.shortName}`, 'ensureHostname', { name: host.shortName })

/** The full name comes first: it is what an address is resolved to, and logs are filed by it. */
export const hostsFile = (site: Site, host: Host): Step =>
  hostStep(host, 'hosts-file', 'names of all servers in /etc/hosts', 'ensureBlock', {
    path: '/etc/hosts',
    marker: 'servers',
    content: lines(site.hosts.map((server) => `${server.address} ${server.name}${server.shortName === server.name ? '' : ` ${server.shortName}`}`)),
    atTop: true,
    commentOut: [],
    validate: [],
    system: '',
  })

/**
 * One installation for all that a server needs, so that a new host asks its package sources once. Docker's packages come
 * from Debian there, and from docker's own repository on EL, which has none.
 */
export const packages = (site: Site, host: Host): Step => {
  const common = ['ca-certificates', 'chrony', 'curl', 'iptables', 'lvm2', 'rsyslog', 'sudo', 'tzdata', ...logPackages(site, host)]
  const repository = host.isRepository && !site.registry.inContainer ? ['docker-registry'] : []
  // File systems of mirrored volumes are made and grown on the hosts.
  const fileSystems = host.isHive && mirrorsHere(site) ? ['e2fsprogs', 'xfsprogs'] : []
  // Part of util-linux and of what lvm2 brings on EL: sfdisk, and the check of a thin pool's metadata.
  const diskTools = fileSystems.length > 0 ? ['fdisk', 'thin-provisioning-tools'] : []
  const nfs = host.isHive && site.volumes.some(({ kind, stages }) => kind === 'nfs' && stages.includes(site.stage))
  return hostStep(
    host,
    'packages',
    'packages',
    'ensurePackages',
    {
      apt: [...common, ...fileSystems, ...diskTools, 'ansible', 'docker.io', 'hostname', 'python3', ...repository, ...(nfs ? ['nfs-common'] : [])].sort(),
      // Without python3-libselinux Ansible's modules write no file where SELinux is on.
      dnf: [
        ...common,
        ...fileSystems,
        'ansible',
        'containerd.io',
        'docker-ce',
        'docker-ce-cli',
        'hostname',
        'python3',
        'python3-libselinux',
        ...(nfs ? ['nfs-utils'] : []),
      ].sort(),
      absent: [],
      hold: [],
    },
    { after: ['package-sources', 'docker-config'], timeoutSeconds: 1800 },
  )
}

export const siteCertificates = (site: Site, host: Host, facts: SetupHostsFacts): Step =>
  hostStep(host, 'trust', "trust in the site's certificates", 'ensureTrustAnchor', { name: `hive-${site.name}`, pem: facts.caPem }, { after: ['packages'] })

/** What a host missed that was away when a certificate was revoked, or the CA exchanged. */
export const agentTrust = (host: Host, facts: SetupHostsFacts): Step =>
  hostStep(host, 'agent-trust', 'whom the agent trusts', 'ensureTrust', { caPem: facts.caPem, revoked: facts.revoked.map(onWire) })

/** Swarm's overlay networks and published ports forward between interfaces. */
export const kernelSettings = (host: Host): Step =>
  hostStep(host, 'kernel-settings', 'kernel settings for overlay networks', 'ensureSysctl', { file: '90-hive.conf', values: { 'net.ipv4.ip_forward': '1' } })

export const selinux = (host: Host): Step => hostStep(host, 'selinux', `SELinux ${host.settings.selinux}`, 'ensureSelinux', { mode: host.settings.selinux })

/** Hosts that never had the unit are fine. */
const noUnit = (host: Host, what: string, title: string, name: string): Step =>
  hostStep(host, what, title, 'ensureUnit', {
    name,
    aliases: [],
    enabled: false,
    state: UnitState.STOPPED,
    watchFiles: [],
    reload: false,
    optional: true,
  })

/** Its rules are not swarm's: it would drop what docker lets through. */
export const noFirewalld = (host: Host): Step => noUnit(host, 'firewalld', 'no firewalld beside docker', 'firewalld.service')

/** Of hive-builder: the agent does its work (agent/watchers/swarm-follower.ts). It gives back what it holds when it ends. */
export const noOldFollower = (host: Host): Step =>
  noUnit(host, 'old-follower', "no follower of swarm services beside the agent's", 'follow-swarm-service.service')

/** Updates are made when somebody looks. */
export const noAutomaticUpdates = (host: Host): Step => noUnit(host, 'automatic-updates', 'no updates by themselves', 'dnf-automatic.timer')

/** systemd in a container of its own needs cgroup2 without nsdelegate, which EL mounts it with. From the next boot on. */
export const cgroupMount = (host: Host): Step =>
  hostStep(host, 'cgroup-mount', 'cgroup2 without nsdelegate (EL, at the next boot)', 'ensureBlock', {
    path: '/etc/fstab',
    marker: 'cgroup2',
    content: 'cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime 0 0\n',
    atTop: false,
    commentOut: ['^cgroup2\\s'],
    validate: [],
    system: 'dnf',
  })

export const timezone = (host: Host): Step =>
  hostStep(host, 'timezone', `time zone ${host.settings.timezone}`, 'ensureTimezone', { timezone: host.settings.timezone ?? '' }, { after: ['packages'] })

export const locale = (host: Host): Step =>
  hostStep(host, 'locale', `locale ${host.settings.locale}`, 'ensureLocale', { locale: host.settings.locale ?? '' }, { after: ['packages'] })

export const lines = (all: readonly string[]): string => all.map((line) => `${line}\n`).join('')
