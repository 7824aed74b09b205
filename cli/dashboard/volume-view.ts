/** Mirrored volumes and their copies as rows. Pure. */
import type { DrbdConnection, DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import type { StageFacts } from '../../coordinator/dashboard/facts.ts'
import { kib } from '../commands/drbd-table.ts'
import { shortHost } from '../render/format.ts'
import { type Mark, mark } from './mark.ts'
import type { ViewInput } from './view.ts'

export interface CopyRow {
  readonly host: string
  readonly disk: Mark
  readonly primary: boolean
  /** Broken connections, and copies that are filled, in words. */
  readonly remarks: readonly Mark[]
  /** How much of this copy is filled, 0 to 1, while it is. */
  readonly fill: number | undefined
}

export interface VolumeRow {
  readonly name: string
  readonly size: string
  readonly state: Mark
  readonly copies: readonly CopyRow[]
}

/** Of mirrored volumes that the inventory or some host has. */
export function volumeRows(site: ViewInput['site'], facts: StageFacts | undefined): readonly VolumeRow[] {
  if (facts === undefined) return []
  const hives = new Set(site.hosts.filter(({ isHive }) => isHive).map(({ name }) => name))
  const hosts = facts.status.hosts.filter(({ name, volumes }) => hives.has(name) || (volumes ?? []).length > 0)
  const seen = hosts.flatMap(({ volumes }) => (volumes ?? []).map(({ name }) => name))
  return [...new Set([...site.mirrored, ...seen])]
    .toSorted((a, b) => a.localeCompare(b))
    .map((name) =>
      rowOf(
        name,
        hosts.map((host) => ({ host: shortHost(host.name), told: host.volumes !== undefined, status: host.volumes?.find((one) => one.name === name) })),
      ),
    )
}

interface Seen {
  readonly host: string
  readonly told: boolean
  readonly status: DrbdResourceStatus | undefined
}

function rowOf(name: string, seen: readonly Seen[]): VolumeRow {
  const statuses = seen.flatMap(({ status }) => status ?? [])
  const size = Math.max(0, ...statuses.flatMap(({ devices }) => devices.map(({ sizeKib }) => Number(sizeKib))))
  const copies = seen.map(copyOf).filter((copy) => copy !== undefined)
  return { name, size: size === 0 ? '' : kib(size), state: stateOf(seen, copies), copies }
}

function stateOf(seen: readonly Seen[], copies: readonly CopyRow[]): Mark {
  const without = seen.filter(({ status }) => status?.devices.some(({ quorum }) => !quorum)).map(({ host }) => host)
  const primaries = copies.filter(({ primary }) => primary).map(({ host }) => host)
  if (seen.every(({ status }) => status === undefined)) return mark(seen.some(({ told }) => told) ? 'up nowhere' : 'no host tells', 'bad')
  if (without.length > 0) return mark(`no quorum on ${without.join(', ')}`, 'bad')
  if (primaries.length > 1) return mark(`Primary on ${primaries.join(' and ')}`, 'bad')
  if (copies.some(({ disk, remarks }) => disk.tone === 'bad' || remarks.some(({ tone }) => tone === 'bad'))) return mark('a copy is missing', 'bad')
  const filled = copies.flatMap(({ fill }) => fill ?? [])
  if (filled.length > 0) return mark(`a copy is filled: ${percent(Math.min(...filled))}`, 'warn')
  if (copies.some(({ disk, remarks }) => disk.tone === 'warn' || remarks.length > 0)) return mark('not whole', 'warn')
  return mark(primaries[0] === undefined ? 'whole, not in use' : `whole, in use on ${primaries[0]}`, 'good')
}

function copyOf({ host, told, status }: Seen): CopyRow | undefined {
  if (!told) return { host, disk: mark('does not answer', 'bad'), primary: false, remarks: [], fill: undefined }
  if (status === undefined) return undefined
  const device = status.devices[0]
  const disk = device === undefined ? mark('no disk', 'bad') : diskMark(device)
  const broken = status.connections.filter(({ state }) => state !== 'Connected')
  return {
    host,
    disk,
    primary: status.role === 'Primary',
    remarks: [...broken.map(({ name, state }) => mark(`${shortHost(name)}: ${state}`, 'bad')), ...status.connections.flatMap(replication)],
    fill: fillOf(status.connections),
  }
}

function diskMark({ diskState, client }: DrbdResourceStatus['devices'][number]): Mark {
  if (client) return mark('no disk, votes', 'quiet')
  return mark(diskState, diskState === 'UpToDate' ? 'good' : diskState === 'Inconsistent' || diskState === 'Consistent' ? 'warn' : 'bad')
}

const isFilled = (replicationState: string): boolean => /^(?:SyncTarget|PausedSyncT|WFBitMapT)$/.test(replicationState)

function fillOf(connections: readonly DrbdConnection[]): number | undefined {
  const parts = connections.flatMap(({ peerDevices }) => peerDevices.filter(({ replicationState }) => isFilled(replicationState)))
  if (parts.length === 0) return undefined
  return Math.min(...parts.map(({ sync, percentInSync }) => clamp((sync?.percentDone ?? percentInSync) / 100)))
}

/** NaN is nothing yet. */
const clamp = (part: number): number => (part >= 0 ? Math.min(1, part) : 0)
export const percent = (part: number): string => `${(Math.floor(part * 1000) / 10).toFixed(1)} %`

/** What a copy is filled from, how fast, and how long yet. */
function replication({ name, peerDevices }: DrbdConnection): readonly Mark[] {
  return peerDevices
    .filter(({ replicationState }) => !['', 'Off', 'Established'].includes(replicationState) && !/^SyncSource$|^PausedSyncS$/.test(replicationState))
    .map(({ replicationState, sync, outOfSyncKib }) => {
      const parts = [
        `${replicationState} ${isFilled(replicationState) ? 'from' : 'with'} ${shortHost(name)}`,
        ...(outOfSyncKib > 0n ? [`${kib(Number(outOfSyncKib))} left`] : []),
        ...(sync !== undefined && sync.mibPerSecond > 0 ? [`${sync.mibPerSecond} MiB/s`] : []),
        ...(sync !== undefined && sync.secondsLeft > 0n ? [`${Math.ceil(Number(sync.secondsLeft) / 60)} min`] : []),
      ]
      return mark(parts.join(', '), 'warn')
    })
}
