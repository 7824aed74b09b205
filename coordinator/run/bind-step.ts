/** What is known only when a step is sent: join tokens. They are in no plan, no journal and no run key. */
import type { Step } from '#gen/hive/v1/step.ts'
import { HiveError } from '../../proto/errors.ts'
import { answering, type SiteAgents } from '../client/site-agents.ts'

export type Bind = (step: Step, signal: AbortSignal) => Promise<Step>

/**
 * Fills in the join token of a step that makes its host join the swarm, asked from the host that has `init` in the same phase,
 * else from the first of `managers` that knows it. The host with `init` gets one too where another manager is in a swarm already: a
 * first host that was replaced joins it.
 */
export function joinTokenBinder(steps: readonly Step[], managers: readonly string[], agents: Pick<SiteAgents, 'reach'>): Bind {
  const initHosts = steps.filter(({ spec }) => spec?.kind?.$case === 'ensureSwarmMember' && spec.kind.value.init).map(({ host }) => host)
  const candidates = [...new Set([...initHosts, ...managers])]
  return async (step, signal) => {
    const kind = step.spec?.kind
    if (kind?.$case !== 'ensureSwarmMember' || kind.value.joinToken !== '') return step
    let cause: unknown
    for (const host of candidates) {
      if (host === step.host) continue
      try {
        const client = await answering(agents, host, signal)
        const { token } = await client.swarm.joinToken({ role: kind.value.role }, { signal })
        return { ...step, spec: { kind: { $case: kind.$case, value: { ...kind.value, joinToken: token } } } }
      } catch (error) {
        if (signal.aborted) throw error
        cause ??= error
      }
    }
    // Nobody has a swarm: this host makes it. Its agent refuses where one of the others listens for swarm members all the same.
    if (kind.value.init) return step
    throw new HiveError('blocked', `no manager of the swarm gives ${step.host} a token to join`, {
      host: step.host,
      stepId: step.id,
      hint: 'at least one manager must be reachable and see a majority of managers',
      cause,
    })
  }
}
