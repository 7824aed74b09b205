/** What the follower concludes from: everything that was seen in one look, and nothing else. */
import type { LinkSight } from '../../adapters/network/addresses.ts'
import type { RuleSight } from '../../adapters/network/iptables.ts'

/** What a manager of the swarm says of services that ask something of hosts. */
export interface SwarmSight {
  /** This host's node. */
  readonly nodeId: string
  /** This host is the one that leads. */
  readonly leads: boolean
  readonly nodes: readonly NodeSight[]
  readonly services: readonly ServiceSight[]
  readonly tasks: readonly TaskSight[]
}

export interface NodeSight {
  readonly id: string
  readonly name: string
  /** Swarm has given it up: what ran there is to run elsewhere. */
  readonly dead: boolean
  readonly isManager: boolean
  readonly labels: Readonly<Record<string, string>>
}

export interface ServiceSight {
  readonly id: string
  readonly name: string
  /** ISO 8601. */
  readonly createdAt: string
  readonly labels: Readonly<Record<string, string>>
}

/** A task that swarm wants to run, or to start as soon as its predecessor has ended ("ready"). */
export interface TaskSight {
  readonly id: string
  readonly serviceId: string
  readonly nodeId: string
  readonly desired: 'running' | 'ready'
  readonly runs: boolean
  readonly slot: number
  readonly createdAt: string
  /** '' before it has one. */
  readonly containerId: string
}

export interface HostSight {
  readonly links: readonly LinkSight[]
  /** Of containers on docker_gwbridge, without prefix. */
  readonly containers: ReadonlyMap<string, { readonly 4: string | undefined; readonly 6: string | undefined }>
  readonly rules: readonly RuleSight[]
  /** "4 nat DOCKER" for each chain that is there. */
  readonly chains: ReadonlySet<string>
}
