/**
 * Upgrading agents of a running site, one host at a time.
 *
 * - First hosts outside the swarm and its workers, then managers, the leader last.
 * - What an agent still does is waited for: its restart would end it.
 * - The next host comes when this one's agent is the wanted one and serves, and docker and its node are as they were before.
 * - The first doubt ends it. What is done stays; the same again does the rest.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { HealthCheckResponse_ServingStatus as Serving } from '#gen/grpc/health/v1/health.ts'
import type { SwarmNode } from '#gen/hive/v1/docker.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'
import type { AgentClient } from '../client/agent-client.ts'
import { answering, type SiteAgents } from '../client/site-agents.ts'
import { isNodeOf } from '../guard/picture.ts'
import type { Host } from '../inventory/site.ts'
import { managersOf } from '../phases/swarm-role.ts'
import type { SshTarget } from '../providers/provider.ts'
import { attachToActiveRuns } from '../run/attach.ts'
import type { NeedOf } from './agent-needs.ts'
import { type BringInput, bringAgent } from './bring-agent.ts'

export interface RollInput extends BringInput {
  readonly agents: Pick<SiteAgents, 'reach' | 'forget'>
  /** In the inventory's order. */
  readonly hosts: readonly Host[]
  readonly needs: ReadonlyMap<string, NeedOf>
  /** Milliseconds for an agent to answer as the wanted one, and for docker and the node to be as before. Default 60 000. */
  readonly patience?: number
  /** Default: by ssh. */
  readonly bring?: typeof bringAgent
}

export interface Rolled {
  /** Names, in the order in which they were upgraded. */
  readonly upgraded: readonly string[]
  readonly targets: ReadonlyMap<string, SshTarget>
}

/** Throws one HiveError for the host at which it stopped, that says which hosts are upgraded and which are not. */
export async function upgradeOneByOne(input: RollInput): Promise<Rolled> {
  const { hosts, needs, packages, agents, emit, signal, bring = bringAgent } = input
  const targets = new Map<string, SshTarget>()
  const order = rollingOrder(hosts, await nodesOf(input))
  for (const [done, host] of order.entries()) {
    try {
      signal.throwIfAborted()
      const client = await answering(agents, host.name, signal)
      await attachToActiveRuns([client], emit, signal)
      const before = await stateOf(input, client, host)
      const need = needs.get(host.name) ?? { need: 'upgrade', version: '' }
      targets.set(host.name, await bring(input, host, need, () => verify(input, host, before)))
    } catch (error) {
      throw stoppedAt(host, signal.aborted ? signal.reason : error, order, done, packages.version)
    }
  }
  return { upgraded: order.map(({ name }) => name), targets }
}

type Node = Pick<SwarmNode, 'name' | 'role' | 'leader' | 'state' | 'availability'>

/** Who is missed least first. Pure; exported for tests. */
export function rollingOrder(hosts: readonly Host[], nodes: readonly Node[] | undefined): readonly Host[] {
  const rank = (host: Host): number => {
    const node = nodes?.find(({ name }) => isNodeOf(host, name))
    if (node?.leader === true) return 3
    if (node?.role === 'manager') return 2
    if (nodes === undefined && host.isHive) return host.isFirstHive ? 3 : 2
    return node === undefined ? 0 : 1
  }
  return hosts.toSorted((a, b) => rank(a) - rank(b))
}

/** As the first manager sees them that answers; undefined where none does, or there is no swarm yet. */
async function nodesOf({ site, agents, signal }: RollInput): Promise<readonly SwarmNode[] | undefined> {
  for (const name of managersOf(site.hosts)) {
    const reached = await agents.reach(name, signal)
    if ('error' in reached) continue
    const answer = await reached.client.swarm.listNodes({}, { deadline: questionDeadline, signal }).catch(() => undefined)
    if (answer !== undefined && answer.nodes.length > 0) return answer.nodes
  }
  return undefined
}

const questionDeadline = 10_000

interface HostState {
  /** Of docker's swarm on the host; undefined where docker does not answer. */
  readonly docker: string | undefined
  readonly node: Node | undefined
}

async function stateOf(input: RollInput, client: AgentClient, host: Host): Promise<HostState> {
  const [docker, nodes] = await Promise.all([
    client.swarm.info({}, { deadline: questionDeadline, signal: input.signal }).then(
      ({ state }) => state,
      () => undefined,
    ),
    nodesOf(input),
  ])
  return { docker, node: nodes?.find(({ name }) => isNodeOf(host, name)) }
}

/** Rejects with HiveError 'not-converged' where it is not so within the patience. */
async function verify(input: RollInput, host: Host, before: HostState): Promise<void> {
  const { agents, packages, signal, patience = 60_000 } = input
  const end = performance.now() + patience
  let doubt = ''
  do {
    agents.forget(host.name)
    doubt = (await doubtAbout(input, host, before, packages).catch((error: unknown) => messageOf(error))) ?? ''
    if (doubt === '') return
    await wait(250, undefined, { signal })
  } while (performance.now() < end)
  throw new HiveError('not-converged', `${host.name} is not as before after ${Math.round(patience / 1000)} s: ${doubt}`, { host: host.name })
}

/** What is not as it must be, in words; undefined where all is. Rejects where the agent does not answer. */
async function doubtAbout(input: RollInput, host: Host, before: HostState, wanted: RollInput['packages']): Promise<string | undefined> {
  const reached = await input.agents.reach(host.name, input.signal)
  if ('error' in reached) throw reached.error
  const { client, info } = reached
  if (info.binarySha256 !== wanted.binarySha256 || info.version !== wanted.version) return `agent ${info.version} (${short(info.binarySha256)}) answers`
  const { status } = await client.health.check({ service: '' }, { deadline: questionDeadline, signal: input.signal })
  if (status !== Serving.SERVING) return 'the agent does not say that it serves'
  const now = await stateOf(input, client, host)
  if (before.docker !== undefined && now.docker !== before.docker) return `docker was ${before.docker} in the swarm and is ${now.docker ?? 'not answering'}`
  if (before.node !== undefined && !sameNode(before.node, now.node)) return `its swarm node was ${inWords(before.node)} and is ${inWords(now.node)}`
  return undefined
}

const short = (sha256: string): string => sha256.slice(0, 12)
const sameNode = (before: Node, now: Node | undefined): boolean =>
  now !== undefined && now.state === before.state && now.availability === before.availability && now.role === before.role
const inWords = (node: Node | undefined): string => (node === undefined ? 'not known' : `${node.state}, ${node.availability}`)

function stoppedAt(host: Host, cause: unknown, order: readonly Host[], done: number, version: string): HiveError {
  const names = (hosts: readonly Host[]): string => (hosts.length === 0 ? 'none' : hosts.map(({ shortName }) => shortName).join(', '))
  const known = cause instanceof HiveError ? cause : undefined
  const rest = `upgraded to ${version}: ${names(order.slice(0, done))}; not: ${names(order.slice(done))}`
  return new HiveError(known?.code ?? 'internal', `stopped at ${host.name}: ${messageOf(cause)} (${rest})`, {
    host: host.name,
    stepId: `bootstrap/agent@${host.name}`,
    hint: `${known?.hint === undefined ? '' : `${known.hint}; `}hivecoord agent upgrade goes on with those that are left`,
    log: known?.log ?? [],
    cause,
  })
}
