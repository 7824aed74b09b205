/**
 * A site of three or more hosts in memory, with its own time: a swarm that moves tasks, volumes that are filled again after a restart, hosts that come back.
 * It notes whatever must never happen. Its commands can be made to end at any call, as those of a process that is killed.
 */
import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import type { HostPicture, NodePicture, ServicePicture, SitePicture, VolumeStates } from '../../../coordinator/guard/picture.ts'
import type { Clock } from '../../../coordinator/hosts/await-progress.ts'
import { markLabel } from '../../../coordinator/hosts/marks.ts'
import type { HostOperations } from '../../../coordinator/hosts/operations.ts'
import type { Host } from '../../../coordinator/inventory/site.ts'
import { HiveError } from '../../../proto/errors.ts'
import { image, imageHere } from '../guard/pictures.ts'

/** Milliseconds of the site's own time. */
const restartTakes = 20_000
const taskTakes = 3_000
const fillTakes = 8_000

export class Killed extends Error {}

interface SimulatedHost {
  readonly name: string
  readonly isHive: boolean
  boot: number
  /** When it is up again; undefined: never. */
  upAt: number | undefined
  fullAt: number
  availability: string
  labels: Record<string, string>
  role: 'manager' | 'worker' | 'none'
}

interface SimulatedService {
  readonly name: string
  readonly mode: 'replicated' | 'global'
  readonly replicas: number
  readonly volume: boolean
  readonly only: string | undefined
  tasks: { node: string; since: number }[]
}

export interface Settings {
  readonly hives?: number
  readonly leader?: number
  /** A host that does not come back once it is restarted. */
  readonly broken?: string
  /** A service that may run on this host alone. */
  readonly pinned?: string
}

export class SimulatedSite {
  time = 0
  leader: string
  readonly hosts: SimulatedHost[]
  readonly services: SimulatedService[]
  readonly rebooted: string[] = []
  /** What must not have come about. */
  readonly wrong: string[] = []
  readonly broken: string | undefined
  /** Hosts that should start anew. */
  readonly stale = new Set<string>()
  /** Hosts whose volumes would not come up once they have started anew. */
  readonly unfit = new Set<string>()

  constructor({ hives = 3, leader = 0, broken, pinned }: Settings = {}) {
    this.broken = broken
    const host = (name: string, isHive: boolean): SimulatedHost => ({
      name,
      isHive,
      boot: 1,
      upAt: 0,
      fullAt: 0,
      availability: 'active',
      labels: {},
      role: isHive ? 'manager' : 'none',
    })
    this.hosts = [...[...Array(hives).keys()].map((i) => host(`h${i}`, true)), host('repo', false)]
    this.leader = `h${leader}`
    const service = (name: string, given: Partial<SimulatedService>): SimulatedService => ({
      name,
      mode: 'replicated',
      replicas: 1,
      volume: false,
      only: undefined,
      tasks: [],
      ...given,
    })
    this.services = [
      service('web', { replicas: 2 }),
      service('db', { volume: true }),
      service('probe', { mode: 'global' }),
      ...(pinned === undefined ? [] : [service('pin', { only: pinned })]),
    ]
    this.#schedule()
    this.time = taskTakes
  }

  get site(): readonly Host[] {
    return this.hosts.map(({ name, isHive }, index) => ({ name, shortName: name, isHive, isFirstHive: index === 0 }) as Host)
  }

  readonly clock: Clock = {
    now: () => this.time,
    pause: async (milliseconds, signal) => {
      signal.throwIfAborted()
      this.pass(milliseconds)
    },
  }

  pass(milliseconds: number): void {
    for (let left = milliseconds; left > 0; left -= 500) {
      this.time += 500
      this.#schedule()
      this.#look()
    }
  }

