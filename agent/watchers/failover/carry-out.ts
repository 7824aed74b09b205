/** Does one thing that was found, where it is still so, and looks whether it helped. */
import { HiveError, messageOf } from '../../../proto/errors.ts'
import { waitFor } from '../../adapters/docker/wait.ts'
import { dockerPost } from '../../adapters/docker.ts'
import { drbdsetup, storageCommand } from '../../adapters/drbd/tools.ts'
import { holdersOfAll } from '../../adapters/mounts.ts'
import { isPrimary, type Picture, standsAlone, type VolumeView } from './picture.ts'
import { type Action, type Finding, findings, stateOf } from './signatures.ts'
import { keyOf, type Result } from './supervise.ts'

export interface CarryOutOptions {
  readonly look: (signal: AbortSignal) => Promise<Picture>
  readonly signal: AbortSignal
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Milliseconds for it to help. Default 15 000. */
  readonly patience?: number
}

const defaultPatience = 15_000
/** Seconds that docker gives a container before it kills it. Its volume is lost to it in any case. */
const stopGrace = 10
/** Milliseconds. */
const stopTimeout = (stopGrace + 20) * 1000
const killTimeout = 20_000

/** Never rejects. */
export async function carryOut(finding: Finding, options: CarryOutOptions): Promise<Result> {
  const { look, signal, now } = options
  try {
    // What was seen some seconds ago is not acted upon: only what is there now.
    const still = findings(await look(signal), now()).find((one) => keyOf(one) === keyOf(finding) && one.unchanged === finding.unchanged)
    if (still === undefined) return { kind: 'gone', what: 'it was over by itself', lines: [] }
    await act(still, signal)
    return await seeWhether(still, options)
  } catch (error) {
    return { kind: 'did-not-help', what: messageOf(error), lines: error instanceof HiveError ? error.log : [] }
  }
}

/** By drbdsetup, as drbdadm adjust prints it in these states: a resource file that is broken, or on its way to something else, is not in the way. */
async function act({ volume, action }: Pick<Finding, 'volume' | 'action'>, signal: AbortSignal): Promise<void> {
  switch (action.kind) {
    case 'unmount':
      // Neither lazy nor forced: what is busy stays, and says so.
      await storageCommand(['umount', '--', action.mountPoint], { signal })
      return
    case 'demote':
      await drbdsetup(['secondary', volume], { signal })
      return
    case 'stop-containers':
      await Promise.all(action.containers.map(({ id }) => stopContainer(id, signal)))
      return
    case 'connect':
      for (const { nodeId } of action.peers) await drbdsetup(['connect', volume, String(nodeId)], { signal })
      return
    case 'reconnect': {
      const peer = String(action.peer.nodeId)
      await drbdsetup(['disconnect', volume, peer], { signal })
      await drbdsetup(['connect', volume, peer], { signal })
    }
  }
}

async function stopContainer(id: string, signal: AbortSignal): Promise<void> {
  try {
    await dockerPost(`/containers/${id}/stop`, { query: { t: String(stopGrace) }, timeout: stopTimeout, signal })
  } catch (error) {
    if (signal.aborted || (error instanceof HiveError && error.code === 'not-found')) throw error
    await dockerPost(`/containers/${id}/kill`, { timeout: killTimeout, signal })
  }
}

async function seeWhether(finding: Finding, { look, signal, patience = defaultPatience }: CarryOutOptions): Promise<Result> {
  const { volume: name, action } = finding
  const helped = async (): Promise<Result | undefined> => {
    const picture = await look(signal)
    const volume = picture.volumes.find((one) => one.name === name)
    if (volume === undefined) return { kind: 'helped', what: `${name} is not configured any more`, lines: [] }
    return hasHelped(action, volume, picture) ? { kind: 'helped', what: stateOf(volume), lines: [] } : undefined
  }
  try {
    return await waitFor(name, helped, { signal, timeout: patience, every: 1_000 })
  } catch (error) {
    if (!(error instanceof HiveError) || error.code !== 'timeout') throw error
    return stillSo(name, await look(signal))
  }
}

/** Whether the picture is as the action was to make it. */
export function hasHelped(action: Action, volume: VolumeView, { docker }: Picture): boolean {
  switch (action.kind) {
    case 'unmount':
      return !isPrimary(volume) && !volume.mounts.some(({ mountPoint }) => mountPoint === action.mountPoint)
    case 'demote':
      return !isPrimary(volume)
    case 'stop-containers':
      // Without mounts docker is not asked: what used the volume is gone.
      return (
        volume.mounts.length === 0 ||
        (docker !== undefined && !docker.containers.some(({ id, state }) => runs(state) && action.containers.some((one) => one.id === id)))
      )
    case 'connect':
      return action.peers.every(({ name }) => volume.status.connections.some((connection) => connection.name === name && !standsAlone(connection)))
    case 'reconnect':
      return volume.status.connections.some(({ name, state, peerDevices }) => name === action.peer.name && state === 'Connected' && peerDevices.every(moves))
  }
}

const runs = (state: string): boolean => ['running', 'paused', 'restarting'].includes(state)
const moves = ({ replicationState, sync }: VolumeView['status']['connections'][number]['peerDevices'][number]): boolean =>
  replicationState === 'Established' || (sync !== undefined && (sync.percentDone > 0 || sync.mibPerSecond > 0))

/** Why it did not help, with who holds the device where that is what is in the way. */
async function stillSo(name: string, picture: Picture): Promise<Result> {
  const volume = picture.volumes.find((one) => one.name === name)
  if (volume === undefined) return { kind: 'helped', what: `${name} is not configured any more`, lines: [] }
  const holders = isPrimary(volume) ? await holdersOfAll(volume.status.devices) : []
  const by = holders.map(({ kind, pid, command, what }) => `${kind}: ${what}${pid === 0 ? '' : ` by ${command} (pid ${pid})`}`)
  const open =
    isPrimary(volume) && by.length === 0 ? ['the device is still open, by nobody that /proc shows: a file system that was detached, or the kernel itself'] : by
  return { kind: 'did-not-help', what: stateOf(volume), lines: open }
}
