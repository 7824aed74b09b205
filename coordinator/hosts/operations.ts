/** What is done to a host of a swarm, and asked, while it is taken out and let in again. */
import { HiveError } from '../../proto/errors.ts'
import type { AgentClient } from '../client/agent-client.ts'
import { fromCallFailure } from '../client/errors.ts'
import { answering, type SiteAgents } from '../client/site-agents.ts'
import type { Emit } from '../events.ts'
import { lookAtSite } from '../guard/look.ts'
import type { SitePicture } from '../guard/picture.ts'
import type { Site } from '../inventory/site.ts'
import { managersOf } from '../phases/swarm-role.ts'
import { attachToActiveRuns } from '../run/attach.ts'
import { awaitProgress, type Sight } from './await-progress.ts'
import { markLabel } from './marks.ts'

/** Hosts by their inventory names; of the swarm's nodes `setRole` and `removeNode` know ids as well. All but `look` and `bootOf` reject with HiveError where it could not be done. */
export interface HostOperations {
  look(): Promise<SitePicture>
  /** The boot that the host runs; undefined: it does not answer. */
  bootOf(host: string): Promise<string | undefined>
  /** What its agent still does is waited for. */
  settle(host: string): Promise<void>
  setAvailability(host: string, availability: string): Promise<void>
  /** '' takes it away. Nothing where it is so already. */
  setMark(host: string, mark: string): Promise<void>
  /** Of a swarm's node, by its id. */
  setLabel(node: string, label: string, value: string): Promise<void>
  setRole(host: string, role: 'manager' | 'worker'): Promise<void>
  /** The host's own docker forgets the swarm; it must be no manager any more. */
  leave(host: string): Promise<void>
  /** The swarm forgets the host, whatever it does. */
  removeNode(host: string): Promise<void>
  /** Why the host should start anew, and what would be lost by it, in sentences; empty: nothing. */
  restartAdvice(host: string): Promise<RestartAdvice>
  /** Begins a restart, unless the host runs another boot already. */
  reboot(host: string, boot: string, reason: string): Promise<void>
}

export interface RestartAdvice {
  readonly reasons: readonly string[]
  readonly doubts: readonly string[]
}

/** Milliseconds. */
const questionDeadline = 10_000
/** A host that is about to restart, or was just updated, may be busy. */
const rebootDeadline = 30_000
const restartDeadline = 120_000
/** Managers that lost their leader elect another one. */
const electionPatience = 45_000
/** What no other manager answers otherwise. */
const definite: ReadonlySet<string> = new Set(['not-found', 'invalid-input', 'denied', 'blocked', 'unsupported', 'conflict'])
/** Docker takes its overlay networks down. */
const leaveDeadline = 60_000

export interface OperationsInput {
  readonly site: Site
  readonly agents: SiteAgents
  readonly emit: Emit
  readonly signal: AbortSignal
}

export function agentOperations({ site, agents, emit, signal }: OperationsInput): HostOperations {
  let picture: SitePicture | undefined
  const clientOf = (host: string): Promise<AgentClient> => answering(agents, host, signal)
  const nodeName = (name: string): string => site.hosts.find((host) => host.name === name)?.shortName ?? name
  /** By a manager, the host itself last: it may be the one that goes. Until one does it, while they elect a leader. */
  const byManager = async (host: string, ask: (client: AgentClient) => Promise<unknown>): Promise<void> => {
    const managers = managersOf(site.hosts)
    const order = [...managers.filter((name) => name !== host), ...managers.filter((name) => name === host)]
    const round = async (): Promise<Sight<HiveError | undefined>> => {
      const said: string[] = []
      for (const manager of order) {
        signal.throwIfAborted()
        try {
          await ask(await clientOf(manager))
          return { done: undefined }
        } catch (error) {
          const failure = fromCallFailure(error, manager, signal)
          if (definite.has(failure.code)) return { done: failure }
          said.push(`${manager}: ${failure.message}`)
        }
      }
      return { doubt: said.length === 0 ? 'the swarm has no manager' : said.join('; ') }
    }
    const failure = await awaitProgress('no manager does it', round, { patience: electionPatience, signal, host })
    if (failure !== undefined) throw failure
  }
  const call = { deadline: questionDeadline, signal }
  return {
    async look() {
      picture = await lookAtSite({ site, agents, signal, before: picture })
      return picture
    },
    async bootOf(host) {
      agents.forget(host)
      const reached = await agents.reach(host, signal)
      if ('error' in reached) return undefined
      if (reached.info.bootId === '')
        throw new HiveError('unsupported', `the agent of ${host} is too old to tell whether it has started anew`, { host, hint: 'hivecoord agent upgrade' })
      return reached.info.bootId
    },
    settle: async (host) => void (await attachToActiveRuns([await clientOf(host)], emit, signal)),
    setAvailability: (host, availability) => byManager(host, ({ swarm }) => swarm.setAvailability({ node: nodeName(host), availability }, call)),
    setLabel: (node, label, value) => byManager(node, ({ swarm }) => swarm.setLabel({ node, label, value }, call)),
    setRole: (host, role) => byManager(host, ({ swarm }) => swarm.setRole({ node: nodeName(host), role }, call)),
    leave: async (host) => void (await (await clientOf(host)).swarm.leave({ force: false }, { deadline: leaveDeadline, signal })),
    removeNode: (host) => byManager(host, ({ swarm }) => swarm.removeNode({ node: nodeName(host), force: true }, call)),
    async setMark(name, value) {
      const host = site.hosts.find((one) => one.name === name)
      if (host === undefined) throw new HiveError('not-found', `the site has no host ${name}`)
      const node = nodeName(host.isHive ? name : (managersOf(site.hosts)[0] ?? name))
      await byManager(name, ({ swarm }) => swarm.setLabel({ node, label: markLabel(host), value }, call))
    },
    restartAdvice: async (host) => (await clientOf(host)).hostService.restartNeeded({}, { deadline: restartDeadline, signal }),
    async reboot(host, boot, reason) {
      const client = await clientOf(host)
      await client.hostService.reboot({ bootId: boot, reason }, { deadline: rebootDeadline, signal }).catch((error: unknown) => {
        const failure = fromCallFailure(error, host, signal)
        // It may have gone before its answer came: whether it starts anew is seen by its boot.
        if (failure.code !== 'unreachable' && failure.code !== 'timeout') throw failure
      })
    },
  }
}
