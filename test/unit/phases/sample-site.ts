/** A small site made by hand: three hive hosts and a repository server, changed where a test says so. */
import type { Host, Image, Service, Site, Volume } from '../../../coordinator/inventory/site.ts'
import type { FactSource, Limit } from '../../../coordinator/phases/phase.ts'
import { settings, zabbixFixture } from './site-fixture.ts'

export const everything: Limit = { hosts: undefined, services: undefined, volumes: undefined }

function host(index: number, repository = false): Host {
  return {
    name: `s-hive${index}.site`,
    shortName: `s-hive${index}`,
    index,
    address: `10.0.0.${10 + index}`,
    netmask: '255.255.255.0',
    prefixLength: 24,
    subnet: '10.0.0.0/24',
    zone: undefined,
    groups: repository ? ['repository', 'servers'] : ['hives', 'servers', ...(index === 0 ? ['first_hive'] : [])],
    isHive: !repository,
    isRepository: repository,
    isFirstHive: index === 0,
    settings: { ...settings },
  }
}

export const service = (changes: Partial<Service> = {}): Service => ({
  name: 'web',
  stages: ['staging'],
  image: { kind: 'reference', reference: 'nginx:1' },
  mappedReference: undefined,
  command: undefined,
  entrypoint: undefined,
  environment: {},
  dns: [],
  hosts: {},
  endpointMode: 'vip',
  mode: 'replicated',
  replicas: undefined,
  constraints: [],
  preferences: [],
  ports: [],
  mounts: [],
  networks: ['hive_default_network'],
  labels: {},
  logging: undefined,
  healthcheck: undefined,
  restart: undefined,
  stopGracePeriodNs: undefined,
  user: undefined,
  workingDir: undefined,
  capAdd: [],
  capDrop: [],
  sysctls: {},
  cpuLimit: undefined,
  update: undefined,
  rollback: undefined,
  cpuReservation: undefined,
  secrets: [],
  configs: [],
  memoryReservationBytes: undefined,
  memoryLimitBytes: undefined,
  standalone: false,
  initializeRoles: [],
  backupScripts: [],
  monitorError: [],
  ignoreError: [],
  ...changes,
})

export const volume = (changes: Partial<Volume>): Volume => ({
  name: 'data',
  kind: 'plain',
  stages: ['staging'],
  driver: undefined,
  driverOptions: {},
  deviceId: undefined,
  size: undefined,
  sizeBytes: undefined,
  fstype: undefined,
  diskless: [],
  volumeGroup: undefined,
  ...changes,
})

export const image = (changes: Partial<Image> = {}): Image =>
  ({ name: 'image_web', service: 'web', stages: ['staging'], pullFrom: undefined, repository: 's-hive3.site:5000/image_web', ...changes }) as Image

export const site = (changes: Partial<Site> = {}): Site =>
  ({
    name: 'site',
    stage: 'staging',
    effectiveProvider: 'prepared',
    hosts: [host(0), host(1), host(2), host(3, true)],
    networks: [],
    volumes: [],
    images: [],
    services: [],
    registry: {
      host: 's-hive3.site',
      port: 5000,
      user: 'hive',
      password: 'secret',
      image: 'registry:2',
      inContainer: false,
      keep: 5,
      upkeepAt: '03:30',
      cache: undefined,
      pulledFrom: [],
    },
    backups: { at: '01:00', restic: undefined },
    zabbix: { ...zabbixFixture, wanted: false },
    logs: { port: 10_514, relayPort: 20_514, tls: false, group: 'zabbix', retentionDays: 28, spoolMb: 1024 },
    externalRegistries: [],
    groups: new Map([
      ['hives', []],
      ['first_hive', []],
      ['repository', []],
    ]),
    variable: () => undefined,
    ...changes,
  }) as unknown as Site

/** A source of facts whose registries know these references, and a memory that lasts as long as the source. */
export function facts(of: Site, known: Readonly<Record<string, string>>, memory = new Map<string, unknown>(), refreshImages = false): FactSource {
  return {
    site: of,
    limit: everything,
    state: {
      get: (key) => memory.get(key),
      set: (key, value) => {
        memory.set(key, value)
      },
    },
    resolveImage: async (reference) => known[reference] ?? '',
    refreshImages,
    registryTags: async () => undefined,
    imagesOnHosts: async () => [],
    runningTask: async () => undefined,
  }
}
