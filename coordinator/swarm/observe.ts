/** What all hosts of the swarm say of it, one by one: where it has no majority, no manager speaks for the others. */
import type { RaftResponse, SwarmNode } from '#gen/hive/v1/docker.ts'
import { messageOf } from '../../proto/errors.ts'
import type { SiteAgents } from '../client/site-agents.ts'
import type { Host, Site } from '../inventory/site.ts'
import { swarmRole } from '../phases/swarm-role.ts'
import type { HostPower } from '../providers/provider.ts'

export interface SeenMember {
  readonly name: string
  readonly shortName: string
  readonly address: string
  /** By the inventory. */
  readonly role: 'manager' | 'worker'
  /** Its agent answers. */
  readonly answers: boolean
  /** As the provider says. */
  readonly power: HostPower
  /** What it has of the swarm; undefined: it, or its docker, does not answer. */
  readonly raft: RaftResponse | undefined
  /** Why an agent that answers does not tell: its docker does not answer, or it is too old to be asked. */
  readonly silence?: string | undefined
}

export interface SwarmPicture {
  /** Hive hosts in the inventory's order. */
  readonly members: readonly SeenMember[]
  /** By the inventory name of a manager that has a leader: all nodes as it sees them. Empty: nobody has one. */
  readonly views: ReadonlyMap<string, readonly SwarmNode[]>
}

export interface ObserveInput {
  readonly site: Pick<Site, 'hosts'>
  readonly agents: Pick<SiteAgents, 'askAll' | 'forget'>
  readonly power: (signal: AbortSignal) => Promise<ReadonlyMap<string, HostPower>>
  readonly signal: AbortSignal
}

/** Milliseconds for each question; docker without a leader answers late. */
const deadline = 30_000

/** Never rejects but for `signal`. */
export async function observeSwarm({ site, agents, power, signal }: ObserveInput): Promise<SwarmPicture> {
  const hives = site.hosts.filter(({ isHive }) => isHive)
  // Who did not answer before may do so now.
  for (const { name } of hives) agents.forget(name)
  const names = hives.map(({ name }) => name)
  const [asked, powers] = await Promise.all([
    agents.askAll(
      names,
      async ({ swarm, hostService }) => {
        await hostService.info({}, { deadline, signal })
        const [raft, silence] = await swarm.raft({}, { deadline, signal }).then(
          (answer) => [answer, undefined] as const,
          (error: unknown) => [undefined, messageOf(error)] as const,
        )
        const led = raft !== undefined && raft.leader !== ''
        const nodes = led
          ? await swarm.listNodes({}, { deadline, signal }).then(
              ({ nodes: list }) => list,
              () => undefined,
            )
          : undefined
        return { raft, silence, nodes }
      },
      signal,
    ),
    power(signal),
  ])
  const answerOf = (name: string) => {
    const given = asked.get(name)
    return given !== undefined && 'answer' in given ? given.answer : undefined
  }
  const seen = (host: Host): SeenMember => {
    const answer = answerOf(host.name)
    const { name, shortName, address } = host
    return {
      name,
      shortName,
      address,
      role: swarmRole(host),
      answers: answer !== undefined,
      power: powers.get(name) ?? 'unknown',
      raft: answer?.raft,
      silence: answer?.silence,
    }
  }
  const views = names.flatMap((name): [string, readonly SwarmNode[]][] => {
    const nodes = answerOf(name)?.nodes
    return nodes === undefined || nodes.length === 0 ? [] : [[name, nodes]]
  })
  return { members: hives.map(seen), views: new Map(views) }
}
