/** A coordinator that was killed leaves runs behind that agents carry on: they are followed to their end before anything is planned. */
import type { AgentClient } from '../client/agent-client.ts'
import { isUnreachable } from '../client/errors.ts'
import type { Emit } from '../events.ts'
import { phaseOfStep, toHiveEvent } from './step-events.ts'
import { type Patience, usualPatience, watchRun } from './watch-run.ts'

/**
 * Waits for all active runs of these hosts; answers how many there were. Their results are told, not counted: the plan that
 * follows sees what they left. A host that is lost meanwhile is left to that plan too.
 */
export async function attachToActiveRuns(
  clients: readonly Pick<AgentClient, 'host' | 'step'>[],
  emit: Emit,
  signal: AbortSignal,
  patience: Patience = usualPatience,
): Promise<number> {
  const counts = await Promise.all(
    clients.map(async (client) => {
      const { host } = client
      try {
        const { runs } = await client.step.listRuns({ activeOnly: true, limit: 0 }, { signal })
        await Promise.all(
          runs.map(async (run) => {
            emit({
              code: 'notice',
              message: `${host} still works on a run of ${run.owner || 'someone'} (${run.titles.slice(0, 3).join('; ')}): waiting for its end`,
            })
            const titles = new Map(run.stepIds.map((id, index) => [id, run.titles[index]]))
            await watchRun(
              client,
              run.runId,
              (event) => {
                const title = titles.get(event.stepId) ?? event.stepId.slice(event.stepId.indexOf('/') + 1)
                const told = toHiveEvent(event, { phase: phaseOfStep(event.stepId), host, title })
                if (told !== undefined) emit(told)
              },
              signal,
              patience,
            )
          }),
        )
        return runs.length
      } catch (error) {
        if (isUnreachable(error)) return 0
        throw error
      }
    }),
  )
  return counts.reduce((sum, count) => sum + count, 0)
}
