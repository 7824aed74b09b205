/** Asking a service from outside, as its clients do: through a port that it publishes. */
import { connect } from 'node:net'
import { HiveError } from '../../proto/errors.ts'
import type { Clock } from '../hosts/await-progress.ts'
import type { Sample } from './outage.ts'

export interface Probe {
  /** For people: "TCP port 8080 of 3 hosts". */
  readonly words: string
  /** Whether it answers. Never rejects but for the signal. */
  ask(signal: AbortSignal): Promise<boolean>
}

export interface PublishedPort {
  readonly published: number
  readonly protocol: string
}

/** Milliseconds for an answer. */
const deadline = 1_000
/** Milliseconds between two questions. */
const pace = 100

/**
 * All addresses are asked at once, and one answer will do: a client has them all. `path`: ask by HTTP, where any status below 500 is an answer. undefined: the
 * service publishes no TCP port. Throws HiveError 'invalid-input' for a path without a port.
 */
export function portProbe(ports: readonly PublishedPort[], addresses: readonly string[], path: string | undefined): Probe | undefined {
  const port = ports.find(({ protocol, published }) => protocol === 'tcp' && published > 0)?.published
  if (port === undefined) {
    if (path === undefined) return undefined
    throw new HiveError('invalid-input', 'the service publishes no TCP port that HTTP could be asked on')
  }
  const ask = path === undefined ? connects : pageAnswers(path.startsWith('/') ? path : `/${path}`)
  return {
    words: `${path === undefined ? 'TCP' : `HTTP ${path} on`} port ${port} of ${addresses.length} hosts`,
    ask: async (signal) => {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(deadline)])
      return Promise.any(addresses.map((address) => ask(address, port, limit))).then(
        () => true,
        () => {
          signal.throwIfAborted()
          return false
        },
      )
    },
  }
}

function connects(host: string, port: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    const end = (error?: Error): void => {
      signal.removeEventListener('abort', given)
      socket.destroy()
      if (error === undefined) resolve()
      else reject(error)
    }
    const given = (): void => end(new Error('no answer'))
    signal.addEventListener('abort', given, { once: true })
    socket.on('connect', () => end())
    socket.on('error', end)
  })
}

const pageAnswers =
  (path: string) =>
  async (host: string, port: number, signal: AbortSignal): Promise<void> => {
    const response = await fetch(`http://${host}:${port}${path}`, { signal, redirect: 'manual', headers: { connection: 'close' } })
    await response.arrayBuffer()
    if (response.status >= 500) throw new Error(`status ${response.status}`)
  }

export interface Sampling {
  readonly samples: readonly Sample[]
  /** Asks no more, and resolves when the last question is answered. */
  stop(): Promise<void>
}

/** Asks one question after the other until it is stopped, or the signal is given. */
export function sample(probe: Probe, clock: Clock, signal: AbortSignal): Sampling {
  const samples: Sample[] = []
  const stopped = new AbortController()
  const until = AbortSignal.any([signal, stopped.signal])
  const ended = (async () => {
    while (!until.aborted) {
      const at = Math.round(clock.now())
      const answered = await probe.ask(until)
      samples.push({ at, answered })
      await clock.pause(pace, until)
    }
  })().catch((error: unknown) => {
    if (!until.aborted) throw error
  })
  // Whoever waits for it hears of it.
  ended.catch(() => undefined)
  return {
    samples,
    stop: () => {
      stopped.abort()
      return ended
    },
  }
}
