/** The current picture of DRBD's resources on this host, kept from events. No I/O. */
import type { DrbdEvent, DrbdObject } from './event-line.ts'

export interface ResourceView {
  readonly name: string
  readonly role: string
  readonly suspended: boolean
  /** An open for writing would promote now. Flaps for half a second while a peer is being lost. */
  readonly mayPromote: boolean
  readonly promotionScore: number
  readonly devices: readonly DeviceView[]
  readonly connections: readonly ConnectionView[]
}
export interface DeviceView {
  readonly volume: number
  readonly minor: number
  readonly disk: string
  /** Diskless on purpose. */
  readonly client: boolean
  readonly quorum: boolean
  readonly backingDevice: string
}
export interface ConnectionView {
  readonly peerNodeId: number
  readonly name: string
  readonly state: string
  readonly role: string
  readonly peerDevices: readonly PeerDeviceView[]
}
export interface PeerDeviceView {
  readonly volume: number
  readonly replication: string
  readonly disk: string
  readonly client: boolean
  readonly outOfSyncKib: number
  readonly resyncSuspended: string
  /** Of a resync or verify that runs. */
  readonly percentDone: number | undefined
  readonly secondsLeft: number | undefined
}

export interface FieldChange {
  readonly key: string
  /** undefined: it was not there. */
  readonly before: string | undefined
  readonly after: string | undefined
}

export interface DrbdChange {
  readonly event: DrbdEvent
  /** What is different, in DRBD's own words. Empty for helpers. */
  readonly changes: readonly FieldChange[]
  /** The whole resource before and after; undefined where it did not or does not exist. */
  readonly before: ResourceView | undefined
  readonly after: ResourceView | undefined
}

type Entry = Omit<DrbdEvent, 'at' | 'verb'>
type Entries = ReadonlyMap<string, Entry>

/** Told while a resync runs, and not taken back at its end. */
const ofResync = ['done', 'eta', 'dbdt1', 'dbdt0']
const settled = new Set(['Off', 'Established'])

/**
 * Invariants:
 * - an initial dump takes effect as a whole, at its end; what another one does not have any more is told as destroyed;
 * - after it each event takes effect at once;
 * - a change that changes nothing is not told.
 */
export class DrbdView {
  #entries: Entries = new Map()
  #dump: Map<string, Entry> | undefined = new Map()
  #complete = false

  /** A new follower begins with a dump. */
  restart(): void {
    this.#dump = new Map()
  }

  /** False until the first dump has ended. */
  get complete(): boolean {
    return this.#complete
  }

