/**
 * Between the fake's idea of a disk's metadata and the real metadata that drbdmeta keeps at the end of a device, in the text of
 * `drbdmeta dump-md` and `restore-md`. So create-md, wipe-md and a replaced disk are real, and dump-md tells what the fake decided.
 */
import { freshMetadata, type Metadata, NO_GENERATION, type PeerMetadata, peerMetadata } from './state.ts'

// bits of DRBD 9's on-disk flags
const CONSISTENT = 1 << 0
const PRIMARY = 1 << 1
const WAS_UP_TO_DATE = 1 << 4
const AL_CLEAN = 1 << 7
const PEER_OUTDATED = 1 << 1
const PEER_SEEN = 1 << 4

/** What `dump-md` printed; undefined where it holds no metadata of version 9. */
export function readDump(text: string): Metadata | undefined {
  if (!/^version "v09";/m.test(text)) return undefined
  const value = (pattern: RegExp): string => pattern.exec(text)?.[1] ?? '0'
  const flags = Number(value(/^flags 0x([0-9a-f]+);/im) === '0' ? 0 : Number.parseInt(value(/^flags 0x([0-9a-f]+);/im), 16))
  const meta: Metadata = {
    ...freshMetadata(Number(value(/^max-peers (\d+);/m))),
    nodeId: Number(value(/^node-id (-?\d+);/m)),
    current: value(/^current-uuid 0x([0-9a-f]{16});/im).toUpperCase(),
    consistent: (flags & CONSISTENT) !== 0,
    upToDate: (flags & WAS_UP_TO_DATE) !== 0,
    primary: (flags & PRIMARY) !== 0,
    sizeKib: Number(value(/^la-size-sect (\d+);/m)) / 2,
  }
  const history = /^history-uuids \{([^}]*)\}/m.exec(text)?.[1] ?? ''
  meta.history = [...history.matchAll(/0x([0-9a-f]{16})/gi)]
    .map((match) => (match[1] as string).toUpperCase())
    .filter((generation) => generation !== NO_GENERATION)
  for (const [, id, body] of text.matchAll(/^peer\[(\d+)\] \{([^}]*)\}/gm)) {
    const bitmap = (/bitmap-uuid 0x([0-9a-f]{16});/i.exec(body as string)?.[1] ?? NO_GENERATION).toUpperCase()
    const peerFlags = Number.parseInt(/\bflags 0x([0-9a-f]+);/i.exec(body as string)?.[1] ?? '0', 16)
    if (bitmap !== NO_GENERATION || peerFlags !== 0) Object.assign(peerMetadata(meta, Number(id)), { bitmap, outdated: (peerFlags & PEER_OUTDATED) !== 0 })
  }
  return meta
}

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
