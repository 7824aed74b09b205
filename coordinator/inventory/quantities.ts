/** Durations and sizes as docker and Ansible's modules write them. */

const nanoseconds: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9, d: 86400e9 }

/** "10s", "1m30s", "500ms", or a bare number of nanoseconds as docker's modules take it; undefined when it is neither. */
export const durationNs = (value: unknown): bigint | undefined => {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : undefined
  if (typeof value !== 'string') return undefined
  const text = value.trim()
  if (/^\d+$/.test(text)) return BigInt(text)
  if (!/^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d))+$/.test(text)) return undefined
  let total = 0n
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)/g))
    total += BigInt(Math.round(Number(amount) * (nanoseconds[unit ?? ''] ?? 0)))
  return total
}

const units = 'BKMGTPEZY'

/** "512M", "1.5G", "64MiB" or bytes; powers of 1024 as in Ansible's human_to_bytes. Undefined when it is no size. */
export const bytesOf = (value: unknown): bigint | undefined => {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? BigInt(Math.floor(value)) : undefined
  const match = typeof value === 'string' ? /^\s*(\d+(?:\.\d+)?)\s*(?:([BKMGTPEZY])(?:i?B)?)?\s*$/i.exec(value) : null
  if (match === null) return undefined
  return BigInt(Math.floor(Number(match[1]) * 1024 ** Math.max(0, units.indexOf((match[2] ?? 'B').toUpperCase()))))
}

const volumeUnits: Readonly<Record<string, number>> = { b: 1, s: 512, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40, p: 2 ** 50, e: 2 ** 60 }

/** A logical volume's size in bytes, from text as lvcreate takes it: 500M, 20G, 1.5t, or a plain number of MiB; no percentages. Else undefined. */
export const volumeBytes = (text: string): bigint | undefined => {
  const match = /^\s*(\d+(?:\.\d+)?)([bskmgtpe])?\s*$/i.exec(text)
  const bytes = match === null ? 0 : Number(match[1]) * (volumeUnits[(match[2] ?? 'm').toLowerCase()] ?? 0)
  return bytes >= 1 ? BigInt(Math.round(bytes)) : undefined
}

/** LVM's extent unless a volume group was made with another, bytes. */
const extentBytes = 4n * 2n ** 20n

/** What LVM makes of a size: it rounds up to whole extents. */
export const wholeExtents = (bytes: bigint): bigint => ((bytes + extentBytes - 1n) / extentBytes) * extentBytes
