/** What a stage looks like now, asked of everything at once. */
import type { ListBackupsResponse } from '#gen/hive/v1/backup.ts'
import type { ServiceInfo, SwarmNode } from '#gen/hive/v1/docker.ts'
import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import type { FollowerStatus } from '#gen/hive/v1/follower.ts'
import type { InfoResponse } from '#gen/hive/v1/host.ts'
import type { LockState } from '#gen/hive/v1/run.ts'
import type { SupervisorStatus } from '#gen/hive/v1/supervisor.ts'
import type { ZabbixProblem } from '#gen/hive/v1/zabbix.ts'
import type { AgentClient } from '../client/agent-client.ts'
import { reportOf } from '../client/errors.ts'
import { answering, type Reached, type SiteAgents } from '../client/site-agents.ts'
import { type LastDrift, lastDrift, summaryOf } from '../drift/last-drift.ts'
import type { ErrorReport } from '../events.ts'
import { isNodeOf } from '../guard/picture.ts'
import type { Host, Site } from '../inventory/site.ts'
import type { HostPower, Provider, ProviderContext } from '../providers/provider.ts'
import { openProblems } from '../zabbix/open-problems.ts'
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
  /** Mirrored volumes that are up there; undefined where the agent does not tell. */
  readonly volumes: readonly DrbdResourceStatus[] | undefined
  /** Virtual addresses that it holds for services, and what keeps it from following labels; undefined where the agent does not tell. */
  readonly follower: Pick<FollowerStatus, 'addresses' | 'problems'> | undefined
}

export interface StageStatus {
  readonly hosts: readonly HostStatus[]
  /** Services of the swarm; undefined where no manager answers. */
  readonly services: readonly ServiceInfo[] | undefined
  /** What the repository server keeps; undefined where it does not tell. */
  readonly backups: ListBackupsResponse | undefined
  /** Problems that Zabbix has open; undefined where the stage has no Zabbix, it does not tell, or was not asked. */
  readonly alerts: readonly ZabbixProblem[] | undefined
  /** Why Zabbix does not tell. */
  readonly alertsError: string | undefined
  /** The last time that drift was looked for; undefined: never. */
  readonly drift: LastDrift | undefined
  /** Who holds the site lock. */
  readonly lock: Pick<LockState, 'owner' | 'purpose' | 'since' | 'expires'> | undefined
  /** What could not be asked, for people. */
  readonly notices: readonly string[]
}

/** Who knows which hosts are on. */
export type PowerSource = Pick<Provider, 'name' | 'status'>

export interface StatusInput {
  readonly site: Site
  readonly state: StageState
  readonly agents: SiteAgents
  readonly provider: PowerSource
  /** Zabbix is asked what it has open: it is logged in to for each answer. */
  readonly alerts: boolean
  readonly signal: AbortSignal
}

/** Never takes longer than about 10 s (connecting, then asking), and never rejects but for `signal`. */
export async function stageStatus({ site, state, agents, provider, alerts: withAlerts, signal }: StatusInput): Promise<StageStatus> {
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
  let alertsError: string | undefined
  const [supervisors, followers, volumes, backups, lock, alerts] = await Promise.all([
    supervisorsOf(reached, signal),
    followersOf(reached, signal),
    askEach(reached, async ({ drbd }) => (await drbd.list({}, { deadline, signal })).resources),
    backupsOf(site, reached, signal),
    lockState(reached, signal),
    withAlerts
      ? openProblems({ site, agents, signal }).catch((error: unknown) => {
          alertsError = reportOf(error).message
          return undefined
        })
      : undefined,
  ])
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
      node: swarm?.nodes.find(({ name }) => isNodeOf(host, name)),
      supervisor: supervisors.get(host.name),
      volumes: volumes.get(host.name),
      follower: followers.get(host.name),
    }
  })
  notices.push(...strangers(site, swarm?.services ?? []))
  const drift = lastDrift(site.contextDir)
  return { hosts, services: swarm?.services, backups, alerts, alertsError, drift: drift && summaryOf(drift), lock, notices }
}

/** Services of the swarm that the inventory does not have for this stage, as a remark. They are never removed by inference. */
export function strangers({ services: known, stage }: Pick<Site, 'services' | 'stage'>, running: readonly Pick<ServiceInfo, 'name'>[]): readonly string[] {
  const names = new Set(known.map(({ name }) => name))
  const others = running.map(({ name }) => name).filter((name) => !names.has(name))
  return others.length === 0 ? [] : [`in the swarm, but not in the inventory of stage ${stage}: ${others.sort().join(', ')}`]
}

async function powerOf(context: ProviderContext, provider: PowerSource): Promise<ReadonlyMap<string, HostPower>> {
  return provider.status({ ...context, signal: AbortSignal.any([context.signal, AbortSignal.timeout(deadline)]) })
}

/** The first manager's answer. */
async function askSwarm(hosts: readonly Host[], agents: SiteAgents, signal: AbortSignal) {
  const asking = hosts
    .filter(({ isHive }) => isHive)
    .map(async ({ name }) => {
      return askManager(await answering(agents, name, signal), signal)
    })
  return Promise.any(asking).catch(() => undefined)
}

async function askManager({ swarm, service }: AgentClient, signal: AbortSignal) {
  const [{ nodes }, { services }] = await Promise.all([swarm.listNodes({}, { deadline, signal }), service.list({}, { deadline, signal })])
  return { nodes, services }
}

const supervisorsOf = (reached: ReadonlyMap<string, Reached>, signal: AbortSignal): Promise<ReadonlyMap<string, HostStatus['supervisor']>> =>
  askEach(reached, async ({ supervisor }) => {
    const { hold, givenUp } = await supervisor.status({}, { deadline, signal })
    return { hold, givenUp }
  })

async function backupsOf({ hosts }: Site, reached: ReadonlyMap<string, Reached>, signal: AbortSignal): Promise<ListBackupsResponse | undefined> {
  const keepers = new Map([...reached].filter(([name]) => hosts.some((host) => host.name === name && host.isRepository)))
  return [...(await askEach(keepers, ({ backupStore }) => backupStore.list({}, { deadline, signal }))).values()][0]
}

/** undefined for a host that does not answer this: it may have an agent of an older version. */
async function askEach<T>(reached: ReadonlyMap<string, Reached>, ask: (client: AgentClient) => Promise<T>): Promise<ReadonlyMap<string, T | undefined>> {
  const asking = [...reached].map(async ([host, answer]) => [host, 'error' in answer ? undefined : await ask(answer.client).catch(() => undefined)] as const)
  return new Map(await Promise.all(asking))
}

const followersOf = (reached: ReadonlyMap<string, Reached>, signal: AbortSignal): Promise<ReadonlyMap<string, HostStatus['follower']>> =>
  askEach(reached, async ({ follower }) => {
    const { addresses, problems } = await follower.status({}, { deadline, signal })
    return { addresses, problems }
  })

async function lockState(reached: Awaited<ReturnType<SiteAgents['reachAll']>>, signal: AbortSignal): Promise<StageStatus['lock']> {
  const asking = [...reached.values()].map(async (answer) => {
    if ('error' in answer) throw answer.error
    return answer.client.lock.get({}, { deadline, signal })
  })
  const states = (await Promise.allSettled(asking)).flatMap((result) => (result.status === 'fulfilled' && result.value.held ? [result.value] : []))
  return states[0]
}
