/** DRBD's metadata on a disk, and generations of data. */
import { setTimeout as sleep } from 'node:timers/promises'
import { HiveError } from '../../../proto/errors.ts'
import { configFile } from './resource-store.ts'
import { drbdadm, drbdmeta } from './tools.ts'

/** The generation that create-md writes: no data yet. */
export const justCreated = '0000000000000004'
const zero = '0000000000000000'

export interface Metadata {
  /** Other hosts with a disk that it has room for. */
  readonly maxPeers: number
  /** -1 until it was attached for the first time. */
  readonly nodeId: number
  /** 16 hexadecimal digits, upper case. */
  readonly currentUuid: string
}

export interface Generation {
  readonly current: string
  /** Nothing in the bitmap's and in the older generations. */
  readonly withoutHistory: boolean
}

/** `drbdmeta … dump-md`. Throws HiveError 'invalid-input' for what is none. */
export function parseMetadata(text: string): Metadata {
  const number = (key: string): number => {
    const found = new RegExp(`^${key} (-?\\d+);`, 'm').exec(text)?.[1]
    if (found === undefined) throw new HiveError('invalid-input', `the dump of DRBD's metadata names no ${key}`, { log: text.split('\n').slice(0, 12) })
    return Number(found)
  }
  const current = /^current-uuid 0x([0-9A-Fa-f]{16});/m.exec(text)?.[1]
  if (current === undefined) throw new HiveError('invalid-input', "the dump of DRBD's metadata names no generation", { log: text.split('\n').slice(0, 12) })
  return { maxPeers: number('max-peers'), nodeId: number('node-id'), currentUuid: current.toUpperCase() }
}

/**
 * The metadata at the end of a disk; undefined where drbdmeta sees none, which alone is no proof that there was never any. Reads only, also
 * under a device that is attached: then it may be some seconds old.
 */
export async function readMetadata(minor: number, disk: string, signal?: AbortSignal): Promise<Metadata | undefined> {
  for (let tries = 1; ; tries++) {
    try {
      // --force: read it although the disk is in use or was not detached in order.
      const { stdout } = await drbdmeta(['--force', `${minor}`, 'v09', disk, 'internal', 'dump-md'], { readOnly: true, ...withSignal(signal) })
      return parseMetadata(stdout)
    } catch (error) {
      if (says(error, /No valid meta.?data found/i)) return undefined
      // drbdmeta does not wait for another one at the same minor, which is done in a moment.
      if (tries === lockTries || !says(error, /lock on .* held by/)) throw error
      await sleep(lockPause, undefined, withSignal(signal))
    }
  }
}

const lockTries = 10
/** Milliseconds. */
const lockPause = 200
const says = (error: unknown, what: RegExp): boolean => error instanceof HiveError && error.log.some((line) => what.test(line))

/** Writes new metadata. Never forced: drbdmeta itself refuses a disk that holds metadata or a file system. */
export async function createMetadata(minor: number, disk: string, maxPeers: number, signal?: AbortSignal): Promise<void> {
  await drbdmeta([`${minor}`, 'v09', disk, 'internal', 'create-md', `${maxPeers}`], { timeout: 120_000, ...withSignal(signal) })
}

/** `drbdadm get-gi`: a line of generations and flags for each peer. */
export function parseGenerations(text: string): readonly Generation[] {
  return text.split('\n').flatMap((line) => {
    const found = /^\s*([0-9A-Fa-f]{16}):([0-9A-Fa-f]{16}):([0-9A-Fa-f]{16}):([0-9A-Fa-f]{16}):/.exec(line)
    if (found === null) return []
    const [, current = '', ...older] = found
    return [{ current: current.toUpperCase(), withoutHistory: older.every((one) => one === zero) }]
  })
}

/** This host's generations towards each peer. */
export async function readGenerations(name: string, signal?: AbortSignal): Promise<readonly Generation[]> {
  return parseGenerations((await drbdadm(['-c', configFile(name), 'get-gi', name], { readOnly: true, ...withSignal(signal) })).stdout)
}

/** Whether no data were ever made here: towards every peer the generation of create-md and nothing before it. */
export const isJustCreated = (generations: readonly Generation[]): boolean =>
  generations.length > 0 && generations.every(({ current, withoutHistory }) => current === justCreated && withoutHistory)

/**
 * KiB of a device on a disk of this size with internal metadata: 4 KiB of its head, 32 KiB of activity log and, for each peer, a bit for
 * each 4 KiB in words of 64 bits, all in whole 4 KiB.
 */
export function deviceKib(diskBytes: bigint, maxPeers: number): bigint {
  const blocks = (diskBytes + 4095n) / 4096n
  const bytesPerPeer = ((blocks + 63n) / 64n) * 8n
  const bitmapKib = ((bytesPerPeer * BigInt(maxPeers) + 4095n) / 4096n) * 4n
  return (diskBytes / 4096n) * 4n - 36n - bitmapKib
}

const withSignal = (signal: AbortSignal | undefined): { signal?: AbortSignal } => (signal === undefined ? {} : { signal })
