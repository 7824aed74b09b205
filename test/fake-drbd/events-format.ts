/** `drbdsetup events2`: each object as a record, and what changed between two sights of a host. */
import { type HostState, newestFirst, type Peer, type Resource } from './state.ts'
import { heldDisk, outOfSyncKib, promotion, suspendedBy, syncView, yes } from './views.ts'
import { peerName } from './world.ts'

/** One object of events2. Fields are in printing order. */
export interface EventRecord {
  kind: 'resource' | 'connection' | 'device' | 'peer-device' | 'path'
  resource: string
  key: string
  fields: readonly Field[]
}

export interface Field {
  name: string
  value: string
  statistics: boolean
}

const field = (name: string, value: string | number): Field => ({ name, value: String(value), statistics: false })
const statistic = (name: string, value: string | number): Field => ({ name, value: String(value), statistics: true })

export function recordsOf(host: HostState, now: number): EventRecord[] {
  return Object.values(host.resources).flatMap((resource) => resourceRecords(host, resource, now))
}

function resourceRecords(host: HostState, resource: Resource, now: number): EventRecord[] {
  const name = resource.name
  const { may, score } = promotion(resource)
  const { device } = resource
  const attached = device?.hadDisk === true
  const records: EventRecord[] = [
    {
      kind: 'resource',
      resource: name,
      key: `name:${name}`,
      fields: [
        field('role', resource.role),
        field('suspended', 'no'),
        field('force-io-failures', yes(resource.forceIoFailures)),
        statistic('write-ordering', attached ? 'flush' : 'none'),
        field('may_promote', yes(may)),
        field('promotion_score', score),
      ],
    },
  ]
  for (const peer of newestFirst(resource)) {
    records.push({
      kind: 'connection',
      resource: name,
      key: connectionKey(name, peer),
      fields: [
        field('connection', peer.state),
        field('role', peer.role),
        statistic('congested', 'no'),
        statistic('ap-in-flight', 0),
        statistic('rs-in-flight', 0),
      ],
    })
  }
  if (device !== undefined) {
    records.push({
      kind: 'device',
      resource: name,
      key: `name:${name} volume:${device.volume} minor:${device.minor}`,
      fields: [
        field('backing_dev', heldDisk(resource)),
        field('disk', device.disk),
        field('client', yes(device.client)),
        field('quorum', yes(device.quorum)),
        statistic('size', device.sizeKib),
        ...['read', 'written', 'al-writes', 'bm-writes', 'upper-pending', 'lower-pending'].map((counter) => statistic(counter, 0)),
        statistic('al-suspended', 'no'),
        statistic('blocked', 'no'),
      ],
    })
  }
  for (const peer of newestFirst(resource)) {
    if (device !== undefined) records.push(peerDeviceRecord(host, resource, peer, now))
    if (peer.path !== undefined) {
      records.push({
        kind: 'path',
        resource: name,
        key: `${connectionKey(name, peer)} local:${peer.path.local} peer:${peer.path.remote}`,
        fields: [field('established', yes(peer.state === 'Connected'))],
      })
    }
  }
  return records
}

function peerDeviceRecord(host: HostState, resource: Resource, peer: Peer, now: number): EventRecord {
  const sync = syncView(peer, now)
  return {
    kind: 'peer-device',
    resource: resource.name,
    key: `${connectionKey(resource.name, peer)} volume:${resource.device?.volume ?? 0}`,
    fields: [
      field('replication', peer.replication),
      field('peer-disk', peer.disk),
      field('peer-client', yes(peer.client)),
      field('resync-suspended', suspendedBy(peer)),
      ...(sync === undefined ? [] : [{ ...field('done', sync.donePercent.toFixed(2)) }]),
      statistic('received', Math.round(peer.receivedKib)),
      statistic('sent', Math.round(peer.sentKib)),
      statistic('out-of-sync', outOfSyncKib(host, resource, peer)),
      statistic('pending', 0),
      statistic('unacked', 0),
      ...(sync === undefined ? [] : [statistic('dbdt1', sync.mibPerSecond.toFixed(2)), statistic('eta', sync.mibPerSecond > 0 ? sync.secondsLeft : 'nan')]),
    ],
  }
}

