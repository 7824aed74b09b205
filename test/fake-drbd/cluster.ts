/**
 * A fake of DRBD 9.3's kernel module on several hosts, with a fake drbdsetup for each: for machines that cannot load the module. It follows
 * recordings of the real one. drbdadm and drbdmeta are not imitated: the real ones run in front of it.
 *
 * No clock, no files, no network: the caller passes the time and what happens, and can write the whole state down and take it up again.
 */
import { type Call, change } from './commands.ts'
import { type Change, changesBetween, changeText, type EventRecord, existing, type HostEvent, recordsOf, timestamp } from './events-format.ts'
import { happen, passTime, settle, type WorldEvent } from './machine.ts'
import { close, type Opening, open, written } from './promotion.ts'
import { read } from './reading.ts'
import { type Result, usage } from './results.ts'
import { type ClusterState, DEFAULT_SETTINGS, type HostState, type Peer, type Resource, type Settings } from './state.ts'
import { peerName, type World } from './world.ts'

export interface RunOptions {
  now: number
  /** the first try of a command that answered `again`. */
  since?: number
}

export interface KernelLine {
  at: number
  host: string
  text: string
}

export interface ClusterOptions {
  hosts: readonly string[]
  settings?: Partial<Settings>
  seed?: number
  now?: number
}

/** Events are kept for readers that come a little late; more than this is dropped at the old end. */
const KEPT_EVENTS = 5_000

export class FakeCluster {
  #state: ClusterState
  readonly #world: World
  #seen = new Map<string, EventRecord[]>()
  #events = new Map<string, HostEvent[]>()
  #log: KernelLine[] = []
  #sequence = 0

