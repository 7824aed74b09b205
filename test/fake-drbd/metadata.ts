/**
 * What the fake decided about a disk, in the text that the real `drbdmeta dump-md` prints and `restore-md` takes: the disk itself holds what the
 * real create-md wrote, the fake's generations live in its state.
 */
import { type Metadata, NO_GENERATION, type PeerMetadata } from './state.ts'

// bits of DRBD 9's on-disk flags
const CONSISTENT = 1 << 0
const PRIMARY = 1 << 1
const WAS_UP_TO_DATE = 1 << 4
const AL_CLEAN = 1 << 7
const PEER_OUTDATED = 1 << 1
const PEER_SEEN = 1 << 4

/** The dump with what `meta` says in it, for `drbdmeta restore-md`. The bitmaps stay as they are: the fake counts dirty blocks, it does not map them. */
export function withMetadata(dump: string, meta: Metadata): string {
  const flags = AL_CLEAN | (meta.consistent ? CONSISTENT : 0) | (meta.upToDate ? WAS_UP_TO_DATE : 0) | (meta.primary ? PRIMARY : 0)
  return dump
    .replace(/^node-id -?\d+;/m, `node-id ${meta.nodeId};`)
    .replace(/^current-uuid 0x[0-9a-f]+;/im, `current-uuid 0x${meta.current};`)
    .replace(/^flags 0x[0-9a-f]+;/im, `flags ${hex(flags)};`)
    .replace(/^la-size-sect \d+;/m, `la-size-sect ${Math.round(meta.sizeKib * 2)};`)
    .replace(/^peer\[(\d+)\] \{[^}]*\}/gm, (block, id: string) => withPeer(block, meta.peers[id]))
    .replace(/^history-uuids \{[^}]*\}/m, (block) => withHistory(block, meta.history))
}

const hex = (flags: number): string => `0x${(flags >>> 0).toString(16).padStart(8, '0')}`

function withPeer(block: string, peer: PeerMetadata | undefined): string {
  if (peer === undefined) return block.replace(/bitmap-uuid 0x[0-9a-f]+/i, `bitmap-uuid 0x${NO_GENERATION}`).replace(/\bflags 0x[0-9a-f]+/i, `flags ${hex(0)}`)
  return block
    .replace(/bitmap-uuid 0x[0-9a-f]+/i, `bitmap-uuid 0x${peer.bitmap}`)
    .replace(/\bflags 0x[0-9a-f]+/i, `flags ${hex(PEER_SEEN | (peer.outdated ? PEER_OUTDATED : 0))}`)
}

function withHistory(block: string, history: readonly string[]): string {
  let index = 0
  return block.replace(/0x[0-9a-f]{16}/gi, () => `0x${history[index++] ?? NO_GENERATION}`)
}
