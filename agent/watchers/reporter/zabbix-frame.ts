/**
 * Messages of Zabbix' protocols: "ZBXD", a byte of flags, the length of what follows and, where that is compressed, its length before;
 * both of four bytes, or of eight where the message is large. Everything little endian.
 */
import { inflateSync } from 'node:zlib'
import { HiveError } from '../../../proto/errors.ts'

const magic = Buffer.from('ZBXD')
const flag = { zabbix: 0x01, compressed: 0x02, large: 0x04 } as const
/** Bytes of an answer, before and after decompression: what is larger is none that was asked for. */
const limit = 16 * 1024 * 1024

export function encodeFrame(payload: string | Uint8Array): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload) : Buffer.from(payload)
  const header = Buffer.alloc(13)
  magic.copy(header)
  header[4] = flag.zabbix
  header.writeUInt32LE(body.length, 5)
  return Buffer.concat([header, body])
}

export interface FrameHead {
  readonly compressed: boolean
  /** Bytes of the header, and of what follows it. */
  readonly headerLength: number
  readonly bodyLength: number
  /** Bytes after decompression. */
  readonly plainLength: number
}

/** Undefined while there are too few bytes to know. Throws HiveError 'invalid-input' for what is no message of Zabbix, or too large. */
export function readHead(bytes: Buffer): FrameHead | undefined {
  const known = Math.min(bytes.length, magic.length)
  if (bytes.compare(magic, 0, known, 0, known) !== 0) throw new HiveError('invalid-input', 'this is no message of Zabbix')
  if (bytes.length < 5) return undefined
  const flags = bytes[4] ?? 0
  if ((flags & flag.zabbix) === 0 || (flags & ~(flag.zabbix | flag.compressed | flag.large)) !== 0)
    throw new HiveError('invalid-input', `a message of Zabbix has unknown flags ${flags}`)
  const width = (flags & flag.large) === 0 ? 4 : 8
  const headerLength = 5 + 2 * width
  if (bytes.length < headerLength) return undefined
  const read = (at: number): number => (width === 4 ? bytes.readUInt32LE(at) : Number(bytes.readBigUInt64LE(at)))
  const compressed = (flags & flag.compressed) !== 0
  const bodyLength = read(5)
  const plainLength = compressed ? read(5 + width) : bodyLength
  if (bodyLength > limit || plainLength > limit) throw new HiveError('invalid-input', `a message of Zabbix has ${Math.max(bodyLength, plainLength)} bytes`)
  return { compressed, headerLength, bodyLength, plainLength }
}

/** The text of a whole message; undefined while some of it is missing. Throws as readHead does, and where it can't be decompressed. */
export function decodeFrame(bytes: Buffer): string | undefined {
  const head = readHead(bytes)
  if (head === undefined || bytes.length < head.headerLength + head.bodyLength) return undefined
  const body = bytes.subarray(head.headerLength, head.headerLength + head.bodyLength)
  if (!head.compressed) return body.toString('utf8')
  try {
    return inflateSync(body, { maxOutputLength: Math.max(1, head.plainLength) }).toString('utf8')
  } catch (cause) {
    throw new HiveError('invalid-input', 'a message of Zabbix cannot be decompressed', { cause })
  }
}
