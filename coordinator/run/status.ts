/** What a stage looks like now, asked of everything at once. */
import type { ServiceInfo, SwarmNode } from '#gen/hive/v1/docker.ts'
import type { InfoResponse } from '#gen/hive/v1/host.ts'
import type { LockState } from '#gen/hive/v1/run.ts'
import type { SupervisorStatus } from '#gen/hive/v1/supervisor.ts'
import type { AgentClient } from '../client/agent-client.ts'
import { reportOf } from '../client/errors.ts'
import type { Reached, SiteAgents } from '../client/site-agents.ts'
import type { ErrorReport } from '../events.ts'
import type { Host, Site } from '../inventory/site.ts'
import type { HostPower, Provider, ProviderContext } from '../providers/provider.ts'
import type { StageState } from './stage-state.ts'

/** Milliseconds for each question; all are asked in parallel. */
const deadline = 5_000

export interface HostStatus {
  readonly name: string
  readonly address: string
  readonly power: HostPower
  readonly agent: InfoResponse | undefined
  /** Why the agent does not answer. */
  readonly error: ErrorReport | undefined
  /** As the swarm's managers see it. */
  readonly node: SwarmNode | undefined
  /** Of its mirrored volumes; undefined where the agent does not tell. */
  readonly supervisor: Pick<SupervisorStatus, 'hold' | 'givenUp'> | undefined
}

export interface StageStatus {
  readonly hosts: readonly HostStatus[]
  /** Services of the swarm; undefined where no manager answers. */
  readonly services: readonly ServiceInfo[] | undefined
  /** Who holds the site lock. */
  readonly lock: Pick<LockState, 'owner' | 'purpose' | 'since' | 'expires'> | undefined
  /** What could not be asked, for people. */
  readonly notices: readonly string[]
}

export interface StatusInput {
  readonly site: Site
  readonly state: StageState
  readonly agents: SiteAgents
  readonly provider: Provider
  readonly signal: AbortSignal
}

/** Never takes longer than about 10 s (connecting, then asking), and never rejects but for `signal`. */
export async function stageStatus({ site, state, agents, provider, signal }: StatusInput): Promise<StageStatus> {
  const notices: string[] = []
  const [power, reached, swarm] = await Promise.all([
    powerOf({ site, state, emit: () => undefined, signal }, provider).catch((error: unknown) => {
      notices.push(`${provider.name}: ${reportOf(error).message}`)
      return new Map<string, HostPower>()
    }),
    agents.reachAll(
      site.hosts.map(({ name }) => name),
      signal,
    ),
    askSwarm(site.hosts, agents, signal),
  ])
  const [supervisors, lock] = await Promise.all([supervisorsOf(reached, signal), lockState(reached, signal)])
  signal.throwIfAborted()
  const hosts = site.hosts.map((host): HostStatus => {
    const answer = reached.get(host.name)
    const known = answer !== undefined && 'info' in answer ? answer : undefined
    return {
      name: host.name,
      address: host.address,
      power: power.get(host.name) ?? 'unknown',
      agent: known?.info,
      error: answer !== undefined && 'error' in answer ? reportOf(answer.error, host.name) : undefined,
      node: swarm?.nodes.find(({ name }) => name === host.shortName || name === host.name),
      supervisor: supervisors.get(host.name),
    }
  })
  notices.push(...strangers(site, swarm?.services ?? []))
  return { hosts, services: swarm?.services, lock, notices }
}

/** Services of the swarm that the inventory does not have for this stage, as a remark. They are never removed by inference. */
export function strangers({ services: known, stage }: Pick<Site, 'services' | 'stage'>, running: readonly Pick<ServiceInfo, 'name'>[]): readonly string[] {
  const names = new Set(known.map(({ name }) => name))
  const others = running.map(({ name }) => name).filter((name) => !names.has(name))
  return others.length === 0 ? [] : [`in the swarm, but not in the inventory of stage ${stage}: ${others.sort().join(', ')}`]
}

async function powerOf(context: ProviderContext, provider: Provider): Promise<ReadonlyMap<string, HostPower>> {
  return provider.status({ ...context, signal: AbortSignal.any([context.signal, AbortSignal.timeout(deadline)]) })
}

/** The first manager's answer. */
async function askSwarm(hosts: readonly Host[], agents: SiteAgents, signal: AbortSignal) {
  const asking = hosts
    .filter(({ isHive }) => isHive)
    .map(async ({ name }) => {
      const reached = await agents.reach(name, signal)
      if ('error' in reached) throw reached.error
      return askManager(reached.client, signal)
    })
  return Promise.any(asking).catch(() => undefined)
}

async function askManager({ swarm, service }: AgentClient, signal: AbortSignal) {
  const [{ nodes }, { services }] = await Promise.all([swarm.listNodes({}, { deadline, signal }), service.list({}, { deadline, signal })])
  return { nodes, services }
}

/** An agent of an older version has none. */
async function supervisorsOf(reached: ReadonlyMap<string, Reached>, signal: AbortSignal): Promise<ReadonlyMap<string, HostStatus['supervisor']>> {
  const asking = [...reached].map(async ([host, answer]): Promise<[string, HostStatus['supervisor']]> => {
    if ('error' in answer) return [host, undefined]
    const status = await answer.client.supervisor.status({}, { deadline, signal }).catch(() => undefined)
    return [host, status === undefined ? undefined : { hold: status.hold, givenUp: status.givenUp }]
  })
  return new Map(await Promise.all(asking))
}

async function lockState(reached: Awaited<ReturnType<SiteAgents['reachAll']>>, signal: AbortSignal): Promise<StageStatus['lock']> {
  const asking = [...reached.values()].map(async (answer) => {
    if ('error' in answer) throw answer.error
    return answer.client.lock.get({}, { deadline, signal })
  })
  const states = (await Promise.allSettled(asking)).flatMap((result) => (result.status === 'fulfilled' && result.value.held ? [result.value] : []))
  return states[0]
}
