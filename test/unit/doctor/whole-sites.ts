/** Stages as the doctor sees them: whole, to be broken in one place. */

import type { ServiceInfo, SwarmNode, TaskInfo } from '#gen/hive/v1/docker.ts'
import type { HostCondition } from '#gen/hive/v1/doctor.ts'
import type { HostSight, WholePicture } from '../../../coordinator/doctor/whole-picture.ts'

export const now = new Date('2026-11-26T12:00:00Z')
export const ago = (hours: number): Date => new Date(now.getTime() - hours * 3_600_000)
export const later = (days: number): Date => new Date(now.getTime() + days * 86_400_000)
const image = 'repo:5000/web:1@sha256:1'

export const node = (i: number, given: Partial<SwarmNode> = {}): SwarmNode => ({
  id: `id${i}`,
  name: `hive${i}`,
  role: 'manager',
  availability: 'active',
  state: 'ready',
  address: `10.0.0.${i}`,
  leader: i === 0,
  reachability: 'reachable',
  labels: { hives: 'true' },
  dockerVersion: '29',
  ...given,
})

export const task = (i: number, given: Partial<TaskInfo> = {}): TaskInfo => ({
  id: `task${i}`,
  service: 'web',
  slot: i + 1,
  node: `hive${i}`,
  state: 'running',
  desiredState: 'running',
  error: '',
  containerId: '',
  image,
  since: ago(1),
  ...given,
})

export const web = (given: Partial<ServiceInfo> = {}): ServiceInfo => ({
  id: 'web',
  name: 'web',
  image,
  mode: 'replicated',
  running: 3,
  desired: 3,
  ports: [],
  labels: {},
  updated: ago(100),
  updateState: '',
  previousImage: '',
  constraints: [],
  volumes: [],
  ...given,
})

export interface SwarmParts {
  readonly nodes: SwarmNode[]
  readonly services: ServiceInfo[]
  readonly tasks: TaskInfo[]
  readonly networks: string[]
}
const whole: SwarmParts = { nodes: [0, 1, 2].map((i) => node(i)), services: [web()], tasks: [0, 1, 2].map((i) => task(i)), networks: ['hive_default_network'] }

const network = (name: string) => ({ id: name, name, driver: 'overlay', scope: 'swarm', attachable: true, ingress: false, ipam: [], labels: {} })

const condition = (i: number, swarm: Partial<SwarmParts>, given: Partial<HostCondition> = {}): HostCondition => ({
  now,
  disks: [
    { name: '/', pool: false, usedPercent: 40, inodesUsedPercent: 3, freeBytes: 5_000_000_000n },
    { name: 'drbdvg/drbdpool', pool: true, usedPercent: 30, inodesUsedPercent: 2, freeBytes: 0n },
  ],
  failedUnits: [],
  docker:
    i === 3
      ? undefined
      : { state: 'active', nodeId: `id${i}`, manager: true, leader: i === 0, managers: 3, nodes: 3, clusterId: 'c', dockerVersion: '29', error: '' },
  swarm: i === 3 ? undefined : { ...whole, ...swarm, networks: (swarm.networks ?? whole.networks).map(network) },
  images: [{ id: '1', tags: ['repo:5000/web:1'], digests: ['repo:5000/web@sha256:1'], size: 1n, created: now }],
  volumes: [],
  firewall: [],
  follower: { addresses: [], rules: [], marks: [], problems: [], heard: now },
  supervisor: { hold: undefined, givenUp: [], evidence: [], looked: now, doing: '' },
  refused: ['AB12'],
  certificateExpires: later(500),
  lock: { held: false, owner: '', purpose: '', since: undefined, expires: undefined, granted: false },
  backups:
    i === 3
      ? {
          folder: '/var/lib/backups',
          next: later(1),
          doing: '',
          offsite: undefined,
          backups: [
            {
              name: 'db',
              service: 'web',
              ext: 'gz',
              files: [],
              noFile: false,
              record: { lastSuccess: ago(10), lastFailure: undefined, reason: '', size: 1n, proven: ago(24) },
            },
          ],
        }
      : undefined,
  registry: i === 3 ? { problem: '' } : undefined,
  logs: { unit: 'hive-logs.service', active: 'active', waitingBytes: 1_000_000n },
  heldPackages: [],
  unlooked: [],
  ...given,
})

export interface Broken {
  /** Of one host, by its number; 3 is the repository server. */
  readonly host?: Readonly<Record<number, Partial<HostSight>>>
  readonly condition?: Readonly<Record<number, Partial<HostCondition>>>
  readonly swarm?: Partial<SwarmParts>
  readonly site?: Partial<WholePicture>
}

/** Three managers with a service on each, and a repository server. */
export const site = ({ host = {}, condition: conditions = {}, swarm = {}, site: given = {} }: Broken = {}): WholePicture => ({
  now,
  hosts: [0, 1, 2, 3].map(
    (i): HostSight => ({
      name: `hive${i}.site`,
      shortName: `hive${i}`,
      isHive: i < 3,
      isManager: i < 3,
      groups: i < 3 ? ['hives'] : ['repository'],
      power: 'running',
      error: undefined,
      ssh: undefined,
      agentVersion: '1.0.0',
      condition: condition(i, swarm, conditions[i]),
      asked: now,
      answered: now,
      ...host[i],
    }),
  ),
  services: [{ name: 'web', mode: 'replicated', replicas: 3, constraints: [] }],
  networks: ['hive_default_network'],
  certificates: { revoked: [{ serial: 'ab12', name: 'old', role: 'hive:operator' }], authorityEnds: later(3000) },
  alerts: [],
  ...given,
})
