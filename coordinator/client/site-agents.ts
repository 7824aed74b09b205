/** The agents of a stage: connected when first asked for, one connection a host, for the life of a command. */
import type { InfoResponse } from '#gen/hive/v1/host.ts'
import { HiveError } from '../../proto/errors.ts'
import type { Host } from '../inventory/site.ts'
import type { Credentials } from '../pki/stage-pki.ts'
import { AgentClient } from './agent-client.ts'
import { type Dialer, directly } from './dialer.ts'
import { fromCallFailure } from './errors.ts'

/** Milliseconds for which that is believed without asking again. */
const believedGone = 15_000

export interface SiteAgentsOptions {
  readonly hosts: readonly Pick<Host, 'name' | 'address' | 'settings'>[]
  /** Asked once, at the first connection, and once more after `renewCredentials`. */
  readonly credentials: () => Promise<Credentials>
  /** Hosts that never got an agent are not dialled: their addresses may not be ours yet. */
  readonly enrolled: (host: string) => boolean
  /** Why no host may be dialled from where this process is; undefined where it may. */
  readonly whyNotDial?: (() => string | undefined) | undefined
  /** Asked when first needed. Default: directly. */
  readonly dialer?: (() => Dialer) | undefined
  /** The coordinator's, which agents are compared with. Default: they are not compared. */
  readonly version?: string | undefined
  /** Told once of each agent that answers and is too far from it. */
  readonly apart?: ((why: HiveError) => void) | undefined
}

export type Asked<T> = { readonly answer: T } | { readonly error: HiveError }
export type Reached = { readonly client: AgentClient; readonly info: InfoResponse } | { readonly error: HiveError }

export class SiteAgents {
  readonly #options: SiteAgentsOptions
  readonly #clients = new Map<string, Promise<AgentClient>>()
  readonly #reached = new Map<string, Promise<Reached>>()
  #credentials: Promise<Credentials> | undefined
  readonly #told = new Set<string>()
  /** Hosts that gave no answer when they were last asked. */
  readonly #silent = new Set<string>()
  #closed = false

  constructor(options: SiteAgentsOptions) {
    this.#options = options
  }

  enrolled(host: string): boolean {
    return this.#options.enrolled(host)
  }

  /** Why no host may be dialled from where this process is (it is not in the stage's network); undefined where it may. */
  whyNotDial(): string | undefined {
    return this.#options.whyNotDial?.()
  }

