/** The state machine with a clock: what the lab asks of it, in the lab's words. */
import { FakeCluster } from '../cluster.ts'
import type { HostState, Metadata, Peer, Resource } from '../state.ts'
import { peersOf } from '../state.ts'
import { promotion } from '../views.ts'
import { peerName } from '../world.ts'

export interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export type Mounted = 'no' | 'read-only' | 'writable'

/** One device that a host has configured. */
export interface MachineDevice {
  readonly resource: string
  readonly minor: number
  readonly sizeKib: number
  /** An open for writing would promote it, or it is Primary. */
  readonly mayOpen: boolean
  /** What it writes fails. */
  readonly fails: boolean
  /** The path of its disk, where that holds the volume's data. */
  readonly backing: string | undefined
  /** It may become Primary although another one cannot be seen: two can have data of their own then. */
  readonly withoutQuorum: boolean
  /** Hosts whose disks have the same data. */
  readonly together: readonly string[]
  /** The host that its disk is being filled from. */
  readonly filledFrom: string | undefined
}

/** A TCP port of a resource on one host. */
export interface MachinePort {
  readonly port: number
  /** It listens there now. */
  readonly active: boolean
}

/** KiB a second of DRBD's time. */
const usualResync = 10_240
const slowResync = 512

const hostOf = (peer: Peer): string => peerName(peer).split('.')[0] ?? ''

const openerId = 'mount'

export class FakeMachine {
  readonly #cluster: FakeCluster
  readonly #speed: number
  readonly #begin = Date.now()
  readonly #started = performance.now()
  /** By host. */
  readonly #kernelLog = new Map<string, { readonly at: Date; readonly text: string }[]>()
  /** Mounts that the machine has not agreed to yet, with the time of the first try. */
  readonly #opening = new Map<string, { readonly host: string; readonly minor: number; readonly write: boolean; readonly since: number }>()
  /** HOST MINOR of mounts that it refused: nothing may be written there. */
  readonly #refused = new Set<string>()

  readonly #onKernelLine: (host: string, text: string) => void

  /** `speed`: how many times faster than the clock DRBD's own times pass. */
  constructor(speed: number, onKernelLine: (host: string, text: string) => void) {
    this.#speed = speed
    this.#onKernelLine = onKernelLine
    this.#cluster = new FakeCluster({ hosts: [], now: this.#begin })
  }

  #now(): number {
    return Math.floor(this.#begin + (performance.now() - this.#started) * this.#speed)
  }

