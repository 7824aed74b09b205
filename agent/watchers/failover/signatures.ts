/**
 * The states that the failover supervisor repairs by itself. Each is exact: where one part of it is not seen, or not looked at, it is not
 * there. Everything else, and above all a split brain, is left to people. Nothing here discards data or forces anything.
 */
import type { DrbdConnection } from '#gen/hive/v1/drbd_status.ts'
import { peerLeftAsPrimary, refusedWhilePrimary, resyncRace, splitBrain } from './kernel-evidence.ts'
import {
  type DockerView,
  isPrimary,
  lacksQuorum,
  mountForDocker,
  type Peer,
  type Picture,
  standsAlone,
  type TaskView,
  usersOf,
  type VolumeView,
} from './picture.ts'

export type Action =
  | { readonly kind: 'unmount'; readonly mountPoint: string }
  | { readonly kind: 'demote' }
  | { readonly kind: 'stop-containers'; readonly containers: readonly { readonly id: string; readonly name: string }[] }
  | { readonly kind: 'connect'; readonly peers: readonly Peer[] }
  | { readonly kind: 'reconnect'; readonly peer: Peer }

export interface Finding {
  readonly signature: SignatureName
  readonly volume: string
  /** '' where it is not about one peer. */
  readonly peer: string
  /** What must stay as it is from look to look, beside the signature itself. */
  readonly unchanged: string
  readonly evidence: readonly string[]
  readonly action: Action
}

type Found = Omit<Finding, 'signature' | 'volume'>

interface Signature {
  /** Seconds for which it must be seen without a break. */
  readonly holds: number
  /** Seconds between two attempts at the same finding. */
  readonly pause: number
  readonly find: (volume: VolumeView, picture: Picture, now: number) => readonly Found[]
}

/** Milliseconds for which a task that could not mount the volume elsewhere is evidence that we are in its way. */
const recently = 120_000

const found = (action: Action, evidence: readonly string[], peer = '', unchanged = ''): readonly Found[] => [{ action, evidence, peer, unchanged }]
const none: readonly Found[] = []

/** In the order in which they are acted upon. */
export const signatures = {
  /**
   * DRBD lost its quorum under containers that run here, and swarm's managers here lost theirs: nobody else will stop these containers, whose
   * writes fail. 30 s: managers took up to 27 s to elect a leader where one was to be had.
   */
  'quorums-lost': {
    holds: 30,
    pause: 60,
    find(volume, { docker }, now) {
      if (docker?.swarm.kind !== 'no-majority' || !lacksQuorum(volume) || volume.mounts.length === 0) return none
      const users = usersOf(volume, docker, now).filter(({ state }) => state === 'running' || state === 'paused' || state === 'restarting')
      if (users.length === 0) return none
      return found({ kind: 'stop-containers', containers: users.map(({ id, name }) => ({ id, name })) }, [
        stateOf(volume),
        `swarm: ${docker.swarm.said}`,
        ...users.map(({ name, state }) => `${name} is ${state} and uses it`),
      ])
    },
  },

  /**
   * Docker's mount of the volume is left over: no container here uses it, and swarm wants it elsewhere. 20 s: docker unmounts within a second
   * or two of a container's end, and a leader that was cut off knows after 10 s that it is none.
   */
  'stale-mount': {
    holds: 20,
    pause: 60,
    find(volume, { docker }, now) {
      if (docker?.swarm.kind !== 'majority') return none
      const mount = mountForDocker(volume, docker)
      if (mount === undefined || usersOf(volume, docker, now).length > 0) return none
      const reason = wantedElsewhere(volume, docker.swarm, now)
      if (reason.length === 0) return none
      return found({ kind: 'unmount', mountPoint: mount.mountPoint }, [
        `${mount.source} is mounted at ${mount.mountPoint}, and no container here uses it`,
        ...reason,
        stateOf(volume),
      ])
    },
  },

  /**
   * Primary, and nobody holds the device: left by mkfs, or by a promotion by hand. No other host can mount it. 30 s: longer than a person or
   * a tool takes from a promotion to what it is for.
   */
  'idle-primary': {
    holds: 30,
    pause: 60,
    find(volume, { docker }, now) {
      const { status, holders, mounts } = volume
      if (!isPrimary(volume) || mounts.length > 0 || holders === undefined || holders.length > 0) return none
      if (status.suspended || status.devices.some(({ open }) => open)) return none
      if (docker !== undefined && usersOf(volume, docker, now).length > 0) return none
      return found({ kind: 'demote' }, [stateOf(volume), 'not mounted in any namespace, open in no process'])
    },
  },

  /**
   * It was Primary while cut off, was refused by its peers when it came back, and is not used any more: it takes their data once it connects.
   * 10 s: DRBD's own time to notice a connection (ping-int).
   */
  'former-primary': {
    holds: 10,
    pause: 120,
    find(volume) {
      const { name, status, holders, mounts, kernelLog } = volume
      if (isPrimary(volume) || mounts.length > 0 || holders === undefined || holders.length > 0 || !lacksQuorum(volume)) return none
      const refused = status.connections.filter(standsAlone)
      if (refused.length === 0 || status.connections.some(({ state }) => state === 'Connected') || mayNotConnect(volume)) return none
      const lines = refused.map((connection) => refusedWhilePrimary(kernelLog ?? [], name, connection.name))
      if (lines.some((seen) => seen.length === 0)) return none
      return found({ kind: 'connect', peers: refused.map(peerOf) }, [stateOf(volume), 'not mounted, not open', ...lines.flat()])
    },
  },

  /** The other side of it: the peer that was Primary while cut off hung up, and this host waits for it no more. */
  'former-primary-peer': {
    holds: 10,
    pause: 120,
    find: (volume) =>
      alone(volume).flatMap((connection) => {
        const lines = peerLeftAsPrimary(volume.kernelLog ?? [], volume.name, peerOf(connection), volume.status.nodeId)
        return lines.length === 0 ? none : found({ kind: 'connect', peers: [peerOf(connection)] }, [stateOf(volume), ...lines], connection.name)
      }),
  },

  /** A race in DRBD at the beginning of a resync made this side hang up on a peer that came back, which waits for ever. */
  'resync-race': {
    holds: 10,
    pause: 120,
    find: (volume) =>
      alone(volume).flatMap((connection) => {
        const lines = resyncRace(volume.kernelLog ?? [], volume.name, connection.name)
        return lines.length === 0 ? none : found({ kind: 'connect', peers: [peerOf(connection)] }, [stateOf(volume), ...lines], connection.name)
      }),
  },

  /**
   * A resync that neither goes on nor ends. 180 s: a resync that is only slow moves within that. Only while every other connection is there,
   * so that nobody's quorum hangs on this one, and not where the peer is Primary: its own supervisor sees what its quorum is.
   */
  'resync-latched': {
    holds: 180,
    pause: 3600,
    find({ status }) {
      const { connections } = status
      if (connections.length < 2) return none
      const stuck = connections.filter(
        ({ state, peerRole, peerDevices }) => state === 'Connected' && peerRole === 'Secondary' && peerDevices.some(isSyncing) && !peerDevices.some(isPaused),
      )
      return stuck.flatMap((connection) => {
        if (connections.some((other) => other !== connection && other.state !== 'Connected')) return none
        const progress = connection.peerDevices.map((device) => `${device.replicationState}, ${device.outOfSyncKib} KiB out of sync`).join('; ')
        return found({ kind: 'reconnect', peer: peerOf(connection) }, [`${connection.name}: ${progress}, and no progress`], connection.name, progress)
      })
    },
  },
} as const satisfies Readonly<Record<string, Signature>>

