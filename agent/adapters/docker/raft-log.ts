/**
 * How far a manager's raft log goes, read from its files while docker runs or not. Entries are encrypted, what surrounds them is not. The format is that of
 * etcd's write-ahead log, which swarmkit keeps in SWARM/raft/wal-v3-encrypted, and of its snapshots beside it.
 */
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isNewer, type RaftEnd } from '../../../proto/raft-order.ts'

/** undefined: there is no log. Rejects where there is one that can't be read. `folder`: docker's root folder. */
export async function endOfRaftLog(folder: string): Promise<RaftEnd | undefined> {
  const raft = join(folder, 'swarm', 'raft')
  const [logs, snapshots] = await Promise.all([namesIn(join(raft, 'wal-v3-encrypted'), '.wal'), namesIn(join(raft, 'snap-v3-encrypted'), '.snap')])
  const ofSnapshot = snapshots.map(endInName).findLast((end) => end !== undefined)
  // A file that was just begun has no entry yet.
  for (const name of logs.toReversed()) {
    const end = await lastEntry(join(raft, 'wal-v3-encrypted', name))
    if (end !== undefined) return ofSnapshot !== undefined && isNewer(ofSnapshot, end) ? ofSnapshot : end
  }
  return ofSnapshot
}

async function namesIn(folder: string, ending: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith(ending)).sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** TERM-INDEX.snap, both of 16 hexadecimal digits. */
function endInName(name: string): RaftEnd | undefined {
  const [, term, index] = /^([0-9a-f]{16})-([0-9a-f]{16})\.snap$/.exec(name) ?? []
  return term === undefined || index === undefined ? undefined : { term: BigInt(`0x${term}`), index: BigInt(`0x${index}`) }
}

const entryType = 2n
/** Bytes: more than any record of swarmkit's, which puts at most 1.5 MB into one. */
const longest = 64 * 1024 * 1024

async function lastEntry(path: string): Promise<RaftEnd | undefined> {
  const file = await open(path, 'r')
  try {
    let end: RaftEnd | undefined
    const head = Buffer.alloc(8)
    for (let at = 0; ; ) {
      if ((await file.read(head, 0, 8, at)).bytesRead < 8) return end
      const length = recordLength(head)
      // Space that is kept for what comes.
      if (length === undefined) return end
      const { data, whole } = length
      if (data > longest) return end
      const record = Buffer.alloc(data)
      // Docker is writing it, or died meanwhile: it does not count for docker either.
      if ((await file.read(record, 0, data, at + 8)).bytesRead < data) return end
      end = entryIn(record) ?? end
      at += 8 + whole
    }
  } finally {
    await file.close()
  }
}

/** The lowest 56 bits are the length; where the highest bit is set, the three lowest of the highest byte are the padding. undefined: nothing comes. */
function recordLength(head: Buffer): { readonly data: number; readonly whole: number } | undefined {
  const field = head.readBigUInt64LE()
  if (field === 0n) return undefined
  const data = Number(field & 0xff_ffff_ffff_ffffn)
  const padding = field >> 63n === 1n ? Number((field >> 56n) & 7n) : 0
  return { data, whole: data + padding }
}

/** walpb.Record {type = 1, crc = 2, data = 3} around raftpb.Entry {type = 1, term = 2, index = 3, data = 4}. */
export function entryIn(record: Buffer): RaftEnd | undefined {
  const outer = fieldsOf(record)
  const data = outer?.get(3)
  if (outer?.get(1) !== entryType || !Buffer.isBuffer(data)) return undefined
  const inner = fieldsOf(data)
  const [term, index] = [inner?.get(2) ?? 0n, inner?.get(3) ?? 0n]
  return typeof term === 'bigint' && typeof index === 'bigint' && index > 0n ? { term, index } : undefined
}

/** Fields of a protobuf message by their numbers, the last of each; undefined for what is none. */
function fieldsOf(message: Buffer): ReadonlyMap<number, bigint | Buffer> | undefined {
  const fields = new Map<number, bigint | Buffer>()
  let at = 0
  const varint = (): bigint | undefined => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = message[at]
      if (byte === undefined) return undefined
      at += 1
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    return undefined
  }
  while (at < message.length) {
    const tag = varint()
    if (tag === undefined) return undefined
    const value = varint()
    if (value === undefined) return undefined
    const number = Number(tag >> 3n)
    if ((tag & 7n) === 0n) fields.set(number, value)
    else if ((tag & 7n) === 2n) {
      const length = Number(value)
      if (at + length > message.length) return undefined
      fields.set(number, message.subarray(at, at + length))
      at += length
    } else return undefined
  }
  return fields
}