  /** The host's client, whether or not it answers. Rejects with 'not-found' for a host that the site does not have. */
  client(host: string): Promise<AgentClient> {
    const known = this.#clients.get(host)
    if (known !== undefined) return known
    const made = this.#connect(host)
    this.#clients.set(host, made)
    made.catch(() => this.#clients.delete(host))
    return made
  }

  /** A connection of its own with other credentials than the stage's. Closed by the caller. Rejects as `client` does. */
  as(host: string, credentials: Credentials): Promise<AgentClient> {
    return this.#connect(host, credentials)
  }

  async #connect(host: string, as?: Credentials): Promise<AgentClient> {
    const found = this.#options.hosts.find(({ name }) => name === host)
    if (found === undefined)
      throw new HiveError('not-found', `the site has no host ${host}`, { hint: `it has ${this.#options.hosts.map(({ name }) => name).join(', ')}` })
    if (!this.#options.enrolled(host))
      throw new HiveError('unreachable', `${host} has no agent yet`, { host, hint: 'build-infra makes the host and puts its agent there' })
    const why = this.whyNotDial()
    if (why !== undefined) throw new HiveError('unreachable', `${host} cannot be reached from here: ${why}`, { host })
    if (as === undefined) this.#credentials ??= this.#options.credentials()
    const credentials = as ?? (await this.#credentials)
    if (credentials === undefined) throw new HiveError('internal', 'there are no credentials')
    if (this.#closed) throw new HiveError('cancelled', `the connection to ${host} was closed`, { host })
    const to = { host, address: found.address, port: found.settings.agentPort }
    return new AgentClient(to, credentials, { way: await this.#dialer().way(to), version: this.#options.version })
  }

  #dialer(): Dialer {
    return this.#options.dialer?.() ?? directly
  }

  /** A connection of its own, without the pauses of one that failed before. Closed by the caller. Rejects as `client` does. */
  anew(host: string): Promise<AgentClient> {
    return this.#connect(host)
  }

  /** Whether the host answers, asked once until `forget`. Never rejects but for `signal`. */
  async reach(host: string, signal?: AbortSignal): Promise<Reached> {
    const known = this.#reached.get(host)
    if (known !== undefined) return known
    const asked = (async (): Promise<Reached> => {
      try {
        const client = await this.client(host)
        const info = await client.connect(this.#dialer().patience, signal)
        this.#tell(host, client.whyNotTogether())
        this.#silent.delete(host)
        return { client, info }
      } catch (error) {
        this.#silent.add(host)
        return { error: fromCallFailure(error, host, signal) }
      }
    })()
    this.#reached.set(host, asked)
    const answer = await asked
    if ('error' in answer) setTimeout(() => this.#reached.get(host) === asked && this.#reached.delete(host), believedGone).unref()
    if (signal?.aborted) throw new HiveError('cancelled', 'cancelled', { cause: signal.reason })
    return answer
  }

  #tell(host: string, apart: HiveError | undefined): void {
    if (apart === undefined || this.#told.has(host)) return
    this.#told.add(host)
    this.#options.apart?.(apart)
  }

  /** Whether `reach` would answer from memory. */
  reachedBefore(host: string): boolean {
    return this.#reached.has(host)
  }

  /** All named hosts at once. */
  async reachAll(hosts: readonly string[], signal?: AbortSignal): Promise<ReadonlyMap<string, Reached>> {
    return new Map(await Promise.all(hosts.map(async (host) => [host, await this.reach(host, signal)] as const)))
  }

  /** The same question to all named hosts at once; no answer is an answer, too. Rejects only for `signal`. */
  async askAll<T>(hosts: readonly string[], ask: (client: AgentClient) => Promise<T>, signal?: AbortSignal): Promise<ReadonlyMap<string, Asked<T>>> {
    const asking = hosts.map(async (host): Promise<[string, Asked<T>]> => {
      const reached = await this.reach(host, signal)
      if ('error' in reached) return [host, reached]
      return ask(reached.client).then(
        (answer) => [host, { answer }],
        (error: unknown) => [host, { error: fromCallFailure(error, host, signal) }],
      )
    })
    const answers = new Map(await Promise.all(asking))
    signal?.throwIfAborted()
    return answers
  }

  /**
   * A host that stopped answering is asked again next time; one that gave no answer by a connection of its own, without the pauses of the one
   * that failed: it may have been made anew meanwhile.
   */
  forget(host: string): void {
    this.#reached.delete(host)
    if (!this.#silent.delete(host)) return
    void this.#clients.get(host)?.then((client) => client.close())
    this.#clients.delete(host)
  }

  /** All connections are closed, and made anew with what `credentials` answers then. Not while a site lock is held: it is renewed over them. */
  renewCredentials(): void {
    for (const client of this.#clients.values()) client.then((open) => open.close()).catch(() => undefined)
    this.#clients.clear()
    this.#reached.clear()
    this.#credentials = undefined
  }

  close(): void {
    this.#closed = true
    for (const client of this.#clients.values()) client.then((open) => open.close()).catch(() => undefined)
    this.#clients.clear()
    this.#reached.clear()
  }
}

/** The client of a host whose agent answers. Rejects with the HiveError for which it does not. */
export async function answering(agents: Pick<SiteAgents, 'reach'>, host: string, signal: AbortSignal): Promise<AgentClient> {
  const reached = await agents.reach(host, signal)
  if ('error' in reached) throw reached.error
  return reached.client
}
