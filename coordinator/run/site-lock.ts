/**
 * The site lock: a lease that every reachable agent holds for one coordinator process.
 *
 * - It is asked for at the first host (in the inventory's order) alone, then at the others: of two coordinators that start
 *   together one gets past the first, and the other gives nothing to undo.
 * - Refused anywhere: what was granted is given back.
 * - A lease of a process of this machine that is dead is taken over at once; any other is waited for by its expiry, by whoever tries again.
 * - It is renewed while the run goes on. A renewal that is refused aborts the run: someone else holds the site.
 * - A host that does not answer is left out, and one that cannot write the lease (its disk is full), as long as others grant theirs;
 *   a host that comes later is added with `extend`.
 */
import type { LockState } from '#gen/hive/v1/run.ts'
import { HiveError } from '../../proto/errors.ts'
import type { AgentClient } from '../client/agent-client.ts'
import { isUnreachable } from '../client/errors.ts'
import { isDead, type Owner, parseOwner } from './process-identity.ts'

export type LockClient = Pick<AgentClient, 'host' | 'lock'>

export interface SiteLockOptions {
  readonly owner: string
  readonly purpose: string
  readonly ttlSeconds?: number
  readonly renewEverySeconds?: number
  readonly dead?: (owner: Owner) => boolean
}

const answerDeadline = 5_000
const releaseDeadline = 3_000

export class SiteLock {
  readonly owner: string
  readonly #options: SiteLockOptions
  readonly #held = new Map<string, LockClient>()
  readonly #lost = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #unwritable: HiveError | undefined

  constructor(options: SiteLockOptions) {
    this.#options = options
    this.owner = options.owner
  }

  /** Aborted, with a HiveError 'locked' as its reason, when someone else got the lease. */
  get lost(): AbortSignal {
    return this.#lost.signal
  }

  /** Rejects with HiveError 'locked' that says who holds the site, since when, for what and until when. */
  async acquire(clients: readonly LockClient[], signal?: AbortSignal): Promise<void> {
    try {
      await this.extend(clients, signal)
      if (this.#held.size === 0 && this.#unwritable !== undefined) throw this.#unwritable
    } catch (error) {
      await this.release()
      throw error
    }
    const every = (this.#options.renewEverySeconds ?? 8) * 1000
    this.#timer = setInterval(() => void this.#renew(), every)
    this.#timer.unref()
  }

  /** Adds hosts that were not there before. */
  async extend(clients: readonly LockClient[], signal?: AbortSignal): Promise<void> {
    const [first, ...rest] = clients.filter(({ host }) => !this.#held.has(host))
    if (first === undefined) return
    await this.#take(first, signal)
    const results = await Promise.allSettled(rest.map((client) => this.#take(client, signal)))
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }

  async #take(client: LockClient, signal?: AbortSignal): Promise<void> {
    try {
      let state = await this.#ask(client, [], signal)
      const holder = state.granted ? undefined : parseOwner(state.owner)
      const dead = this.#options.dead ?? isDead
      if (holder !== undefined && dead(holder)) state = await this.#ask(client, [state.owner], signal)
      if (!state.granted) throw lockedError(client.host, state)
      this.#held.set(client.host, client)
    } catch (error) {
      if (error instanceof HiveError && error.code === 'blocked') this.#unwritable ??= error
      else if (!isUnreachable(error)) throw error
    }
  }

  #ask(client: LockClient, takesOver: string[], signal?: AbortSignal): Promise<LockState> {
    const { owner, purpose, ttlSeconds = 30 } = this.#options
    return client.lock.acquire({ owner, purpose, ttlSeconds, takesOver }, { deadline: answerDeadline, signal })
  }

  async #renew(): Promise<void> {
    await Promise.all(
      [...this.#held.values()].map(async (client) => {
        try {
          const state = await this.#ask(client, [])
          if (!state.granted && this.#timer !== undefined) this.#lost.abort(lockedError(client.host, state))
        } catch {
          // No answer now; the next renewal asks again, and whoever took the lease meanwhile is found then.
        }
      }),
    )
  }

  /** Gives all leases back, waiting at most 3 s; a host that does not answer lets its lease expire. */
  async release(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    const clients = [...this.#held.values()]
    this.#held.clear()
    await Promise.allSettled(clients.map((client) => client.lock.release({ owner: this.owner }, { deadline: releaseDeadline })))
  }
}

function lockedError(host: string, state: LockState): HiveError {
  const holder = parseOwner(state.owner)
  const who = holder === undefined ? state.owner : `${holder.who} (process ${holder.pid})`
  const since = state.since === undefined ? '' : ` since ${state.since.toISOString()}`
  const until = state.expires === undefined ? '' : `; the lease ends at ${state.expires.toISOString()} unless renewed`
  return new HiveError('locked', `${who} holds the site${since} for ${state.purpose || 'an unnamed purpose'}${until}`, {
    host,
    hint: 'wait until it is done; `hivecoord runs watch` follows what agents do',
  })
}
