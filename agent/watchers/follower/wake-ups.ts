/** Tells when docker of this host does something to services, nodes or containers: a look is worth its price then. */
import { setTimeout as delay } from 'node:timers/promises'
import { dockerStream } from '../../adapters/docker.ts'

/** Milliseconds: changes come in swarms, and one look sees them all. */
const gather = 1_000
/** Milliseconds until docker is asked again after it ended the stream, or was not there. */
const patience = 10_000

const filters = { type: ['service', 'node', 'container'], event: ['create', 'update', 'remove', 'start', 'die', 'destroy'] }

export interface WakeUps {
  /** Resolves with the next event, or at once with one that came since the last call; never where docker tells none. */
  next(): Promise<void>
}

export function wakeUps(signal: AbortSignal): WakeUps {
  let missed = false
  let wake: (() => void) | undefined
  const ring = (): void => {
    missed = true
    wake?.()
  }
  void listen(signal, ring)
  return {
    next: async () => {
      if (!missed)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      await delay(gather, undefined, { signal, ref: false }).catch(() => undefined)
      missed = false
    },
  }
}

async function listen(signal: AbortSignal, ring: () => void): Promise<void> {
  while (!signal.aborted) {
    try {
      const events = await dockerStream('GET', '/events', { query: { filters }, signal })
      for await (const _chunk of events) ring()
    } catch {
      // The look after it finds out what is the matter.
    }
    await delay(patience, undefined, { signal, ref: false }).catch(() => undefined)
  }
}