  /** `calls`: after so many the process is dead. */
  operations(calls = Number.POSITIVE_INFINITY): HostOperations & { readonly power: (host: string, action: 'off' | 'on') => Promise<void> } {
    let left = calls
    // A call of a process that is killed may have been carried out, or not.
    const call = async <T>(work: () => T): Promise<T> => {
      this.pass(500)
      left -= 1
      if (left === 0) {
        if (calls % 2 === 0) work()
        throw new Killed()
      }
      if (left < 0) throw new Killed()
      return work()
    }
    return {
      look: () => call(() => this.picture()),
      bootOf: (name) => call(() => (this.#isUp(name) ? `boot${this.#host(name).boot}` : undefined)),
      settle: () => call(() => undefined),
      setAvailability: (name, availability) =>
        call(() => {
          this.#manage()
          this.#host(name).availability = availability
        }),
      setLabel: (name, label, value) =>
        call(() => {
          this.#manage()
          this.#host(name).labels = { ...this.#host(name).labels, [label]: value }
        }),
      setRole: (name, role) =>
        call(() => {
          this.#manage()
          this.#host(name).role = role
        }),
      leave: (name) =>
        call(() => {
          if (!this.#isUp(name)) throw new HiveError('unreachable', `${name} is off`)
          if (this.#host(name).role === 'manager') this.wrong.push(`${name} leaves as a manager`)
          if (this.services.some(({ tasks }) => tasks.some(({ node }) => node === name))) this.wrong.push(`${name} leaves with tasks on it`)
        }),
      removeNode: (name) =>
        call(() => {
          this.#manage()
          this.#host(name).role = 'none'
        }),
      setMark: (name, mark) =>
        call(() => {
          this.#manage()
          const { isHive } = this.#host(name)
          const label = markLabel({ shortName: name, isHive })
          const carrier = this.#host(isHive ? name : 'h0')
          const { [label]: _, ...others } = carrier.labels
          carrier.labels = mark === '' ? others : { ...others, [label]: mark }
        }),
      power: (name, action) => call(() => this.#power(name, action)),
      restartAdvice: (name) =>
        call(() => ({
          reasons: this.stale.has(name) ? ['runs an old kernel'] : [],
          doubts: this.unfit.has(name) ? ['its next kernel has no DRBD'] : [],
        })),
      reboot: (name, boot) =>
        call(() => {
          if (!this.#isUp(name)) throw new HiveError('unreachable', `${name} is off`)
          if (`boot${this.#host(name).boot}` === boot) this.#restart(name)
        }),
    }
  }

  #restart(name: string): void {
    const host = this.#host(name)
    if (this.hosts.some((other) => other !== host && !this.#isUp(other.name))) this.wrong.push(`${name} restarts while another host is off`)
    if (host.isHive && this.services.some(({ tasks }) => tasks.some(({ node }) => node === name))) this.wrong.push(`${name} restarts with tasks on it`)
    if (host.isHive && !this.hosts.some((other) => other.isHive && other !== host && this.time >= other.fullAt))
      this.wrong.push(`${name} restarts with the last copy`)
    this.rebooted.push(name)
    this.stale.delete(name)
    host.boot += 1
    host.upAt = name === this.broken ? undefined : this.time + restartTakes
    host.fullAt = this.time + restartTakes + fillTakes
    if (this.leader === name) this.leader = this.hosts.find((other) => other.isHive && other !== host)?.name ?? name
  }

  #power(name: string, action: 'off' | 'on'): void {
    const host = this.#host(name)
    if (action === 'off') {
      if (this.hosts.some((other) => other.isHive && other !== host && (!this.#isUp(other.name) || this.time < other.fullAt)))
        this.wrong.push(`${name} loses its power while another host is away`)
      host.upAt = undefined
      if (this.leader === name) this.leader = this.hosts.find((other) => other.isHive && other !== host)?.name ?? name
    } else if (host.upAt === undefined && name !== this.broken) {
      host.boot += 1
      host.upAt = this.time + restartTakes
      host.fullAt = this.time + restartTakes + fillTakes
    }
  }

  /** Hosts that are off, and will be. */
  off(): readonly string[] {
    return this.hosts.filter(({ upAt }) => upAt === undefined).map(({ name }) => name)
  }

  /** A client of the service has an answer. */
  answers(service: string): boolean {
    return this.services.some(({ name, tasks }) => name === service && tasks.some(({ node, since }) => this.#isUp(node) && this.time - since >= taskTakes))
  }

  /** Changes of the swarm need a majority. */
  #manage(): void {
    if (!this.#hasMajority()) throw new HiveError('command-failed', 'the swarm does not have a leader')
  }

  #hasMajority(): boolean {
    const managers = this.hosts.filter(({ role }) => role === 'manager')
    return managers.filter(({ name }) => this.#isUp(name)).length * 2 > managers.length
  }

  #host(name: string): SimulatedHost {
    const found = this.hosts.find((host) => host.name === name)
    if (found === undefined) throw new Error(`no host ${name}`)
    return found
  }

  #isUp(name: string): boolean {
    const { upAt } = this.#host(name)
    return upAt !== undefined && this.time >= upAt
  }

  /** What swarm does: tasks leave hosts that are off or drained, and come up where they may. */
  #schedule(): void {
    if (!this.#hasMajority()) return
    const may = (service: SimulatedService) =>
      this.hosts.filter(
        ({ name, role, availability }) =>
          role !== 'none' && availability === 'active' && this.#isUp(name) && (service.only === undefined || service.only === name),
      )
    for (const service of this.services) {
      service.tasks = service.tasks.filter(({ node }) => this.#isUp(node) && this.#host(node).availability !== 'drain')
      const places = may(service)
      if (service.mode === 'global') {
        for (const { name } of places) if (!service.tasks.some(({ node }) => node === name)) service.tasks.push({ node: name, since: this.time })
        continue
      }
      while (service.tasks.length < service.replicas) {
        const [place] = places.toSorted((a, b) => count(service, a.name) - count(service, b.name))
        if (place === undefined) break
        service.tasks.push({ node: place.name, since: this.time })
      }
    }
  }

  /** What clients of the site see. */
  #look(): void {
    const web = this.services.find(({ name }) => name === 'web')
    if (web !== undefined && !web.tasks.some(({ since }) => this.time - since >= taskTakes)) this.wrong.push(`${this.time}: web does not answer`)
    if (!this.#hasMajority()) this.wrong.push(`${this.time}: the managers have no majority`)
  }

  picture(): SitePicture {
    const swarm = this.#hasMajority()
    const hives = this.hosts.filter(({ isHive }) => isHive)
    return {
      hosts: this.hosts.map(
        ({ name, isHive }): HostPicture => ({ name, shortName: name, isHive, answers: this.#isUp(name), images: isHive ? [imageHere] : undefined }),
      ),
      nodes: swarm
        ? hives
            .filter(({ role }) => role !== 'none')
            .map(
              ({ name, availability, labels, role }): NodePicture => ({
                id: name,
                name,
                role,
                availability,
                state: this.#isUp(name) ? 'ready' : 'down',
                leader: this.leader === name,
                reachability: role !== 'manager' ? '' : this.#isUp(name) ? 'reachable' : 'unreachable',
                labels,
              }),
            )
        : undefined,
      services: swarm ? this.services.map((service) => this.#servicePicture(service)) : undefined,
      volumes: [this.#volume(hives)],
    }
  }

  #servicePicture({ name, mode, replicas, volume, only, tasks }: SimulatedService): ServicePicture {
    return {
      name,
      mode,
      image,
      constraints: only === undefined ? [] : [`node.hostname == ${only}`],
      volumes: volume ? ['data'] : [],
      localVolumes: [],
      hostPorts: [],
      desired: mode === 'global' ? tasks.length : replicas,
      tasks: tasks.map(({ node, since }) => ({ node, state: this.time - since >= taskTakes ? 'running' : 'starting', wanted: true })),
    }
  }

  #volume(hives: readonly SimulatedHost[]): VolumeStates {
    const writer = this.services.find(({ volume }) => volume)?.tasks[0]?.node
    const disk = ({ fullAt }: SimulatedHost): string => (this.time >= fullAt ? 'UpToDate' : 'Inconsistent')
    const status = (host: SimulatedHost, nodeId: number): DrbdResourceStatus => ({
      name: 'data',
      nodeId,
      role: writer === host.name ? 'Primary' : 'Secondary',
      suspended: false,
      forceIoFailures: false,
      devices: [{ volume: 0, minor: 1, diskState: disk(host), client: false, quorum: this.#hasMajority(), sizeKib: 1n, open: false }],
      connections: hives.flatMap((peer, peerNodeId) => {
        if (peer === host) return []
        const up = this.#isUp(peer.name)
        return [
          {
            peerNodeId,
            name: peer.name,
            state: up ? 'Connected' : 'Connecting',
            peerRole: up ? (writer === peer.name ? 'Primary' : 'Secondary') : 'Unknown',
            peerDevices: [
              {
                volume: 0,
                replicationState: up ? 'Established' : 'Off',
                peerDiskState: up ? disk(peer) : 'DUnknown',
                peerClient: false,
                resyncSuspended: 'no',
                outOfSyncKib: 0n,
                percentInSync: 100,
                sync: undefined,
              },
            ],
          },
        ]
      }),
    })
    return {
      name: 'data',
      diskful: new Set(hives.map(({ name }) => name)),
      hosts: new Map(hives.map((host, index) => [host.name, this.#isUp(host.name) ? { status: status(host, index) } : undefined])),
    }
  }

  /** Nothing of planned work is left: no host is cordoned, none is marked. */
  leftovers(): readonly string[] {
    return this.hosts.flatMap(({ name, availability, labels }) => [
      ...(availability === 'active' ? [] : [`${name} is ${availability}`]),
      ...Object.keys(labels).map((label) => `${name} has ${label}`),
    ])
  }
}

const count = ({ tasks }: SimulatedService, name: string): number => tasks.filter(({ node }) => node === name).length
