/** Which of two disks has the newer data: DRBD's comparison of data generations, pure. */
import { type Device, JUST_CREATED, type Metadata, NO_GENERATION, peerMetadata } from './state.ts'

export type Strategy =
  | 'no-sync'
  | 'source-use-bitmap'
  | 'source-set-bitmap'
  | 'target-use-bitmap'
  | 'target-set-bitmap'
  | 'split-brain-auto-recover'
  | 'unrelated-data'

export interface Comparison {
  strategy: Strategy
  rule: string
}

export interface Side {
  nodeId: number
  meta: Metadata
  device: Device
}

const same = (a: string, b: string): boolean =>
  a.slice(0, 15) === b.slice(0, 15) && (Number.parseInt(a.slice(15), 16) | 1) === (Number.parseInt(b.slice(15), 16) | 1)
const set = (generation: string): boolean => !same(generation, NO_GENERATION)

/** As seen from `self`. "both-failed" is said here for a Primary that crashed and comes back to a peer that did not. */
export function compareGenerations(self: Side, peer: Side): Comparison {
  const mine = self.meta
  const theirs = peer.meta
  const myBitmap = peerMetadata(mine, peer.nodeId)
  const theirBitmap = peerMetadata(theirs, self.nodeId)
  const fresh = [mine.current === JUST_CREATED, theirs.current === JUST_CREATED]
  if (fresh[0] && fresh[1]) return { strategy: 'no-sync', rule: 'just-created-both' }
  if (fresh[0]) return { strategy: 'target-set-bitmap', rule: 'just-created-self' }
  if (fresh[1]) return { strategy: 'source-set-bitmap', rule: 'just-created-peer' }
  if (myBitmap.forgotten) return { strategy: 'source-set-bitmap', rule: 'peer-forgotten' }
  if (theirBitmap.forgotten) return { strategy: 'target-set-bitmap', rule: 'self-forgotten' }
  if (same(mine.current, theirs.current)) return compareEqual(self, peer)
  const bitmapSelf = set(myBitmap.bitmap) && same(myBitmap.bitmap, theirs.current)
  const bitmapPeer = set(theirBitmap.bitmap) && same(theirBitmap.bitmap, mine.current)
  if (bitmapSelf) return { strategy: 'source-use-bitmap', rule: 'bitmap-self' }
  if (bitmapPeer) return { strategy: 'target-use-bitmap', rule: 'bitmap-peer' }
  if (set(myBitmap.bitmap) && same(myBitmap.bitmap, theirBitmap.bitmap)) return { strategy: 'split-brain-auto-recover', rule: 'bitmap-both' }
  if (known(mine, theirs.current)) return { strategy: 'source-set-bitmap', rule: 'history-self' }
  if (known(theirs, mine.current)) return { strategy: 'target-set-bitmap', rule: 'history-peer' }
  const common = [...bases(mine)].some((generation) => known(theirs, generation))
  return common ? { strategy: 'split-brain-auto-recover', rule: 'history-both' } : { strategy: 'unrelated-data', rule: 'unrelated-data' }
}

const bases = (meta: Metadata): string[] => [...meta.history, ...Object.values(meta.peers).map((peer) => peer.bitmap)].filter(set)
const known = (meta: Metadata, generation: string): boolean => bases(meta).some((base) => same(base, generation))

function compareEqual(self: Side, peer: Side): Comparison {
  const mine = peerMetadata(self.meta, peer.nodeId)
  const theirs = peerMetadata(peer.meta, self.nodeId)
  const dirty = mine.dirtyKib + theirs.dirtyKib > 0
  if (mine.verified && !theirs.verified) return { strategy: 'source-use-bitmap', rule: 'reconnected' }
  if (theirs.verified) return { strategy: 'target-use-bitmap', rule: 'reconnected' }
  if (self.meta.consistent && !peer.meta.consistent) return { strategy: dirty ? 'source-use-bitmap' : 'source-set-bitmap', rule: 'lost-quorum' }
  if (!self.meta.consistent && peer.meta.consistent) return { strategy: dirty ? 'target-use-bitmap' : 'target-set-bitmap', rule: 'lost-quorum' }
  if (dirty && self.device.crashedPrimary !== peer.device.crashedPrimary) {
    const upToDate = self.device.disk === 'UpToDate'
    // A peer that is outdated knows itself that the other one went on without it, also where that one has crashed since.
    if (upToDate !== (peer.device.disk === 'UpToDate')) return { strategy: upToDate ? 'source-use-bitmap' : 'target-use-bitmap', rule: 'lost-quorum' }
    return { strategy: self.device.crashedPrimary ? 'target-use-bitmap' : 'source-use-bitmap', rule: 'lost-quorum' }
  }
  if (dirty && self.device.crashedPrimary) return { strategy: self.nodeId < peer.nodeId ? 'source-use-bitmap' : 'target-use-bitmap', rule: 'both-off' }
  return { strategy: 'no-sync', rule: 'lost-quorum' }
}

/** A new generation on `meta`: `absent` are the peers that will not hold it. */
export function startGeneration(meta: Metadata, current: string, absent: readonly number[]): void {
  for (const nodeId of absent) {
    const peer = peerMetadata(meta, nodeId)
    if (!set(peer.bitmap)) peer.bitmap = meta.current
  }
  if (absent.length === 0 && set(meta.current)) meta.history = [meta.current, ...meta.history].slice(0, 8)
  meta.current = current
}

/** The peer has all blocks: its bitmap's base becomes history. */
export function clearBitmap(meta: Metadata, nodeId: number): void {
  const peer = peerMetadata(meta, nodeId)
  if (set(peer.bitmap)) meta.history = [peer.bitmap, ...meta.history].slice(0, 8)
  peer.bitmap = NO_GENERATION
  peer.dirtyKib = 0
  peer.verified = false
  peer.forgotten = false
}

/** A generation's name from the seed; never one of the reserved ones. */
export function nextGeneration(state: { seed: number }): string {
  let text = ''
  for (let word = 0; word < 2; word++) {
    state.seed = (state.seed + 0x9e3779b9) | 0
    let x = state.seed
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
    text += ((x ^ (x >>> 16)) >>> 0).toString(16).padStart(8, '0')
  }
  return `${text.slice(0, 15).toUpperCase()}${(Number.parseInt(text.slice(15), 16) & 0xe).toString(16).toUpperCase()}`
}
