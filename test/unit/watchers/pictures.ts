/** Pictures of a host for the supervisor's tests: from recorded states of DRBD, or made up. */
import { existsSync, readFileSync } from 'node:fs'
import type { DrbdConnection, DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import { parseStatus } from '../../../agent/adapters/drbd/status.ts'
import type { Mount } from '../../../agent/adapters/mounts.ts'
import type { ContainerView, DockerView, Picture, SwarmView, TaskView, VolumeView } from '../../../agent/watchers/failover/picture.ts'

const folder = new URL('../../fixtures/drbd9/', import.meta.url)

/** A recorded host as the supervisor sees it: "27-primary-isolated-quorum/s-hive0/settled". Nobody but mounts holds devices. */
export function recorded(place: string): Picture {
  const text = (file: string): string => {
    const url = new URL(`${place}/${file}`, folder)
    return existsSync(url) ? readFileSync(url, 'utf8') : ''
  }
  const mounted = text('proc-mounts.txt').split('\n')
  const kernelLog = text('dmesg-drbd-tail.txt').split('\n')
  const volumes = parseStatus(text('drbdsetup-status-verbose-statistics.json')).map((status): VolumeView => {
    const source = `/dev/drbd${status.devices[0]?.minor}`
    const mounts = mounted.flatMap((line) => (line.startsWith(`${source} `) ? [mountOf(line.split(' ')[1] ?? '', source)] : []))
    return { name: status.name, status, busy: false, mounts, holders: mounts.length === 0 ? [] : undefined, kernelLog }
  })
  return { volumes, docker: undefined }
}

export const mountOf = (mountPoint: string, source = '/dev/drbd1'): Mount => ({
  id: '1',
  device: '147:1',
  root: '/',
  mountPoint,
  fsType: 'ext4',
  source,
  readOnly: false,
})

export const dockerFolder = (volume: string): string => `/var/lib/docker/volumes/${volume}/_data`

export const connectionOf = (id: number, changes: Partial<DrbdConnection> = {}): DrbdConnection => ({
  peerNodeId: id,
  name: `hive${id}`,
  state: 'Connected',
  peerRole: 'Secondary',
  peerDevices: [
    {
      volume: 0,
      replicationState: 'Established',
      peerDiskState: 'UpToDate',
      peerClient: false,
      resyncSuspended: 'no',
      outOfSyncKib: 0n,
      percentInSync: 100,
      sync: undefined,
    },
  ],
  ...changes,
})

export const statusOf = (
  name: string,
  changes: Partial<DrbdResourceStatus> & { readonly quorum?: boolean; readonly open?: boolean } = {},
): DrbdResourceStatus => {
  const { quorum = true, open = false, ...rest } = changes
  return {
    name,
    nodeId: 0,
    role: 'Secondary',
    suspended: false,
    forceIoFailures: false,
    devices: [{ volume: 0, minor: 1, diskState: 'UpToDate', client: false, quorum, sizeKib: 1n, open }],
    connections: [connectionOf(1), connectionOf(2)],
    ...rest,
  }
}

export const volumeOf = (name: string, status: Parameters<typeof statusOf>[1] = {}, changes: Partial<VolumeView> = {}): VolumeView => ({
  name,
  status: statusOf(name, status),
  busy: false,
  mounts: [],
  holders: [],
  kernelLog: [],
  ...changes,
})

export const containerOf = (volume: string, state = 'running', created = 0): ContainerView => ({
  id: `${volume}-${state}`,
  name: `${volume}.1`,
  state,
  created,
  volumes: [volume],
  folders: [dockerFolder(volume)],
})

export const taskOf = (volume: string, changes: Partial<TaskView> = {}): TaskView => ({
  service: `${volume}-service`,
  volumes: [volume],
  nodeId: 'other',
  nodeName: 'hive1',
  wanted: true,
  state: 'running',
  error: '',
  at: 0,
  ...changes,
})

export const dockerOf = (containers: readonly ContainerView[], swarm: SwarmView, volumes: readonly string[] = ['data']): DockerView => ({
  containers,
  volumes: new Map(volumes.map((name) => [name, { folder: dockerFolder(name), device: '/dev/drbd1' }])),
  swarm,
})

export const majority = (...tasks: TaskView[]): SwarmView => ({ kind: 'majority', nodeId: 'self', tasks })
