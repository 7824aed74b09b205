/** Calls to EC2: typed by their name, repeated where that is safe, errors explained. */
import type { EC2Client, EC2ClientConfig } from '@aws-sdk/client-ec2'
import type { EFSClient } from '@aws-sdk/client-efs'
import { HiveError } from '../../../proto/errors.ts'
import { loadSettings } from '../../inventory/settings.ts'
import type { Site } from '../../inventory/site.ts'
import { type About, awsCode, fromAws, isAmbiguous, isNotFound, isThrottled } from './errors.ts'
import type { CallName, InputOf, OutputOf } from './sdk.ts'
import { backoff, type Clock, realClock, throwIfCancelled, untilAnswer } from './wait.ts'

type Sdk = typeof import('./sdk.ts')

/** Milliseconds until AWS, which takes no more requests for now, must take one. */
const throttlePatience = 300_000
/** Milliseconds until what was just made is known everywhere in EC2. */
const settlePatience = 60_000

export class AwsApi {
  readonly region: string
  readonly clock: Clock
  readonly efs: EFSClient
  readonly #sdk: Sdk
  readonly #client: EC2Client
  /** For calls that must not be repeated blindly. */
  readonly #once: EC2Client

  constructor(sdk: Sdk, config: EC2ClientConfig & { readonly region: string }, clock: Clock = realClock) {
    this.region = config.region
    this.clock = clock
    this.#sdk = sdk
    this.#client = new sdk.EC2Client({ ...config, maxAttempts: 4 })
    this.#once = new sdk.EC2Client({ ...config, maxAttempts: 1 })
    this.efs = new sdk.EFSClient({ ...(config as object), maxAttempts: 8 })
  }

  /** A call that may be repeated: it reads, or doing it twice comes to the same, or it carries a ClientToken. Throws HiveError. */
  async call<N extends CallName>(name: N, input: InputOf<N>, about: About, signal: AbortSignal): Promise<OutputOf<N>> {
    const end = this.clock.now() + throttlePatience
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#send(this.#client, name, input, signal)
      } catch (error) {
        // Other passing faults the SDK has repeated already.
        if (!isThrottled(error) || this.clock.now() > end) throw this.#explained(error, name, about, signal)
        await this.clock.pause(backoff(attempt, { most: 20_000, random: this.clock.random() }), signal)
      }
    }
  }

  /** As `call`, for things that were just made: "there is no such thing" is asked again for a minute. */
  async settled<N extends CallName>(name: N, input: InputOf<N>, about: About, signal: AbortSignal): Promise<OutputOf<N>> {
    return this.#patiently(
      () => this.call(name, input, about, signal),
      (error) => isNotFound(causeOf(error)),
      signal,
    )
  }

  /**
   * Makes something that EC2 would make twice when asked twice. Where the answer was lost, `look` tells whether it is there. `exists`: error
   * codes that say so too.
   */
  async createOnce<N extends CallName, T>(
    name: N,
    input: InputOf<N>,
    about: About,
    signal: AbortSignal,
    { made, look, exists }: { readonly made: (output: OutputOf<N>) => T | undefined; readonly look: () => Promise<T | undefined>; readonly exists?: RegExp },
  ): Promise<T> {
    const end = this.clock.now() + throttlePatience
    for (let attempt = 0; ; attempt++) {
      throwIfCancelled(signal)
      try {
        const answer = made(await this.#send(this.#once, name, input, signal))
        if (answer !== undefined) return answer
        throw new HiveError('internal', `${about.what}: ec2:${name} answered without what it made`)
      } catch (error) {
        const there = exists?.test(awsCode(error)) === true
        if (there || isAmbiguous(error)) {
          // It may take a moment until it can be seen.
          const found = await untilAnswer(look, { clock: this.clock, signal, deadline: there ? settlePatience : 6_000 })
          if (found !== undefined) return found
          if (there) throw this.#explained(error, name, about, signal)
        } else if (!isThrottled(error) && !isNotFound(error)) throw this.#explained(error, name, about, signal)
        if (this.clock.now() > end) throw this.#explained(error, name, about, signal)
        await this.clock.pause(backoff(attempt, { random: this.clock.random() }), signal)
      }
    }
  }

  /** All pages of a Describe call. */
  async all<N extends CallName, T>(
    name: N,
    input: InputOf<N>,
    about: About,
    signal: AbortSignal,
    items: (output: OutputOf<N>) => readonly T[] | undefined,
  ): Promise<readonly T[]> {
    const found: T[] = []
    let token: string | undefined
    do {
      const output = await this.call(name, { ...(input as object), ...(token === undefined ? {} : { NextToken: token }) } as InputOf<N>, about, signal)
      found.push(...(items(output) ?? []))
      token = (output as { readonly NextToken?: string }).NextToken
    } while (token !== undefined && token !== '')
    return found
  }

  async #patiently<T>(body: () => Promise<T>, again: (error: unknown) => boolean, signal: AbortSignal): Promise<T> {
    const end = this.clock.now() + settlePatience
    for (let attempt = 0; ; attempt++) {
      try {
        return await body()
      } catch (error) {
        if (!again(error) || this.clock.now() > end) throw error
        await this.clock.pause(backoff(attempt, { random: this.clock.random() }), signal)
      }
    }
  }

  async #send<N extends CallName>(client: EC2Client, name: N, input: InputOf<N>, signal: AbortSignal): Promise<OutputOf<N>> {
    throwIfCancelled(signal)
    // One class for each name, and TypeScript can't follow a union of them through `send`.
    const command = new (this.#sdk.commands[name] as new (input: InputOf<N>) => Parameters<EC2Client['send']>[0])(input)
    return (await client.send(command, { abortSignal: signal })) as OutputOf<N>
  }

  #explained(error: unknown, name: CallName, about: About, signal: AbortSignal): HiveError {
    if (signal.aborted) return new HiveError('cancelled', 'stopped', { cause: error })
    return fromAws(error, `ec2:${name}`, about, this.region)
  }

  close(): void {
    this.#client.destroy()
    this.#once.destroy()
    this.efs.destroy()
  }
}

/** EC2's own error code below a HiveError, or its own. */
export const causeOf = (error: unknown): unknown => (error instanceof HiveError && error.cause !== undefined ? error.cause : error)
export const codeOf = (error: unknown): string => awsCode(causeOf(error))

/** Clients for the stage's region, with the credentials that `hivecoord set` keeps, else the SDK's default chain. */
export async function openAws(site: Pick<Site, 'root' | 'stage'>, region: string, clock: Clock = realClock): Promise<AwsApi> {
  const sdk = await import('./sdk.ts')
  const settings = loadSettings(site.root, site.stage)
  const text = (name: string): string | undefined => {
    const value = settings.get(name)
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const accessKeyId = text('aws_access_key_id')
  const secretAccessKey = text('aws_secret_access_key')
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined))
    throw new HiveError('invalid-input', `only one of aws_access_key_id and aws_secret_access_key is set for stage ${site.stage}`, {
      hint: 'set both with hivecoord set, or none',
    })
  const given = accessKeyId === undefined || secretAccessKey === undefined ? {} : { credentials: { accessKeyId, secretAccessKey } }
  return new AwsApi(sdk, { region, ...given }, clock)
}
