/**
 * Managers of a swarm in memory: who has which log, who is a member of which raft, and what nodes a leader shows. A member that has a majority of its raft's
 * members elects. Its commands can be made to end at any call, as those of a process that is killed.
 */
import type { SwarmNode } from '#gen/hive/v1/docker.ts'
import type { Clock } from '../../../coordinator/hosts/await-progress.ts'
import type { SwarmPicture } from '../../../coordinator/swarm/observe.ts'
import type { SwarmOperations } from '../../../coordinator/swarm/recover.ts'

export class Killed extends Error {}

interface Docker {
  nodeId: string
  /** Node ids of the raft that it is a member of. */
  members: readonly string[]
  term: bigint
  index: bigint
}

interface SimulatedHost {
  readonly name: string
  up: boolean
  /** undefined: it is in no swarm. */
  docker: Docker | undefined
}

export class SimulatedSwarm {
  time = 0
  readonly hosts: SimulatedHost[]
  /** What the raft of this leader's members agreed on; by any member's id. */
  nodes: SwarmNode[]
  readonly wrong: string[] = []
  readonly forced: string[] = []
  #ids = 0

  constructor(managers: number, ends: readonly { readonly term: bigint; readonly index: bigint }[] = []) {
    const ids = [...Array(managers).keys()].map((i) => `old${i}`)
    this.hosts = ids.map((nodeId, i) => ({
      name: `h${i}`,
      up: true,
      docker: { nodeId, members: ids, term: ends[i]?.term ?? 3n, index: ends[i]?.index ?? 100n },
    }))
    this.nodes = ids.map((id, i) => this.#node(id, `h${i}`, { labels: { rack: String(i), 'hive.reboot': 'x' }, availability: i === 1 ? 'drain' : 'active' }))
  }

  #node(id: string, name: string, given: Partial<SwarmNode> = {}): SwarmNode {
    return {
      id,
      name,
      role: 'manager',
      availability: 'active',
      state: 'ready',
      address: '',
      leader: false,
      reachability: 'reachable',
      labels: {},
      dockerVersion: '',
      ...given,
    }
  }

  readonly clock: Clock = {
    now: () => this.time,
    pause: async (milliseconds, signal) => {
      signal.throwIfAborted()
      this.time += milliseconds
    },
  }

  host(name: string): SimulatedHost {
    const found = this.hosts.find((host) => host.name === name)
    if (found === undefined) throw new Error(`no host ${name}`)
    return found
  }

  /** Of the raft that this host is in: the leader's node id. */
  leaderOf({ up, docker }: SimulatedHost): string | undefined {
    if (!up || docker === undefined) return undefined
    const there = this.hosts.filter(
      (one) => one.up && one.docker !== undefined && docker.members.includes(one.docker.nodeId) && one.docker.members.includes(docker.nodeId),
    )
    return there.length * 2 > docker.members.length ? there[0]?.docker?.nodeId : undefined
  }

  #view(leader: string): readonly SwarmNode[] {
    const members = this.hosts.find(({ docker }) => docker?.nodeId === leader)?.docker?.members ?? []
    // What was removed here is still known to those who were given up.
    const known = this.nodes.some(({ id }) => id === leader) ? this.nodes : members.map((id) => this.#node(id, this.#addressOf(id)))
    return known.map((node) => {
      const up = this.hosts.some((host) => host.up && host.docker?.nodeId === node.id)
      const member = members.includes(node.id)
      return { ...node, state: up ? 'ready' : 'down', leader: node.id === leader, reachability: !member ? '' : up ? 'reachable' : 'unreachable' }
    })
  }

  picture(): SwarmPicture {
    const members = this.hosts.map((host) => {
      const { name, up, docker } = host
      const raft = {
        state: docker === undefined ? 'inactive' : 'active',
        nodeId: docker?.nodeId ?? '',
        address: name,
        manager: docker !== undefined,
        error: '',
        leader: this.leaderOf(host) ?? '',
        managers: (docker?.members ?? []).map((nodeId) => ({ nodeId, address: `${this.#addressOf(nodeId)}:2377` })),
        kept: docker !== undefined,
        term: docker?.term ?? 0n,
        index: docker?.index ?? 0n,
        unreadable: '',
      }
      return { name, shortName: name, address: name, role: 'manager', answers: up, power: up ? 'running' : 'halted', raft: up ? raft : undefined } as const
    })
    const views = this.hosts.flatMap((host): [string, readonly SwarmNode[]][] => {
      const leader = this.leaderOf(host)
      return leader === undefined ? [] : [[host.name, this.#view(leader)]]
    })
    return { members, views: new Map(views) }
  }

  #addressOf(nodeId: string): string {
    return this.nodes.find(({ id }) => id === nodeId)?.name ?? nodeId.replace('old', 'h')
  }

  /** `calls`: after so many the process is dead. */
  access(calls = Number.POSITIVE_INFINITY): { readonly observe: () => Promise<SwarmPicture>; readonly operations: SwarmOperations } {
    let left = calls
    const call = async <T>(work: () => T): Promise<T> => {
      left -= 1
      if (left < 0) throw new Killed()
      if (left > 0) return work()
      // It may have been carried out, or not.
      if (calls % 2 === 0) work()
      throw new Killed()
    }
    const assertLed = (): void => {
      if (this.picture().views.size === 0) throw new Error('the swarm does not have a leader')
    }
    return {
      observe: () => call(() => this.picture()),
      operations: {
        force: (name) =>
          call(() => {
            const host = this.host(name)
            if (this.hosts.some((one) => this.leaderOf(one) !== undefined)) this.wrong.push(`${name} is forced while there is a leader`)
            if (host.docker === undefined) throw new Error('not a manager')
            this.forced.push(name)
            host.docker = { ...host.docker, members: [host.docker.nodeId], term: host.docker.term + 1n }
          }),
        leave: (name) =>
          call(() => {
            const host = this.host(name)
            if (this.leaderOf(host) !== undefined) this.wrong.push(`${name} leaves a swarm that has a leader`)
            host.docker = undefined
          }),
        join: (name, _role, _address, at) =>
          call(() => {
            assertLed()
            const [host, leader] = [this.host(name), this.host(at)]
            if (host.docker !== undefined || leader.docker === undefined) throw new Error('in a swarm already')
            const nodeId = `new${this.#ids++}`
            const members = [...leader.docker.members, nodeId]
            for (const one of this.hosts) if (one.docker !== undefined && members.includes(one.docker.nodeId)) one.docker = { ...one.docker, members }
            host.docker = { nodeId, members, term: leader.docker.term, index: leader.docker.index }
            this.nodes.push(this.#node(nodeId, name))
          }),
        setLabel: (id, label, value) => call(() => this.#change(id, (node) => ({ labels: { ...node.labels, [label]: value } }))),
        setAvailability: (id, availability) => call(() => this.#change(id, () => ({ availability }))),
        remove: (id, inRaft) =>
          call(() => {
            assertLed()
            const led = this.hosts.flatMap((host) => (host.docker !== undefined && this.leaderOf(host) !== undefined ? [host.docker] : []))
            if (led.some(({ members }) => members.includes(id)) && !inRaft) throw new Error('it is a manager, and must be demoted first')
            for (const docker of led) docker.members = docker.members.filter((one) => one !== id)
            this.nodes = this.nodes.filter((node) => node.id !== id)
          }),
      },
    }
  }

  #change(id: string, change: (node: SwarmNode) => Partial<SwarmNode>): void {
    this.nodes = this.nodes.map((node) => (node.id === id ? { ...node, ...change(node) } : node))
  }
}