  resources(): readonly ResourceView[] {
    return [...new Set([...this.#entries.values()].map(({ resource }) => resource))].flatMap((name) => this.resource(name) ?? [])
  }

  resource(name: string): ResourceView | undefined {
    return viewOf(this.#entries, name)
  }

  /** What the end of the dump changes. */
  dumped(): readonly DrbdChange[] {
    const next = this.#dump ?? new Map<string, Entry>()
    const last = this.#entries
    this.#dump = undefined
    this.#complete = true
    const changes: DrbdChange[] = []
    const tell = (verb: 'exists' | 'change' | 'destroy', entry: Entry, differences: readonly FieldChange[]): void =>
      void changes.push({
        event: { ...entry, at: undefined, verb },
        changes: differences,
        before: viewOf(last, entry.resource),
        after: viewOf(next, entry.resource),
      })
    for (const [key, entry] of last) if (!next.has(key)) tell('destroy', entry, differencesOf(entry.fields, undefined))
    for (const [key, entry] of next) {
      const before = last.get(key)
      const differences = differencesOf(before?.fields, entry.fields)
      if (before === undefined) tell('exists', entry, differences)
      else if (differences.length > 0) tell('change', entry, differences)
    }
    this.#entries = next
    return changes
  }

  apply(event: DrbdEvent): DrbdChange | undefined {
    if (this.#dump !== undefined) {
      this.#dump.set(keyOf(event), event)
      return undefined
    }
    const last = this.#entries
    const before = viewOf(last, event.resource)
    if (event.object === 'helper') return { event, changes: [], before, after: before }
    const next = new Map(last)
    this.#entries = next
    if (event.verb === 'rename') return this.#renamed(event, next, before)
    const key = keyOf(event)
    const known = next.get(key)
    if (event.verb === 'destroy') {
      for (const [other, entry] of last) if (isPartOf(entry, event)) next.delete(other)
      return { event, changes: differencesOf(known?.fields, undefined), before, after: viewOf(next, event.resource) }
    }
    const fields = new Map([...(event.verb === 'change' ? (known?.fields ?? []) : []), ...event.fields])
    if (settled.has(event.fields.get('replication') ?? '')) for (const gone of ofResync) fields.delete(gone)
    next.set(key, { ...event, fields })
    const changes = differencesOf(known?.fields, fields)
    return changes.length === 0 ? undefined : { event, changes, before, after: viewOf(next, event.resource) }
  }

  #renamed(event: DrbdEvent, next: Map<string, Entry>, before: ResourceView | undefined): DrbdChange {
    const name = event.fields.get('new_name') ?? event.resource
    for (const [key, entry] of [...next]) {
      if (entry.resource !== event.resource) continue
      next.delete(key)
      const moved = { ...entry, resource: name }
      next.set(keyOf(moved), moved)
    }
    return { event, changes: [{ key: 'name', before: event.resource, after: name }], before, after: viewOf(next, name) }
  }
}

const keyOf = ({ object, resource, peerNodeId, volume, fields }: Omit<Entry, 'peer'>): string =>
  [object, resource, peerNodeId ?? '', volume ?? '', object === 'path' ? `${fields.get('local')} ${fields.get('peer')}` : ''].join('|')

/** With a resource goes all of it, with a connection its peer devices and paths, with a device the peers' part of its volume. */
function isPartOf(entry: Entry, gone: DrbdEvent): boolean {
  if (entry.resource !== gone.resource) return false
  switch (gone.object) {
    case 'resource':
      return true
    case 'connection':
      return entry.peerNodeId === gone.peerNodeId
    case 'device':
      return entry.volume === gone.volume
    default:
      return keyOf(entry) === keyOf(gone)
  }
}

function differencesOf(before: ReadonlyMap<string, string> | undefined, after: ReadonlyMap<string, string> | undefined): FieldChange[] {
  const keys = new Set([...(before?.keys() ?? []), ...(after?.keys() ?? [])])
  return [...keys].flatMap((key) => {
    const change = { key, before: before?.get(key), after: after?.get(key) }
    return change.before === change.after ? [] : [change]
  })
}

function viewOf(entries: Entries, name: string): ResourceView | undefined {
  const own = entries.get(keyOf({ object: 'resource', resource: name, peerNodeId: undefined, volume: undefined, fields: new Map() }))
  if (own === undefined) return undefined
  const parts = [...entries.values()].filter(({ resource }) => resource === name)
  const of = (object: DrbdObject): Entry[] => parts.filter((entry) => entry.object === object)
  const peerDevices = of('peer-device')
  return {
    name,
    role: text(own, 'role'),
    suspended: !['', 'no'].includes(text(own, 'suspended')),
    mayPromote: flag(own, 'may_promote'),
    promotionScore: number(own, 'promotion_score') ?? 0,
    devices: of('device').map((entry) => ({
      volume: entry.volume ?? 0,
      minor: number(entry, 'minor') ?? 0,
      disk: text(entry, 'disk'),
      client: flag(entry, 'client'),
      quorum: flag(entry, 'quorum'),
      backingDevice: text(entry, 'backing_dev'),
    })),
    connections: of('connection').map((entry) => ({
      peerNodeId: entry.peerNodeId ?? 0,
      name: entry.peer ?? '',
      state: text(entry, 'connection'),
      role: text(entry, 'role'),
      peerDevices: peerDevices.filter(({ peerNodeId }) => peerNodeId === entry.peerNodeId).map(peerDeviceOf),
    })),
  }
}

const peerDeviceOf = (entry: Entry): PeerDeviceView => ({
  volume: entry.volume ?? 0,
  replication: text(entry, 'replication'),
  disk: text(entry, 'peer-disk'),
  client: flag(entry, 'peer-client'),
  outOfSyncKib: number(entry, 'out-of-sync') ?? 0,
  resyncSuspended: text(entry, 'resync-suspended'),
  percentDone: number(entry, 'done'),
  secondsLeft: number(entry, 'eta'),
})

const text = ({ fields }: Entry, key: string): string => fields.get(key) ?? ''
const flag = (entry: Entry, key: string): boolean => text(entry, key) === 'yes'
/** undefined for nan, too: `eta:nan` is printed at the beginning of a resync. */
function number(entry: Entry, key: string): number | undefined {
  const value = Number.parseFloat(text(entry, key))
  return Number.isFinite(value) ? value : undefined
}
