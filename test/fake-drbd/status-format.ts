/** `drbdsetup status` in its three shapes. */
import { type HostState, type Peer, peersOf, type Resource } from './state.ts'
import { heldDisk, outOfSyncKib, suspendedBy, syncView, yes } from './views.ts'
import { peerName } from './world.ts'

const COLUMNS = 79

export function statusText(host: HostState, resources: readonly Resource[], now: number, how: { verbose: boolean; statistics: boolean }): string {
  if (resources.length === 0) return '# No currently configured DRBD found.\n'
  return resources.map((resource) => `${one(host, resource, now, how)}\n`).join('')
}

/** Words that wrap as drbdsetup wraps them: continued lines are four deeper. */
function wrapped(indent: number, words: readonly (string | false)[]): string {
  const lines: string[] = []
  let line = ' '.repeat(indent)
  let fresh = true
  for (const word of words) {
    if (word === false) continue
    if (!fresh && line.length + 1 + word.length > COLUMNS) {
      lines.push(line)
      line = `${' '.repeat(indent + 4)}${word}`
    } else line += fresh ? word : ` ${word}`
    fresh = false
  }
  return `${[...lines, line].join('\n')}\n`
}

function one(host: HostState, resource: Resource, now: number, { verbose, statistics }: { verbose: boolean; statistics: boolean }): string {
  const { device } = resource
  const peers = peersOf(resource)
  let text = wrapped(0, [
    resource.name,
    verbose && `node-id:${resource.nodeId}`,
    `role:${resource.role}`,
    verbose && 'suspended:no',
    (verbose || resource.forceIoFailures) && `force-io-failures:${yes(resource.forceIoFailures)}`,
  ])
  if (statistics) text += `    write-ordering:${device?.hadDisk === true ? 'flush' : 'none'}\n`
  if (device !== undefined) {
    const client = device.disk === 'Diskless' && `client:${yes(device.client)}`
    text += wrapped(2, [
      (verbose || device.volume !== 0) && `volume:${device.volume}`,
      verbose && `minor:${device.minor}`,
      `disk:${device.disk}`,
      client,
      verbose && `backing_dev:${heldDisk(resource)}`,
      (verbose || !device.quorum) && `quorum:${yes(device.quorum)}`,
    ])
    if (statistics) {
      text += wrapped(6, [
        `size:${device.sizeKib}`,
        'read:0',
        'written:0',
        'al-writes:0',
        'bm-writes:0',
        'upper-pending:0',
        'lower-pending:0',
        'al-suspended:no',
        'blocked:no',
      ]).replace('\n          ', '\n      ')
    }
  }
  for (const peer of peers) text += connection(host, resource, peer, now, { verbose, statistics })
  return text
}

function connection(host: HostState, resource: Resource, peer: Peer, now: number, { verbose, statistics }: { verbose: boolean; statistics: boolean }): string {
  const connected = peer.state === 'Connected'
  let text = wrapped(2, [
    peerName(peer),
    verbose && `node-id:${peer.nodeId}`,
    (verbose || !connected) && `connection:${peer.state}`,
    (verbose || connected) && `role:${peer.role}`,
    statistics && 'congested:no',
  ])
  if (statistics) text += '      ap-in-flight:0 rs-in-flight:0\n'
  if (!(connected || verbose) || resource.device === undefined) return text
  const sync = syncView(peer, now)
  const suspended = peer.suspended.length > 0 || verbose
  const words = [
    (verbose || resource.device.volume !== 0) && `volume:${resource.device.volume}`,
    (verbose || (peer.replication !== 'Established' && peer.replication !== 'Off')) && `replication:${peer.replication}`,
    `peer-disk:${peer.disk}`,
    (peer.disk === 'Diskless' || peer.client) && `peer-client:${yes(peer.client)}`,
    sync !== undefined && `done:${sync.donePercent.toFixed(2)}`,
  ]
  const breaks = sync !== undefined
  text += wrapped(4, breaks ? words : [...words, suspended && `resync-suspended:${suspendedBy(peer)}`])
  if (breaks && suspended) text += `        resync-suspended:${suspendedBy(peer)}\n`
  if (statistics) {
    text += wrapped(8, [
      `received:${Math.round(peer.receivedKib)}`,
      `sent:${Math.round(peer.sentKib)}`,
      `out-of-sync:${outOfSyncKib(host, resource, peer)}`,
      'pending:0',
      'unacked:0',
      sync !== undefined && `dbdt1:${sync.mibPerSecond.toFixed(2)}`,
    ])
    if (sync !== undefined) text += `        eta:${sync.secondsLeft}\n`
  }
  return text
}

