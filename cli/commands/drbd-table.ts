/** DRBD resources of all hosts, as people read them. Pure. */
import pc from 'picocolors'
import type { DrbdConnection, DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import { sameHost } from '../../proto/drbd-quorum.ts'
import { columns, shortHost } from '../render/format.ts'

export interface HostStatus {
  readonly host: string
  /** undefined: it did not answer. */
  readonly resources: readonly DrbdResourceStatus[] | undefined
}

/** All volumes that some host tells of. */
const volumesOf = (hosts: readonly HostStatus[]): string[] => [...new Set(hosts.flatMap(({ resources = [] }) => resources.map(({ name }) => name)))].sort()

/** One line a volume, `expected` ones also where they are up nowhere: its minor, size, Primary, each host's disk and broken connections, what is out of sync, quorum. */
export function volumeTable(hosts: readonly HostStatus[], expected: readonly string[]): string {
  if (hosts.every(({ resources }) => resources === undefined)) return 'no host answers'
  const names = [...new Set([...volumesOf(hosts), ...expected])].sort()
  if (names.length === 0) return 'there are no mirrored volumes'
  const head = ['volume', 'minor', 'size', 'primary', ...hosts.map(({ host }) => shortHost(host)), 'out of sync', 'quorum']
  return columns([head.map((cell) => pc.bold(cell)), ...names.map((name) => rowOf(name, hosts))])
}

function rowOf(name: string, hosts: readonly HostStatus[]): string[] {
  const told = hosts.flatMap(({ host, resources = [] }) => resources.filter((one) => one.name === name).map((status) => ({ host, status })))
  const devices = told.flatMap(({ host, status }) => status.devices.map((device) => ({ host, device })))
  const primaries = told.filter(({ status }) => status.role === 'Primary').map(({ host }) => shortHost(host))
  // A Primary on a host that does not answer is still seen by its peers.
  const seen = told.flatMap(({ status }) => status.connections.filter(({ peerRole }) => peerRole === 'Primary').map((one) => shortHost(one.name)))
  const all = [...new Set([...primaries, ...seen])]
  const without = devices.filter(({ device }) => !device.quorum).map(({ host }) => shortHost(host))
  const size = Math.max(0, ...devices.map(({ device }) => Number(device.sizeKib)))
  const behind = Math.max(
    0,
    ...told.flatMap(({ status }) => status.connections.flatMap(({ peerDevices }) => peerDevices.map(({ outOfSyncKib }) => Number(outOfSyncKib)))),
  )
  return [
    name,
    String(devices[0]?.device.minor ?? ''),
    size === 0 ? '' : kib(size),
    all.length > 1 ? pc.red(all.join(' and ')) : (all[0] ?? pc.dim('none')),
    ...hosts.map(({ resources }) => cellOf(name, resources)),
    devices.length === 0 ? '' : behind === 0 ? '0' : pc.yellow(kib(behind)),
    devices.length === 0 ? '' : without.length === 0 ? 'yes' : pc.red(`not on ${without.join(', ')}`),
  ]
}

function cellOf(name: string, resources: readonly DrbdResourceStatus[] | undefined): string {
  if (resources === undefined) return pc.red('no answer')
  const status = resources.find((one) => one.name === name)
  if (status === undefined) return pc.dim('-')
  return [...status.devices.map(diskText), ...status.connections.map(connectionText)].filter((part) => part !== '').join(' ')
}

const good = new Set(['UpToDate'])
const diskText = ({ diskState, client }: { readonly diskState: string; readonly client: boolean }): string =>
  client ? 'diskless' : good.has(diskState) ? pc.green(diskState) : pc.red(diskState)

/** '' for what is as it should be. */
function connectionText({ name, state, peerDevices }: DrbdConnection): string {
  if (state !== 'Connected') return pc.red(`${shortHost(name)}:${state}`)
  return peerDevices
    .filter(({ replicationState }) => !['Established', 'Off'].includes(replicationState))
    .map(({ replicationState, sync, percentInSync }) =>
      pc.yellow(`${shortHost(name)}:${replicationState} ${(sync?.percentDone ?? percentInSync).toFixed(1)} %`),
    )
    .join(' ')
}

/** All of one volume: a block for each host. */
export function volumeDetails(name: string, hosts: readonly (HostStatus & { readonly notes?: readonly string[] })[]): string {
  return hosts
    .flatMap(({ host, resources, notes = [] }) => {
      const status = resources?.find((one) => one.name === name)
      if (resources === undefined) return [`${pc.bold(shortHost(host))}  ${pc.red('no answer')}`]
      if (status === undefined) return [`${pc.bold(shortHost(host))}  ${pc.dim('not up')}`]
      const devices = status.devices.map((device) => `${diskText(device)} ${kib(Number(device.sizeKib))} ${device.quorum ? 'quorum' : pc.red('no quorum')}`)
      const head = `${pc.bold(shortHost(host))}  ${status.role}${status.suspended ? pc.red(' suspended') : ''}  ${devices.join(', ')}`
      return [head, ...status.connections.map((connection) => `  ${peerLine(connection)}`), ...notes.map((note) => pc.dim(`  ${note}`))]
    })
    .join('\n')
}

function peerLine({ name, state, peerRole, peerDevices }: DrbdConnection): string {
  const parts = peerDevices.map(({ replicationState, peerDiskState, peerClient, outOfSyncKib, sync, resyncSuspended }) =>
    [
      peerClient ? 'diskless' : peerDiskState,
      replicationState,
      ...(sync === undefined ? [] : [`${sync.percentDone.toFixed(1)} %`, ...(sync.mibPerSecond > 0 ? [`${sync.mibPerSecond} MiB/s`] : [])]),
      ...(outOfSyncKib === 0n ? [] : [`${kib(Number(outOfSyncKib))} out of sync`]),
      ...(resyncSuspended === 'no' || resyncSuspended === '' ? [] : [`resync waits: ${resyncSuspended}`]),
    ].join(' '),
  )
  return `→ ${shortHost(name)} ${state === 'Connected' ? state : pc.red(state)} ${peerRole}  ${parts.join(', ')}`
}

/** 262052 → "256 MiB". */
export function kib(size: number): string {
  const units = ['KiB', 'MiB', 'GiB', 'TiB']
  let unit = 0
  let value = size
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${value >= 100 || Number.isInteger(value) ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

/** The views that the quorum of one volume is computed from. Who did not answer is left out. */
export const viewsOf = (name: string, hosts: readonly HostStatus[]) =>
  hosts.flatMap(({ host, resources }) => (resources === undefined ? [] : [{ host, status: resources.find((one) => one.name === name) }]))

/** Hosts that have the volume up, or are known to those who have it. */
export const membersOf = (name: string, hosts: readonly HostStatus[]): HostStatus[] => {
  const statuses = hosts.flatMap(({ resources = [] }) => resources.filter((one) => one.name === name))
  return hosts.filter(
    ({ host, resources }) =>
      resources === undefined ||
      resources.some((one) => one.name === name) ||
      statuses.some(({ connections }) => connections.some((connection) => sameHost(connection.name, host))),
  )
}
