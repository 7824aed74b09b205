/** All of a site that decides whether something of it can be missed: what hosts, swarm and mirrored volumes say at one moment. */
import type { SwarmNode } from '#gen/hive/v1/docker.ts'
import type { VolumePicture } from '../doctor/picture.ts'
import type { KnownImage } from '../images/image-table.ts'

export interface SitePicture {
  /** In the inventory's order. */
  readonly hosts: readonly HostPicture[]
  /** As a manager sees them; undefined: none answers, or the managers have no majority. */
  readonly nodes: readonly NodePicture[] | undefined
  /** Of the swarm; undefined as `nodes`. */
  readonly services: readonly ServicePicture[] | undefined
  /** Those that DRBD mirrors. */
  readonly volumes: readonly VolumeStates[]
}

export interface HostPicture {
  readonly name: string
  readonly shortName: string
  /** It belongs into the swarm. */
  readonly isHive: boolean
  /** Its agent answers. */
  readonly answers: boolean
  /** undefined: it does not tell. */
  readonly images: readonly KnownImage[] | undefined
}

export type NodePicture = Pick<SwarmNode, 'id' | 'name' | 'role' | 'availability' | 'state' | 'leader' | 'reachability' | 'labels'>

export interface ServicePicture {
  readonly name: string
  readonly mode: 'replicated' | 'global'
  readonly image: string
  /** As docker and the inventory have them. */
  readonly constraints: readonly string[]
  /** Mirrored volumes that it mounts. */
  readonly volumes: readonly string[]
  /** Volumes that each host has by itself. */
  readonly localVolumes: readonly string[]
  /** Ports that a task takes on its host: "8080/tcp". */
  readonly hostPorts: readonly string[]
  /** How many tasks there should be. */
  readonly desired: number
  /** Those that have not ended. */
  readonly tasks: readonly TaskPicture[]
}

export interface TaskPicture {
  /** Name of the node. */
  readonly node: string
  readonly state: string
  /** swarm wants it to run; else it is being stopped. */
  readonly wanted: boolean
}

/** The part of the doctor's picture that counts here; what the doctor has may be given as it is. */
export interface VolumeStates extends Pick<VolumePicture, 'name' | 'diskful'> {
  /** Hosts that take part in it; undefined: it did not answer. An answer without a status: it is not up there. */
  readonly hosts: ReadonlyMap<string, VolumeState | undefined>
}
export type VolumeState = Pick<NonNullable<ReturnType<VolumePicture['hosts']['get']>>, 'status'>

/** Whether a node of the swarm is the host's: nodes are called by their short names, or by their full ones. */
export const isNodeOf = ({ name, shortName }: Pick<HostPicture, 'name' | 'shortName'>, node: string): boolean => node === shortName || node === name

/** A replaced host leaves its old node behind under the same name; the one that is ready is meant. */
export function nodeOf(nodes: readonly NodePicture[], host: Pick<HostPicture, 'name' | 'shortName'>): NodePicture | undefined {
  const named = nodes.filter(({ name }) => isNodeOf(host, name))
  return named.find(({ state }) => state === 'ready') ?? named[0]
}

export const hostOf = (hosts: readonly HostPicture[], node: string): HostPicture | undefined => hosts.find((host) => isNodeOf(host, node))