  /** Time has passed. */
  tick(): void {
    const now = this.#now()
    this.#cluster.tick(now)
    const { settings } = this.#cluster
    if (!settings.raceOnReturn) settings.resyncKibPerSecond = usualResync
    for (const [key, { host, minor, write, since }] of this.#opening) this.#open(key, host, minor, write, since)
    for (const { host, text } of this.#cluster.takeKernelLog()) {
      const lines = this.#kernelLog.get(host) ?? []
      lines.push({ at: new Date(), text })
      this.#kernelLog.set(host, lines.slice(-5000))
      this.#onKernelLine(host, text)
    }
  }

  /** `drbdsetup ARGV`. A command that waits for something answers when it is there. */
  async run(host: string, argv: readonly string[]): Promise<Outcome> {
    const since = this.#now()
    for (;;) {
      const { again, code, stdout, stderr } = this.#cluster.host(host).run(argv, { now: this.#now(), since })
      if (again === undefined) return { code, stdout, stderr }
      await new Promise((resolve) => setTimeout(resolve, Math.max(10, (again - this.#now()) / this.#speed)))
    }
  }

  /** `events2` without --now: what there is, then what changes, until it is stopped. undefined for any other command. */
  follow(host: string, argv: readonly string[], onText: (text: string) => void): (() => void) | undefined {
    const [command, resource] = argv.filter((word) => !word.startsWith('-'))
    if (command !== 'events2' || argv.includes('--now')) return undefined
    const how = {
      ...(resource === undefined || resource === 'all' ? {} : { resource }),
      statistics: argv.includes('--statistics'),
      timestamps: argv.includes('--timestamps'),
    }
    let { lines, sequence } = this.#cluster.events(host, how)
    const tell = (): void => {
      if (lines.length > 0) onText(lines.map((line) => `${line}\n`).join(''))
    }
    tell()
    const timer = setInterval(() => {
      ;({ lines, sequence } = this.#cluster.events(host, { ...how, after: sequence }))
      tell()
    }, 50)
    return () => clearInterval(timer)
  }

  power(host: string, on: boolean): void {
    this.#cluster.addHost(host)
    for (const key of this.#opening.keys()) if (key.startsWith(`${host} `)) this.#opening.delete(key)
    for (const key of this.#refused) if (key.startsWith(`${host} `)) this.#refused.delete(key)
    this.#cluster.event({ kind: 'power', host, on }, this.#now())
    if (on) this.#kernelLog.delete(host)
  }

  link(a: string, b: string, up: boolean): void {
    const isUp = !this.#cluster.state.cuts.includes([a, b].sort().join('|'))
    if (isUp !== up) this.#cluster.event({ kind: 'link', between: [a, b], up }, this.#now())
  }

  /** A file system came to be mounted from the device, or is no longer. */
  mounted(host: string, minor: number, how: Mounted): void {
    const key = `${host} ${minor}`
    if (how !== 'no') this.#open(key, host, minor, how === 'writable', this.#now())
    else {
      this.#opening.delete(key)
      this.#refused.delete(key)
      this.#cluster.host(host).close(minor, openerId, this.#now())
    }
  }

  #open(key: string, host: string, minor: number, write: boolean, since: number): void {
    this.#opening.delete(key)
    const answer = this.#cluster.host(host).open({ minor, id: openerId, write, program: 'mount', pid: 1 }, this.#now(), since)
    if ('again' in answer) this.#opening.set(key, { host, minor, write, since })
    else if ('errno' in answer) this.#refused.add(key)
  }

  written(host: string, minor: number, kib: number): void {
    this.#cluster.event({ kind: 'write', host, minor, kib }, this.#now())
  }

  foreignPort(host: string, port: number, taken: boolean): void {
    if (this.#host(host)?.foreignPorts.includes(port) !== taken) this.#cluster.event({ kind: 'port-taken', host, port, taken }, this.#now())
  }

  /** A backing device came (empty), grew, or went with all that it held (undefined). */
  disk(host: string, path: string, sizeKib: number | undefined, empty = false): void {
    this.#cluster.addHost(host)
    if (sizeKib === undefined) this.#cluster.event({ kind: 'disk-broken', host, path, broken: true }, this.#now())
    else this.#cluster.event({ kind: 'disk', host, path, sizeKib, empty }, this.#now())
  }

  /** A backing device fails, or works again, with what it holds. */
  breakDisk(host: string, path: string, broken: boolean): void {
    this.#cluster.event({ kind: 'disk-broken', host, path, broken }, this.#now())
  }

  /** drbdmeta has written metadata, or wiped it (undefined). */
  metadataMade(host: string, path: string, maxPeers: number | undefined): void {
    this.#cluster.event(maxPeers === undefined ? { kind: 'wipe-metadata', host, path } : { kind: 'create-metadata', host, path, maxPeers }, this.#now())
  }

  /** The metadata that lives: what is on the disk itself is as create-md left it. */
  metadataOf(host: string, path: string): Metadata | undefined {
    return this.#host(host)?.disks[path]?.meta
  }

  devices(host: string): readonly MachineDevice[] {
    return this.#resources(host).flatMap((resource) => {
      const { device } = resource
      if (device === undefined) return []
      const primary = resource.role === 'Primary'
      const peers = peersOf(resource)
      const reachesData = device.disk === 'UpToDate' || peers.some((peer) => peer.state === 'Connected' && peer.disk === 'UpToDate')
      const fails = this.#refused.has(`${host} ${device.minor}`) || (primary && (resource.forceIoFailures || !device.quorum || !reachesData))
      const hasData = ['UpToDate', 'Consistent', 'Outdated'].includes(device.disk)
      return [
        {
          resource: resource.name,
          minor: device.minor,
          sizeKib: device.sizeKib,
          mayOpen: primary ? !fails : promotion(resource).may,
          fails,
          backing: hasData ? device.backing : undefined,
          withoutQuorum: (resource.options['quorum'] ?? 'off') === 'off',
          together: peers.filter((peer) => peer.state === 'Connected' && peer.disk === 'UpToDate').map(hostOf),
          filledFrom: peers.filter((peer) => peer.replication === 'SyncTarget').map(hostOf)[0],
        },
      ]
    })
  }

  ports(host: string): readonly MachinePort[] {
    return this.#resources(host).flatMap((resource) =>
      peersOf(resource).flatMap((peer) =>
        peer.path === undefined ? [] : [{ port: Number(peer.path.local.split(':').at(-1)), active: peer.state !== 'StandAlone' }],
      ),
    )
  }

  isAttached = (host: string, path: string): boolean => this.#resources(host).some(({ device }) => device?.backing === path)

  kernelLog = (host: string): readonly { readonly at: Date; readonly text: string }[] => this.#kernelLog.get(host) ?? []

  /** The metadata on a disk is another node's, as if the disk came from there. */
  renumber(host: string, path: string, nodeId: number): void {
    const meta = this.metadataOf(host, path)
    if (meta === undefined) throw new Error(`${host} has no metadata on ${path}`)
    meta.nodeId = nodeId
  }

  /**
   * The connection of the next Primary that was killed and returns fails once, as recorded: StandAlone on one side, and it is no split
   * brain. Its first resync must still run when the second peer connects, which takes a second here.
   */
  raceOnReturn(): void {
    Object.assign(this.#cluster.settings, { raceOnReturn: true, resyncKibPerSecond: slowResync })
  }

  #host(host: string): HostState | undefined {
    return this.#cluster.state.hosts[host]
  }

  #resources(host: string): readonly Resource[] {
    return Object.values(this.#host(host)?.resources ?? {})
  }
}