export const connectionKey = (name: string, peer: Peer): string => `name:${name} peer-node-id:${peer.nodeId} conn-name:${peerName(peer)}`

/** An event of one host. Lines are made for each reader, because statistics are wanted or not. */
export interface HostEvent {
  sequence: number
  at: number
  resource: string
  verb: 'create' | 'change' | 'destroy' | 'call' | 'response'
  text: (statistics: boolean) => string
}

const printed = (record: EventRecord, fields: readonly Field[], statistics: boolean): string =>
  [record.kind, record.key, ...fields.filter((one) => statistics || !one.statistics).map((one) => `${one.name}:${one.value}`)].join(' ')

/** `exists` lines of the present state, with the line that ends them. */
export const existing = (records: readonly EventRecord[], statistics: boolean): string[] => [
  ...records.map((record) => `exists ${printed(record, record.fields, statistics)}`),
  'exists -',
]

export interface Change {
  verb: 'create' | 'change' | 'destroy'
  record: EventRecord
  fields: readonly Field[]
}

/** Statistics alone make no event, except the progress of a resync. */
export function changesBetween(before: readonly EventRecord[], after: readonly EventRecord[]): Change[] {
  // Asked for after each step of the machine, nearly always of objects that stay what they were.
  if (before.length === after.length && after.every((record, index) => isStill(before[index], record))) return []
  const changes: Change[] = []
  const old = new Map(before.map((record) => [`${record.kind} ${record.key}`, record]))
  const current = new Set(after.map((record) => `${record.kind} ${record.key}`))
  for (const record of [...before].reverse()) if (!current.has(`${record.kind} ${record.key}`)) changes.push({ verb: 'destroy', record, fields: [] })
  for (const record of after) {
    const previous = old.get(`${record.kind} ${record.key}`)
    if (previous === undefined) {
      changes.push({ verb: 'create', record, fields: record.fields })
      continue
    }
    const values = new Map(previous.fields.map((one) => [one.name, one.value]))
    const differs = record.fields.filter((one) => !one.statistics && values.get(one.name) !== one.value)
    if (differs.length > 0) changes.push({ verb: 'change', record, fields: group(record, differs) })
  }
  return changes
}

/** The same object, no field of which tells anything new. */
const isStill = (before: EventRecord | undefined, after: EventRecord): boolean =>
  before?.key === after.key &&
  before.kind === after.kind &&
  before.fields.length === after.fields.length &&
  after.fields.every((one, index) => before.fields[index]?.name === one.name && (one.statistics || before.fields[index]?.value === one.value))

/** Fields that the kernel always tells together. */
const TOGETHER: Record<EventRecord['kind'], readonly string[]> = {
  resource: ['may_promote', 'promotion_score'],
  connection: [],
  device: ['backing_dev', 'disk', 'client', 'quorum'],
  'peer-device': [],
  path: ['established'],
}

const group = (record: EventRecord, differs: readonly Field[]): Field[] =>
  record.fields.filter(
    (one) =>
      one.statistics ||
      differs.includes(one) ||
      TOGETHER[record.kind].includes(one.name) ||
      (one.name === 'peer-client' && differs.some((other) => other.name === 'peer-disk')),
  )

export const changeText = (change: Change, statistics: boolean): string =>
  `${change.verb} ${printed(change.record, change.verb === 'change' ? withoutStill(change, statistics) : change.fields, statistics)}`

const withoutStill = (change: Change, statistics: boolean): readonly Field[] => change.fields.filter((one) => statistics || !one.statistics)

/** `2026-11-22T08:10:55.176147+00:00`. */
export const timestamp = (at: number): string => {
  const micro = Math.round((at - Math.floor(at)) * 1000)
  return `${new Date(Math.floor(at)).toISOString().slice(0, -1)}${String(micro).padStart(3, '0')}+00:00`
}
