/** What DRBD says of its resources: `drbdsetup status --json`, typed. */
import type { DrbdConnection, DrbdDevice, DrbdPeerDevice, DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import { HiveError } from '../../../proto/errors.ts'

type Json = Readonly<Record<string, unknown>>

/**
 * The document of `drbdsetup status [R] --json [--statistics]` of DRBD 9. Throws HiveError 'invalid-input' where it is none: drbdsetup of
 * DRBD 8.4 prints its usage instead. Keys that a version does not have answer '', 0 or false.
 */
export function parseStatus(text: string): readonly DrbdResourceStatus[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new HiveError('invalid-input', 'drbdsetup status --json printed no JSON', { hint: 'is DRBD 9 loaded? cat /proc/drbd', cause, log: lastLines(text) })
  }
  return list(value).map(resource)
}

const resource = (json: Json): DrbdResourceStatus => ({
  name: text(json, 'name'),
  nodeId: number(json, 'node-id'),
  role: text(json, 'role'),
  suspended: flag(json, 'suspended'),
  forceIoFailures: flag(json, 'force-io-failures'),
  devices: list(json['devices']).map(device),
  connections: list(json['connections']).map(connection),
})

const device = (json: Json): DrbdDevice => ({
  volume: number(json, 'volume'),
  minor: number(json, 'minor'),
  diskState: text(json, 'disk-state'),
  client: flag(json, 'client'),
  quorum: flag(json, 'quorum'),
  sizeKib: BigInt(Math.trunc(number(json, 'size'))),
  open: flag(json, 'open'),
})

const connection = (json: Json): DrbdConnection => ({
  peerNodeId: number(json, 'peer-node-id'),
  name: text(json, 'name'),
  state: text(json, 'connection-state'),
  peerRole: text(json, 'peer-role'),
  peerDevices: list(json['peer_devices']).map(peerDevice),
})

const peerDevice = (json: Json): DrbdPeerDevice => ({
  volume: number(json, 'volume'),
  replicationState: text(json, 'replication-state'),
  peerDiskState: text(json, 'peer-disk-state'),
  peerClient: flag(json, 'peer-client'),
  resyncSuspended: text(json, 'resync-suspended'),
  outOfSyncKib: BigInt(Math.trunc(number(json, 'out-of-sync'))),
  percentInSync: number(json, 'percent-in-sync'),
  sync:
    flag(json, 'has-sync-details') || flag(json, 'has-online-verify-details')
      ? {
          percentDone: number(json, 'percent-resync-done'),
          secondsLeft: BigInt(Math.trunc(number(json, 'estimated-seconds-to-finish'))),
          mibPerSecond: number(json, 'db0/dt0 [MiB/s]'),
        }
      : undefined,
})

const list = (value: unknown): readonly Json[] =>
  Array.isArray(value) ? value.filter((item): item is Json => typeof item === 'object' && item !== null && !Array.isArray(item)) : []
const text = (json: Json, key: string): string => (typeof json[key] === 'string' ? json[key] : '')
const flag = (json: Json, key: string): boolean => json[key] === true
/** 0 for what is not finite, too: some versions print nan. */
const number = (json: Json, key: string): number => (typeof json[key] === 'number' && Number.isFinite(json[key]) ? json[key] : 0)
const lastLines = (printed: string): string[] => printed.trimEnd().split('\n').slice(-5)
