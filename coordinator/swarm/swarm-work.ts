/** Recovery of a stage's swarm: what is asked of its hosts, and what is done under its lock. */
import { HiveError } from '../../proto/errors.ts'
import { answering, type SiteAgents } from '../client/site-agents.ts'
import type { Emit } from '../events.ts'
import type { Site } from '../inventory/site.ts'
import { exclusively } from '../run/exclusive.ts'
import type { StageState } from '../run/stage-state.ts'
import { type Diagnosis, diagnose, type Wanted } from './diagnose.ts'
import { rejoining } from './kept.ts'
import { type ObserveInput, observeSwarm } from './observe.ts'
import { agentSwarmOperations, orThrow, recoverSwarm } from './recover.ts'

export interface SwarmWorkInput extends Omit<ObserveInput, 'site' | 'agents'> {
  readonly site: Site
  readonly agents: SiteAgents
  readonly state: StageState
  readonly emit: Emit
}

/** Never rejects but for the signal. */
export const diagnoseStage = async (input: SwarmWorkInput, wanted: Wanted): Promise<Diagnosis> =>
  diagnose(await observeSwarm(input), { ...wanted, rejoining: rejoining(input.state) })

/** Rejects as `recoverSwarm`, with 'locked' when another coordinator is at work, and before anything is touched where it is refused. */
export async function recoverStage(input: SwarmWorkInput, wanted: Wanted & { readonly from: string }): Promise<readonly string[]> {
  const { agents, state, emit } = input
  orThrow(await diagnoseStage(input, wanted))
  return exclusively({ ...input, purpose: 'swarm recover', now: () => new Date() }, (_lock, signal) => {
    let leader: string | undefined
    const observe = async () => {
      const picture = await observeSwarm({ ...input, signal })
      leader = [...picture.views.keys()][0]
      return picture
    }
    const operations = agentSwarmOperations({
      clientOf: (host) => answering(agents, host, signal),
      leader: async () => {
        if (leader === undefined) throw new HiveError('unreachable', 'no manager of the swarm has a leader', { hint: 'the same command again goes on' })
        return leader
      },
      signal,
    })
    return recoverSwarm({ observe, operations, state, wanted, emit, signal })
  })
}
