/** Follows a run of an agent to its end, through broken connections and restarts of the agent. */
import { setTimeout as delay } from 'node:timers/promises'
import type { RunEvent } from '#gen/hive/v1/run.ts'
import { HiveError } from '../../proto/errors.ts'
import type { AgentClient } from '../client/agent-client.ts'

export interface Patience {
  /** Milliseconds without any sign of the host after which it is given up. */
  readonly unreachableFor: number
  /** Milliseconds before the first and between later attempts; doubled in between. */
  readonly firstRetry: number
  readonly longestRetry: number
  /** Milliseconds of silence on an open stream; heartbeats come every 5 s. */
  readonly silence: number
}

export const usualPatience: Patience = { unreachableFor: 60_000, firstRetry: 250, longestRetry: 5_000, silence: 15_000 }

/**
 * Does what `attempt` does until it succeeds, with growing pauses, as long as failures are those of the connection.
 * `attempt` calls `alive` at each sign of life. Rejects with 'unreachable' after `patience.unreachableFor` without one.
 */
export async function persistently<T>(host: string, patience: Patience, signal: AbortSignal, attempt: (alive: () => void) => Promise<T>): Promise<T> {
  let lastSign = performance.now()
  let pause = patience.firstRetry
  for (;;) {
    try {
      return await attempt(() => {
        lastSign = performance.now()
        pause = patience.firstRetry
      })
    } catch (error) {
      if (signal.aborted) throw new HiveError('cancelled', 'cancelled', { host, cause: signal.reason })
      if (!(error instanceof HiveError) || (error.code !== 'unreachable' && error.code !== 'timeout')) throw error
      if (performance.now() - lastSign >= patience.unreachableFor)
        throw new HiveError('unreachable', `${host} did not answer for ${Math.round(patience.unreachableFor / 1000)} s`, {
          host,
          hint: 'its agent finishes what it began on its own; run the command again once the host is back',
          cause: error,
        })
      await delay(pause, undefined, { signal }).catch(() => {
        throw new HiveError('cancelled', 'cancelled', { host, cause: signal.reason })
      })
      pause = Math.min(pause * 2, patience.longestRetry)
    }
  }
}

/**
 * Calls `onEvent` once for each event of the run, in order, and resolves with its success when the run has ended.
 * Rejects with 'not-found' when the agent does not know the run, 'unreachable' when the host is given up, 'cancelled' by `signal`.
 */
export async function watchRun(
  client: Pick<AgentClient, 'host' | 'step'>,
  runId: string,
  onEvent: (event: RunEvent) => void,
  signal: AbortSignal,
  patience: Patience = usualPatience,
): Promise<boolean> {
  let next = 1n
  return persistently(client.host, patience, signal, async (alive) => {
    for await (const event of client.step.watchRun({ runId, from: next }, { signal, silence: patience.silence })) {
      alive()
      if (event.event?.$case === 'heartbeat' || event.seq < next) continue
      next = event.seq + 1n
      onEvent(event)
      if (event.event?.$case === 'runFinished') return event.event.value.ok
    }
    throw new HiveError('unreachable', `${client.host} ended its answer before the run did`, { host: client.host })
  })
}
