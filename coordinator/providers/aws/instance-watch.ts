/** Waits for states of instances: one DescribeInstances for all that are waited for. */
import { HiveError } from '../../../proto/errors.ts'
import type { AwsApi } from './api.ts'
import { fromStateReason } from './errors.ts'
import { type FoundInstance, type InstanceState, instanceOf } from './found.ts'
import { backoff } from './wait.ts'

/** Milliseconds for a change of state: a large instance takes some minutes to stop. */
const patience = 900_000

interface Waiter {
  readonly id: string
  readonly host: string
  readonly wanted: InstanceState
  readonly end: number
  resolve(instance: FoundInstance): void
  reject(error: unknown): void
}

export class InstanceWatch {
  readonly #api: AwsApi
  readonly #signal: AbortSignal
  #waiters: Waiter[] = []
  #asking = false

  constructor(api: AwsApi, signal: AbortSignal) {
    this.#api = api
    this.#signal = signal
  }

  /** Throws HiveError where the instance ends up elsewhere, with AWS's reason, or does not get there in time. */
  until(id: string, wanted: InstanceState, host: string): Promise<FoundInstance> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ id, host, wanted, end: this.#api.clock.now() + patience, resolve, reject })
      if (!this.#asking) void this.#ask()
    })
  }

  async #ask(): Promise<void> {
    this.#asking = true
    let attempt = 0
    try {
      while (this.#waiters.length > 0) {
        const wanted = [...new Set(this.#waiters.map(({ id }) => id))]
        // By filter: one that EC2 does not know yet must not fail the question for all.
        const about = { what: `state of ${this.#waiters.map(({ host }) => host).join(', ')}` }
        const input = { Filters: [{ Name: 'instance-id', Values: wanted }] }
        const reservations = await this.#api.all('DescribeInstances', input, about, this.#signal, ({ Reservations }) => Reservations)
        const instances = new Map(reservations.flatMap(({ Instances }) => Instances ?? []).map((instance) => [instance.InstanceId, instanceOf(instance)]))
        const before = this.#waiters.length
        this.#waiters = this.#waiters.filter((waiter) => !this.#settled(waiter, instances.get(waiter.id)))
        attempt = this.#waiters.length === before ? attempt + 1 : 0
        if (this.#waiters.length > 0) await this.#api.clock.pause(backoff(attempt, { first: 700, random: this.#api.clock.random() }), this.#signal)
      }
    } catch (error) {
      for (const { reject } of this.#waiters) reject(error)
      this.#waiters = []
    } finally {
      this.#asking = false
    }
  }

  #settled({ id, host, wanted, end, resolve, reject }: Waiter, instance: FoundInstance | undefined): boolean {
    const state = instance?.state
    if (instance !== undefined && state === wanted) {
      resolve(instance)
      return true
    }
    // Gone altogether is terminated, too.
    if (wanted === 'terminated' && instance === undefined) {
      resolve({ id, name: host, state: 'terminated' } as FoundInstance)
      return true
    }
    if (wanted !== 'terminated' && (state === 'terminated' || state === 'shutting-down')) {
      reject(fromStateReason(`instance ${id} of ${host}`, host, instance?.stateReason ?? ''))
      return true
    }
    if (this.#api.clock.now() <= end) return false
    reject(
      new HiveError('timeout', `instance ${id} of ${host} is ${state ?? 'not known'} and not ${wanted} after ${patience / 60_000} min`, {
        host,
        hint: 'run the command again; it goes on from there',
      }),
    )
    return true
  }
}
