/** Asks agents over gRPC which binary they run. */
import type { InfoResponse } from '#gen/hive/v1/host.ts'
import type { SiteAgents } from '../client/site-agents.ts'
import type { Answers } from './agent-needs.ts'

/** Milliseconds; an agent on a host that is on answers in some ten once there is a connection. */
const deadline = 3_000

/** Hosts that never got a certificate are not asked, and from outside the stage's network nobody answers. */
export function agentAnswers(agents: Pick<SiteAgents, 'reach' | 'reachedBefore' | 'anew' | 'forget'>): Answers {
  return async ({ name }) => {
    const known = agents.reachedBefore(name)
    const reached = await agents.reach(name)
    if ('info' in reached && !known) return reached.info
    const info = 'client' in reached ? await reached.client.connect(deadline).catch(() => undefined) : undefined
    if (info !== undefined || !known) return info
    // What failed before the host was switched on waits before it tries again.
    agents.forget(name)
    return askAnew(agents, name).catch(() => undefined)
  }
}

async function askAnew(agents: Pick<SiteAgents, 'anew'>, host: string): Promise<InfoResponse> {
  const client = await agents.anew(host)
  try {
    return await client.connect(deadline)
  } finally {
    client.close()
  }
}
