import { readFile } from 'node:fs/promises'
import type { AcquireRequest, LockState } from '#gen/hive/v1/run.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'
import { writeWhole } from './state-file.ts'

interface Lease {
  readonly owner: string
  readonly purpose: string
  readonly since: Date
  readonly expires: Date
}

const shortest = 5
const longest = 3600
const usual = 30

/**
 * The site lock as this host holds it.
 *
 * Invariants:
 * - at most one owner holds it at a time, and it answers granted only after the lease is on disk;
 * - the same owner renews it; `since` stays;
 * - another owner gets it when it is free, expired, or held by one that the request takes over from;
 * - only its owner releases it;
 * - a restart of the agent neither frees nor prolongs it.
 */
export class LeaseHolder {
  readonly #path: string
  readonly #now: () => Date
  #queue: Promise<unknown> = Promise.resolve()

  constructor(path: string, now: () => Date) {
    this.#path = path
    this.#now = now
  }

  /** Throws HiveError 'invalid-input' without an owner, 'blocked' when it can't be written. A refusal is an answer: granted is false. */
  acquire(request: AcquireRequest): Promise<LockState> {
    return this.#inTurn(async () => {
      if (request.owner === '') throw new HiveError('invalid-input', 'the lock needs an owner')
      const held = await this.#read()
      const free = held === undefined || held.owner === request.owner || request.takesOver.includes(held.owner)
      if (!free) return stateOf(held, false)
      const now = this.#now()
      const seconds = Math.min(longest, Math.max(shortest, request.ttlSeconds || usual))
      const lease: Lease = {
        owner: request.owner,
        purpose: request.purpose,
        since: held?.owner === request.owner ? held.since : now,
        expires: new Date(now.getTime() + seconds * 1000),
      }
      await this.#write(lease)
      return stateOf(lease, true)
    })
  }

  /** granted tells whether the lock is free now or was this owner's. */
  release(owner: string): Promise<LockState> {
    return this.#inTurn(async () => {
      const held = await this.#read()
      if (held !== undefined && held.owner !== owner) return stateOf(held, false)
      if (held !== undefined) await this.#write(undefined)
      return stateOf(undefined, true)
    })
  }

  get(): Promise<LockState> {
    return this.#inTurn(async () => stateOf(await this.#read(), false))
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work)
    this.#queue = result.catch(() => undefined)
    return result
  }

  /** Undefined where nobody holds it, or no longer. An unreadable file holds nothing: it was written whole or not at all. */
  async #read(): Promise<Lease | undefined> {
    try {
      const raw = JSON.parse(await readFile(this.#path, 'utf8')) as { owner?: string; purpose: string; since: string; expires: string }
      const expires = new Date(raw.expires)
      if (raw.owner === undefined || !(expires > this.#now())) return undefined
      return { owner: raw.owner, purpose: raw.purpose, since: new Date(raw.since), expires }
    } catch {
      return undefined
    }
  }

  async #write(lease: Lease | undefined): Promise<void> {
    try {
      await writeWhole(this.#path, JSON.stringify(lease ?? {}))
    } catch (error) {
      throw new HiveError('blocked', `the lock can't be written: ${messageOf(error)}`, { hint: 'free space on the host', cause: error })
    }
  }
}

const stateOf = (lease: Lease | undefined, granted: boolean): LockState => ({
  held: lease !== undefined,
  owner: lease?.owner ?? '',
  purpose: lease?.purpose ?? '',
  since: lease?.since,
  expires: lease?.expires,
  granted,
})