export function statusJson(host: HostState, resources: readonly Resource[], now: number): string {
  return `[\n${resources.map((resource) => jsonResource(host, resource, now)).join(',\n')}${resources.length === 0 ? '' : '\n'}]\n\n`
}

function jsonResource(host: HostState, resource: Resource, now: number): string {
  const { device } = resource
  const devices =
    device === undefined
      ? ' ]'
      : `
    {
      "volume": ${device.volume},
      "minor": ${device.minor},
      "disk-state": "${device.disk}",
      "client": ${device.client},
      "quorum": ${device.quorum},
      "size": ${device.sizeKib},
      "read": 0,
      "written": 0,
      "al-writes": 0,
      "bm-writes": 0,
      "upper-pending": 0,
      "lower-pending": 0
    } ]`
  const connections = peersOf(resource)
    .map((peer) => jsonConnection(host, resource, peer, now))
    .join(',')
  return `{
  "name": "${resource.name}",
  "node-id": ${resource.nodeId},
  "role": "${resource.role}",
  "suspended": false,
  "suspended-user": false,
  "suspended-no-data": false,
  "suspended-fencing": false,
  "suspended-quorum": false,
  "force-io-failures": ${resource.forceIoFailures},
  "write-ordering": "${device?.hadDisk === true ? 'flush' : 'none'}",
  "devices": [${devices},
  "connections": [${connections} ]
}`
}

function jsonConnection(host: HostState, resource: Resource, peer: Peer, now: number): string {
  const devices = resource.device === undefined ? '' : jsonPeerDevice(host, resource, peer, now)
  return `
    {
      "peer-node-id": ${peer.nodeId},
      "name": "${peerName(peer)}",
      "connection-state": "${peer.state}",${' '}
      "congested": false,
      "peer-role": "${peer.role}",
      "ap-in-flight": 0,
      "rs-in-flight": 0,
      "peer_devices": [${devices} ]
    }`
}

function jsonPeerDevice(host: HostState, resource: Resource, peer: Peer, now: number): string {
  const dirty = outOfSyncKib(host, resource, peer)
  const size = resource.device?.sizeKib ?? 0
  const sync = syncView(peer, now)
  const details = sync === undefined ? '' : syncDetails(sync)
  return `
        {
          "volume": ${resource.device?.volume ?? 0},
          "replication-state": "${peer.replication}",
          "peer-disk-state": "${peer.disk}",
          "peer-client": ${peer.client},
          "resync-suspended": "${suspendedBy(peer)}",
          "received": ${Math.round(peer.receivedKib)},
          "sent": ${Math.round(peer.sentKib)},
          "out-of-sync": ${dirty},
          "pending": 0,
          "unacked": 0,
          "has-sync-details": ${sync !== undefined},
          "has-online-verify-details": ${sync?.verify === true},
          "percent-in-sync": ${(size === 0 ? 100 : Math.max(0, 100 - (dirty / size) * 100)).toFixed(2)}${details}
        }`
}

function syncDetails(sync: NonNullable<ReturnType<typeof syncView>>): string {
  const copiedSectors = Math.round((sync.totalKib * sync.donePercent) / 50)
  const speed = sync.mibPerSecond.toFixed(2)
  const verify = sync.verify
    ? `
          "ov-start-sector": 0,
          "ov-stop-sector": -1,
          "ov-position": ${copiedSectors},
          "ov-left": ${Math.round(sync.totalKib * 2) - copiedSectors},
          "ov-skipped": 0,`
    : ''
  return `,
          "rs-total": ${Math.round(sync.totalKib * 2)},
          "rs-dt-start-ms": ${Math.round(sync.elapsedMs)},
          "rs-paused-ms": 0,
          "rs-dt0-ms": ${Math.round(sync.elapsedMs)},
          "rs-db0-sectors": ${copiedSectors},
          "rs-dt1-ms": ${Math.round(sync.elapsedMs)},
          "rs-db1-sectors": ${copiedSectors},
          "rs-failed": 0,
          "rs-same-csum": 0,${verify}
          "want": 0.00,
          "db0/dt0 [MiB/s]": ${speed},
          "db1/dt1 [MiB/s]": ${speed},
          "estimated-seconds-to-finish": ${sync.secondsLeft},
          "db/dt [MiB/s]": ${speed},
          "percent-resync-done": ${sync.donePercent.toFixed(2)}`
}
