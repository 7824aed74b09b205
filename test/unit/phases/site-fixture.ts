/** A small site made by hand: what phases read, and nothing behind it. */
import type { Host, HostSettings, Site } from '../../../coordinator/inventory/site.ts'

export const settings: HostSettings = {
  admin: 'admin',
  adminGroup: 'admin',
  adminUid: undefined,
  adminGid: undefined,
  rootPassword: undefined,
  sshdPort: 22,
  timezone: undefined,
  locale: undefined,
  ntpServers: [],
  selinux: 'permissive',
  swarmMode: 'manager',
  users: [],
  userGroups: [],
  agentPort: 17443,
  firewall: true,
  sshSources: [],
  agentSources: [],
  registryMirror: undefined,
  dockerSourceUrl: undefined,
  epelSourceUrl: undefined,
  elrepoSourceUrl: undefined,
  kernelVersion: undefined,
  drbdDownloadUrl: undefined,
  diskSizeGb: undefined,
  mirroredDiskSizeGb: undefined,
  noMirroredDevice: false,
  mirroredPools: [{ volumeGroup: 'drbdvg', thinPool: 'drbdpool', devices: ['/dev/sdb'] }],
  partitionLabel: undefined,
  memoryMb: undefined,
  cpus: undefined,
  nspawnBinds: [],
}

/** Host number `index` (from 0) of a private stage of site `pdns`: the last of `count` is the repository server. */
export function hostFixture(index: number, count: number, given: Partial<HostSettings> = {}): Host {
  const isRepository = index === count - 1
  const isHive = !isRepository
  return {
    name: `p-hive${index}.pdns`,
    shortName: `p-hive${index}`,
    index,
    address: `192.168.0.${10 + index}`,
    netmask: '255.255.255.0',
    prefixLength: 24,
    subnet: '192.168.0.0/24',
    zone: undefined,
    groups: ['servers', 'private', ...(isHive ? ['hives'] : ['repository']), ...(index === 0 ? ['first_hive'] : [])],
    isHive,
    isRepository,
    isFirstHive: index === 0,
    settings: { ...settings, ...given },
  }
}

export interface SiteChoice {
  readonly hosts?: readonly Host[]
  readonly rest?: Partial<Site>
}

export const monitoringFixture: Site['monitoring'] = { interval: 60, ignoredUnits: ['kdump'], passive: false, passiveSources: [] }

/** Switched off: what is looked at here has nothing to do with it. */
export const zabbixFixture: Site['zabbix'] = {
  wanted: false,
  images: { database: 'postgresql', server: 'zabbix-server:7', web: 'zabbix-web:7', db: 'postgres:16', inOne: false },
  serverPort: 10051,
  webPort: 10052,
  admin: { user: 'Admin', password: 'admin-password' },
  databasePassword: 'database-password',
  psk: { identity: 'hive-0123456789ab', key: '00ff'.repeat(16) },
  elsewhere: undefined,
  sites: [{ name: 'pdns', servers: [] }],
  media: [],
  macros: {},
}

export function siteFixture({ hosts = [0, 1, 2, 3].map((index) => hostFixture(index, 4)), rest = {} }: SiteChoice = {}): Site {
  return {
    name: 'pdns',
    stage: 'private',
    provider: 'nspawn',
    effectiveProvider: 'nspawn',
    root: '/nowhere',
    contextDir: '/nowhere/.hive/private',
    cidr: '192.168.0.0/24',
    internalCidr: undefined,
    internalCidrV6: undefined,
    attributes: {},
    hosts,
    networks: [],
    volumes: [],
    images: [],
    services: [],
    registry: {
      host: 'p-hive3.pdns',
      port: 5000,
      user: 'hive',
      password: 'registry-password',
      image: 'registry:2',
      inContainer: false,
      keep: 5,
      upkeepAt: '03:30',
      cache: undefined,
      pulledFrom: [],
    },
    backups: { at: '01:00', restic: undefined },
    logs: { port: 10_514, relayPort: 20_514, tls: false, group: 'zabbix', retentionDays: 28, spoolMb: 1024 },
    zabbix: zabbixFixture,
    monitoring: monitoringFixture,
    externalRegistries: [],
    dockerNetworks: { bridgeAddress: undefined, gwbridge: undefined, ingress: undefined, zabbix: undefined },
    groups: new Map(),
    variable: () => undefined,
    isSecret: () => false,
    secretTexts: () => [],
    ansibleInventory: () => {
      throw new Error('this fixture has no Ansible inventory')
    },
    notices: [],
    ...rest,
  }
}

/** What `internal_cidr: 172.31.252.0/22` is split into. */
export const splitNetworks: Site['dockerNetworks'] = {
  bridgeAddress: '172.31.254.129/25',
  gwbridge: { subnet: '172.31.254.0/25', subnetV6: undefined },
  ingress: { subnet: '172.31.253.0/24', gateway: '172.31.253.1' },
  zabbix: { subnet: '172.31.255.128/25', bridge: '172.31.255.129', server: '172.31.255.130', web: '172.31.255.131', database: '172.31.255.132' },
}