export type SignatureName = keyof typeof signatures
export const signatureNames = Object.keys(signatures) as readonly SignatureName[]
export const signatureOf = (name: SignatureName): Signature => signatures[name]

/** All that holds in this picture. Nothing is found on a volume that somebody works on. */
export const findings = (picture: Picture, now: number): readonly Finding[] =>
  signatureNames.flatMap((signature) =>
    picture.volumes
      .filter(({ busy }) => !busy)
      .flatMap((volume) =>
        signatureOf(signature)
          .find(volume, picture, now)
          .map((one) => ({ ...one, signature, volume: volume.name })),
      ),
  )

/** Connections that stand alone while all others are in order, where the log was read and knows of no split brain. */
const alone = (volume: VolumeView): readonly DrbdConnection[] => {
  const { connections } = volume.status
  if (mayNotConnect(volume) || !connections.some(({ state }) => state === 'Connected')) return []
  return connections.filter(standsAlone)
}

const peerOf = ({ name, peerNodeId }: DrbdConnection): Peer => ({ name, nodeId: peerNodeId })

const mayNotConnect = ({ kernelLog, name }: VolumeView): boolean => kernelLog === undefined || splitBrain(kernelLog, name)

/** Sentences that say where swarm wants the volume instead; empty where it may want it here, or nobody is hindered. */
function wantedElsewhere(volume: VolumeView, swarm: DockerView['swarm'] & { kind: 'majority' }, now: number): readonly string[] {
  const tasks = swarm.tasks.filter(({ volumes }) => volumes.includes(volume.name))
  const wanted = tasks.filter((task) => task.wanted)
  if (wanted.some(({ nodeId }) => nodeId === swarm.nodeId)) return []
  const elsewhere = wanted.filter(({ nodeId }) => nodeId !== '')
  if (elsewhere.length > 0) return elsewhere.map(({ service, nodeName }) => `swarm wants ${service} on ${nodeName}`)
  const minor = volume.status.devices[0]?.minor
  return tasks
    .filter((task) => isHindered(task, swarm.nodeId, `/dev/drbd${minor}`, now))
    .map(({ service, nodeName, error }) => `${service} failed on ${nodeName}: ${error}`)
}

/** A task on another host that could not mount the device, as it is where another host is Primary or holds it open. */
const isHindered = ({ nodeId, error, at }: TaskView, own: string, device: string, now: number): boolean =>
  nodeId !== '' && nodeId !== own && now - at < recently && new RegExp(`${device}\\b`).test(error) && /wrong medium type|write-protected|read-only/i.test(error)

const isSyncing = ({ replicationState }: { readonly replicationState: string }): boolean =>
  ['WFBitMapS', 'WFBitMapT', 'SyncSource', 'SyncTarget'].includes(replicationState)
const isPaused = ({ resyncSuspended, replicationState }: { readonly resyncSuspended: string; readonly replicationState: string }): boolean =>
  !['no', ''].includes(resyncSuspended) || replicationState.startsWith('Paused')

/** One line of a resource's state. */
export const stateOf = ({ name, status }: VolumeView): string =>
  [
    `${name} is ${status.role}`,
    ...status.devices.map(({ diskState, quorum }) => `disk ${diskState}, ${quorum ? 'has quorum' : 'no quorum'}`),
    ...status.connections.map((connection) => `${connection.name} ${connection.state}${connection.state === 'Connected' ? ` ${connection.peerRole}` : ''}`),
  ].join(', ')
