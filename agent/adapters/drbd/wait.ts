/** Waiting for DRBD: as long as something moves, and no longer. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import { HiveError } from '../../../proto/errors.ts'
import { readStatusOf } from './read-status.ts'

/** Milliseconds between two looks. */
const interval = 500

export interface Waiting {
  readonly signal: AbortSignal
  readonly progress: (what: string, done: number, total: number, unit: string) => void
  /** Milliseconds without progress after which it is given up. */
  readonly patience: number
}

/** How far a resync into this host is. */
export interface SyncState {
  readonly outOfSyncKib: bigint
  readonly sizeKib: bigint
  readonly mibPerSecond: number
  readonly from: readonly string[]
}

/** The resync that fills this host's disk, or is about to; undefined where no host is there that it could come from. Of several at a time what is left is what the last of them has left. */
export function syncTowards(status: DrbdResourceStatus): SyncState | undefined {
  const [device] = status.devices
  if (device === undefined || device.diskState !== 'Inconsistent') return undefined
  const peers = status.connections.flatMap((connection) => connection.peerDevices.map((peer) => ({ name: connection.name, peer })))
  const running = peers.filter(({ peer }) => syncing.has(peer.replicationState))
  // A host that waits for its turn counts what the active one has left once more.
  const active = running.filter(({ peer }) => peer.replicationState === 'SyncTarget')
  const sources =
    active.length > 0 ? active : running.length > 0 ? running : peers.filter(({ peer }) => peer.replicationState !== 'Off' && peer.peerDiskState === 'UpToDate')
  if (sources.length === 0) return undefined
  const left = sources.map(({ peer }) => peer.outOfSyncKib)
  return {
    outOfSyncKib: left.toSorted((a, b) => (a < b ? 1 : -1))[0] ?? 0n,
    sizeKib: device.sizeKib,
    mibPerSecond: sources.reduce((sum, { peer }) => sum + (peer.sync?.mibPerSecond ?? 0), 0),
    from: sources.map(({ name }) => name),
  }
}

/** This disk is written to by a resync, waits for its turn, or is about to begin. */
const syncing = new Set(['SyncTarget', 'PausedSyncT', 'WFBitMapT', 'WFSyncUUID'])

/** Percent of a resync, and its rate, as people read them. */
export const describeSync = ({ outOfSyncKib, sizeKib, mibPerSecond, from }: SyncState): string => {
  const percent = sizeKib === 0n ? 0 : 100 - Number((outOfSyncKib * 1000n) / sizeKib) / 10
  const rate = mibPerSecond > 0 ? `, ${mibPerSecond.toFixed(mibPerSecond < 10 ? 1 : 0)} MiB/s` : ''
  return `${percent.toFixed(1)} % from ${from.join(' and ')}${rate}`
}

/** Until the disk of this host is filled. Throws HiveError 'timeout' when what is out of sync stays the same for the whole patience. */
export async function waitForSync(name: string, waiting: Waiting): Promise<void> {
  await waitUntil(
    name,
    waiting,
    (status) => {
      const sync = status === undefined ? undefined : syncTowards(status)
      if (sync === undefined) return { done: true, mark: '' }
      const done = sync.sizeKib - sync.outOfSyncKib
      waiting.progress(`synchronized ${describeSync(sync)}`, Number(done), Number(sync.sizeKib), 'KiB')
      return { done: false, mark: `${sync.outOfSyncKib} ${sync.sizeKib}`, waitsFor: `the resync of ${name} stands at ${describeSync(sync)}` }
    },
    'hivecoord doctor names what holds it up',
  )
}

export interface Look {
  readonly done: boolean
  /** What must change to count as progress. */
  readonly mark: string
  readonly waitsFor?: string
}

/** Looks until `judge` says done. The patience begins anew with each new mark. */
export async function waitUntil(
  name: string,
  { signal, patience }: Waiting,
  judge: (status: DrbdResourceStatus | undefined) => Look,
  hint: string,
  read: (name: string, signal: AbortSignal) => Promise<DrbdResourceStatus | undefined> = readStatusOf,
  now: () => number = () => performance.now(),
  pause: number = interval,
): Promise<void> {
  let mark: string | undefined
  let since = now()
  for (;;) {
    const look = judge(await read(name, signal))
    if (look.done) return
    if (look.mark !== mark) {
      mark = look.mark
      since = now()
    }
    if (now() - since >= patience)
      throw new HiveError('timeout', `${look.waitsFor ?? `${name} is not as wanted`}: no progress for ${Math.round(patience / 1000)} s`, { hint })
    await sleep(pause, undefined, { signal })
  }
}
