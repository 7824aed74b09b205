/** How large a thin pool is made. Pure. */

const mebibyte = 2 ** 20
/** Bytes of metadata for each chunk, as LVM itself reckons: a leaf of the tree has 16, the rest is room for half full nodes and for snapshots. */
const metadataPerChunk = 64
/** Bytes. LVM's own least is 2 MiB, which a few snapshots fill. */
const leastMetadata = 4 * mebibyte
const step = 16 * mebibyte

/** Bytes of a chunk, which is what a thin volume takes from its pool at once. */
export const chunkBytes = mebibyte

export interface PoolSize {
  readonly dataBytes: number
  /** Once for the metadata, once for the spare that a repair writes to. */
  readonly metadataBytes: number
}

/**
 * hive-builder's formula: what is left of the partition after 8 MiB and one part in 8193, in whole 16 MiB. That leaves room for twice
 * 64 bytes a chunk; where the group has less than that free, the pool is smaller. undefined: there is no room for one.
 */
export function poolSize({ deviceBytes, freeBytes, extentBytes }: { deviceBytes: number; freeBytes: number; extentBytes: number }): PoolSize | undefined {
  const partitionMebibytes = Math.floor(deviceBytes / mebibyte)
  const formula = Math.floor(Math.floor(((partitionMebibytes - 8) * 8192) / 8193) / 16) * step
  const metadataBytes = roundUp(Math.max(leastMetadata, (formula / chunkBytes) * metadataPerChunk), extentBytes)
  const dataBytes = Math.min(formula, Math.floor((freeBytes - 2 * metadataBytes) / step) * step)
  return dataBytes < step ? undefined : { dataBytes, metadataBytes }
}

const roundUp = (bytes: number, unit: number): number => Math.ceil(bytes / unit) * unit
