/** Rebalancing of a stage: under its lock, by whichever manager answers. */

import { HiveError } from '../../proto/errors.ts'
import type { AgentClient } from '../client/agent-client.ts'
import { fromCallFailure } from '../client/errors.ts'
import type { SiteAgents } from '../client/site-agents.ts'
import type { Emit } from '../events.ts'
import { lookAtSite } from '../guard/look.ts'
import { realClock } from '../hosts/await-progress.ts'
import type { Site } from '../inventory/site.ts'
import { managersOf } from '../phases/swarm-role.ts'
import { exclusively } from '../run/exclusive.ts'
import { type Rebalanced, type RebalanceOperations, rebalance } from './rebalance.ts'

export interface RebalanceWork {
  readonly site: Site
  readonly agents: SiteAgents
  readonly emit: Emit
  readonly signal: AbortSignal
}

/** Milliseconds without progress: a database that ends slowly, a health check that takes its time. */
const patience = 300_000
const deadline = 10_000

/** Rejects with HiveError 'locked' when another coordinator is at work, and as `rebalance`. */
export const rebalanceStage = (work: RebalanceWork, named: ReadonlySet<string>): Promise<Rebalanced> =>
  exclusively({ ...work, purpose: 'rebalance', now: () => new Date() }, (_lock, signal) =>
    rebalance({ operations: operationsOf({ ...work, signal }), named, patience, clock: realClock, emit: work.emit, signal }),
  )

function operationsOf({ site, agents, signal }: RebalanceWork): RebalanceOperations {
  /** The first manager that answers. */
  const byManager = async <T>(ask: (client: AgentClient) => Promise<T>): Promise<T> => {
    let last: HiveError | undefined
    for (const manager of managersOf(site.hosts)) {
      const reached = await agents.reach(manager, signal)
      if ('error' in reached) {
        last = reached.error
        continue
      }
      try {
        return await ask(reached.client)
      } catch (error) {
        last = fromCallFailure(error, manager, signal)
        if (['not-found', 'denied', 'cancelled'].includes(last.code)) throw last
      }
    }
    throw last ?? new HiveError('unreachable', 'the swarm has no manager')
  }
  let before: Awaited<ReturnType<typeof lookAtSite>> | undefined
  return {
    async look() {
      before = await lookAtSite({ site, agents, signal, before })
      return before
    },
    updateState: (service) =>
      byManager(async (client) => (await client.service.list({}, { deadline, signal })).services.find(({ name }) => name === service)?.updateState ?? ''),
    restart: (service) => byManager(async (client) => void (await client.service.restart({ name: service }, { deadline, signal }))),
  }
}
