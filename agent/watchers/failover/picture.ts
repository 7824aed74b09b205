/** What the failover supervisor concludes from: everything that was seen in one look, and nothing else. */
import type { DrbdConnection, DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import type { Holder, Mount } from '../../adapters/mounts.ts'

export interface Picture {
  readonly volumes: readonly VolumeView[]
  /** Undefined: docker does not answer, or nothing in this look depends on it. */
  readonly docker: DockerView | undefined
}

export interface VolumeView {
  /** Of volume, resource and docker volume. */
  readonly name: string
  readonly status: DrbdResourceStatus
  /** A step or an operation of the agent works on it: whatever it shows is on its way to something else. */
  readonly busy: boolean
  /** Of the whole device or a part, in the mount namespace of the host. */
  readonly mounts: readonly Mount[]
  /** Whoever holds the device, mounts in other namespaces included. Undefined: not looked at. */
  readonly holders: readonly Holder[] | undefined
  /** Kernel's lines about the resource, oldest first. Undefined: not looked at. */
  readonly kernelLog: readonly string[] | undefined
}

/** As the resource's connections call it. */
export interface Peer {
  readonly name: string
  readonly nodeId: number
}

export interface ContainerView {
  readonly id: string
  readonly name: string
  /** created, running, paused, restarting, removing, exited, dead */
  readonly state: string
  /** Milliseconds since 1970. */
  readonly created: number
  /** Names of its docker volumes. */
  readonly volumes: readonly string[]
  /** Folders of the host that are bound into it. */
  readonly folders: readonly string[]
}

export interface DockerView {
  readonly containers: readonly ContainerView[]
  /** By the name of the docker volume: where docker mounts it, and the device it is on ('' for none). */
  readonly volumes: ReadonlyMap<string, { readonly folder: string; readonly device: string }>
  readonly swarm: SwarmView
}

export type SwarmView =
  /** No swarm, not a manager, no clear answer, or nothing in this look depends on it. */
  | { readonly kind: 'unknown' }
  /** This host is a manager, and the managers it reaches are too few to elect a leader. */
  | { readonly kind: 'no-majority'; readonly said: string }
  /** A leader answered. */
  | {
      readonly kind: 'majority'
      readonly nodeId: string
      /** Tasks of services that mount docker volumes. */
      readonly tasks: readonly TaskView[]
    }

export interface TaskView {
  readonly service: string
  readonly volumes: readonly string[]
  /** '' while it is not placed. */
  readonly nodeId: string
  readonly nodeName: string
  /** Whether swarm wants it to run. */
  readonly wanted: boolean
  readonly state: string
  readonly error: string
  /** Of its state: milliseconds since 1970. */
  readonly at: number
}

export const isPrimary = ({ status }: Pick<VolumeView, 'status'>): boolean => status.role === 'Primary'
export const lacksQuorum = ({ status }: Pick<VolumeView, 'status'>): boolean => status.devices.some(({ quorum }) => !quorum)
export const standsAlone = ({ state }: Pick<DrbdConnection, 'state'>): boolean => state === 'StandAlone'

/** Milliseconds for which a container that was only created counts as one that is about to start. */
const aboutToStart = 60_000

/** Containers that have the volume, or a folder in it, now or within moments. */
export function usersOf(volume: VolumeView, docker: DockerView, now: number): readonly ContainerView[] {
  const folders = [...new Set([...volume.mounts.map(({ mountPoint }) => mountPoint), docker.volumes.get(volume.name)?.folder ?? ''])].filter(
    (folder) => folder !== '',
  )
  const inside = (folder: string): boolean => folders.some((mount) => folder === mount || folder.startsWith(`${mount}/`))
  return docker.containers.filter(
    (container) =>
      (['running', 'paused', 'restarting'].includes(container.state) || (container.state === 'created' && now - container.created < aboutToStart)) &&
      (container.volumes.includes(volume.name) || container.folders.some(inside)),
  )
}

/** The mount that docker makes for its volume of this name and device. */
export function mountForDocker(volume: VolumeView, docker: DockerView): Mount | undefined {
  const known = docker.volumes.get(volume.name)
  const minor = volume.status.devices[0]?.minor
  if (known === undefined || known.device !== `/dev/drbd${minor}`) return undefined
  return volume.mounts.find(({ mountPoint, root }) => mountPoint === known.folder && root === '/')
}

/** What is worth the price of asking for it: it decides nothing by itself. */
export const worthAsking = {
  docker: (volumes: readonly VolumeView[]): boolean => volumes.some((volume) => volume.mounts.length > 0 || isPrimary(volume)),
  swarm: (volumes: readonly VolumeView[], docker: DockerView, now: number): boolean =>
    volumes.some((volume) => {
      if (lacksQuorum(volume) && volume.mounts.length > 0) return true
      return mountForDocker(volume, docker) !== undefined && usersOf(volume, docker, now).length === 0
    }),
  holders: (volume: VolumeView): boolean =>
    volume.mounts.length === 0 && (isPrimary(volume) || (lacksQuorum(volume) && volume.status.connections.some(standsAlone))),
  kernelLog: (volume: VolumeView): boolean => volume.status.connections.some(standsAlone),
}