  constructor(options: ClusterOptions) {
    this.#state = {
      now: options.now ?? 0,
      seed: options.seed ?? 1,
      settings: { ...DEFAULT_SETTINGS, ...options.settings },
      hosts: Object.fromEntries(options.hosts.map((name) => [name, { name, powered: true, resources: {}, disks: {}, foreignPorts: [] }])),
      cuts: [],
      addresses: {},
    }
    const cluster = this
    this.#world = {
      get state() {
        return cluster.#state
      },
      log: (host, text) => {
        cluster.#log.push({ at: cluster.#state.now, host: host.name, text })
      },
      helper: (host, resource, name, peer) => cluster.#helper(host, resource, name, peer),
      observe: () => cluster.#observe(),
    }
    this.#observe()
  }

  /** Read it, do not write it: changes go through `run`, `event`, `open` and `close`. */
  get state(): ClusterState {
    return this.#state
  }

  get settings(): Settings {
    return this.#state.settings
  }

  host(name: string): FakeHost {
    if (this.#state.hosts[name] === undefined) throw new Error(`the fake DRBD knows no host ${name}`)
    return new FakeHost(this, this.#world, name)
  }

  addHost(name: string): void {
    this.#state.hosts[name] ??= { name, powered: true, resources: {}, disks: {}, foreignPorts: [] }
  }

  /** Something happens outside of DRBD. */
  event(event: WorldEvent, now: number): void {
    this.tick(now)
    if (event.kind === 'write') {
      const host = this.#state.hosts[event.host]
      const resource = Object.values(host?.resources ?? {}).find((one) => one.device?.minor === event.minor)
      if (host !== undefined && resource !== undefined) written(this.#world, { host, resource }, event.kib)
      settle(this.#world)
    } else happen(this.#world, event)
  }

  /** Lets time pass up to `now`; an earlier time than the last one is taken as that. */
  tick(now: number): void {
    passTime(this.#world, Math.max(now, this.#state.now))
  }

  /** Between two ticks, for the caller who changed settings. */
  settle(): void {
    settle(this.#world)
  }

  /** Lines of the kernel's log since the last call. */
  takeKernelLog(): KernelLine[] {
    const lines = this.#log
    this.#log = []
    return lines
  }

  /** events2 of a host after `sequence`; without one, the present state (`exists` lines) and the sequence to go on from. */
  events(host: string, how: { after?: number; resource?: string; statistics?: boolean; timestamps?: boolean }): { lines: string[]; sequence: number } {
    const wanted = (resource: string): boolean => how.resource === undefined || how.resource === resource
    const stamped = (at: number, line: string): string => (how.timestamps === true ? `${timestamp(at)} ${line}` : line)
    const state = this.#state.hosts[host]
    if (how.after === undefined) {
      const records = state === undefined ? [] : recordsOf(state, this.#state.now).filter((record) => wanted(record.resource))
      return { lines: existing(records, how.statistics === true).map((line) => stamped(this.#state.now, line)), sequence: this.#sequence }
    }
    const { after } = how
    const events = (this.#events.get(host) ?? []).filter((one) => one.sequence > after && wanted(one.resource))
    return { lines: events.map((one) => stamped(one.at, one.text(how.statistics === true))), sequence: this.#sequence }
  }

  snapshot(): string {
    return JSON.stringify(this.#state)
  }

  restore(json: string): void {
    this.#state = JSON.parse(json) as ClusterState
    this.#seen = new Map(Object.values(this.#state.hosts).map((host) => [host.name, recordsOf(host, this.#state.now)]))
  }

  #observe(): void {
    for (const host of Object.values(this.#state.hosts)) {
      const records = recordsOf(host, this.#state.now)
      const changes = changesBetween(this.#seen.get(host.name) ?? [], records)
      this.#seen.set(host.name, records)
      for (const one of changes) this.#push(host, one.record.resource, one.verb, changed(one))
    }
  }

  #helper(host: HostState, resource: Resource, name: string, peer: Peer | undefined): void {
    const of = peer === undefined ? '' : ` peer-node-id:${peer.nodeId} conn-name:${peerName(peer)}`
    const where = `name:${resource.name}${of} volume:${resource.device?.volume ?? 0} minor:${resource.device?.minor ?? 0} helper:${name}`
    this.#push(host, resource.name, 'call', () => `call helper ${where}`)
    this.#push(host, resource.name, 'response', () => `response helper ${where} status:0`)
  }

  #push(host: HostState, resource: string, verb: HostEvent['verb'], text: HostEvent['text']): void {
    const list = this.#events.get(host.name) ?? []
    list.push({ sequence: ++this.#sequence, at: this.#state.now, resource, verb, text })
    this.#events.set(host.name, list.length > KEPT_EVENTS ? list.slice(-KEPT_EVENTS) : list)
  }
}

const changed =
  (one: Change) =>
  (statistics: boolean): string =>
    changeText(one, statistics)

/** One host's kernel. */
export class FakeHost {
  readonly #cluster: FakeCluster
  readonly #world: World
  readonly name: string

  constructor(cluster: FakeCluster, world: World, name: string) {
    this.#cluster = cluster
    this.#world = world
    this.name = name
  }

  get #host(): HostState {
    return this.#world.state.hosts[this.name] as HostState
  }

  /** `drbdsetup ARGV…`, without the program's name. */
  run(argv: readonly string[], options: RunOptions): Result {
    this.#cluster.tick(options.now)
    if (!this.#host.powered) throw new Error(`${this.name} has no power`)
    const answer = read(this.#host, this.#world.state.now, argv)
    if (answer !== undefined) return answer
    const call: Call = { world: this.#world, host: this.#host, since: options.since ?? options.now }
    const result = change(call, argv)
    settle(this.#world)
    return result ?? usage(`drbdsetup: the fake knows no command '${argv[0] ?? ''}'`)
  }

  /** open(2) of /dev/drbdMINOR, as a mount or a program does it. `since`: the first try, where it answered `again`. */
  open(opener: { minor: number; id: string; write: boolean; program: string; pid: number }, now: number, since = now): Opening {
    this.#cluster.tick(now)
    const resource = this.#byMinor(opener.minor)
    if (resource === undefined) return { errno: 'ENXIO' }
    const { minor: _, ...rest } = opener
    const result = open(this.#world, { host: this.#host, resource }, { ...rest, at: now }, since)
    settle(this.#world)
    return result
  }

  close(minor: number, id: string, now: number): void {
    this.#cluster.tick(now)
    const resource = this.#byMinor(minor)
    if (resource !== undefined) close(this.#world, { host: this.#host, resource }, id)
    settle(this.#world)
  }

  #byMinor(minor: number): Resource | undefined {
    return Object.values(this.#host.resources).find((one) => one.device?.minor === minor)
  }
}
