/** One connection to one agent: TLS 1.3 with client certificate, over the way given, verified by name; calls as promises and async iterables. */
import { checkServerIdentity, createSecureContext } from 'node:tls'
import { ChannelCredentials, Client, type ClientReadableStream, type CallOptions as GrpcCallOptions, Metadata } from '@grpc/grpc-js'
import { HiveError } from '../../proto/errors.ts'
import { plainSerial } from '../../proto/pem.ts'
import type { Credentials } from '../pki/stage-pki.ts'
import type { Way } from './dialer.ts'
import { fromCallFailure } from './errors.ts'
import type { CallOptions, Method, ServiceCalls, ServiceDefinition } from './method.ts'

/** Milliseconds for calls with one answer. */
export const defaultDeadline = 30_000
/** Bytes; plans of large sites and container lists are big. */
const largestMessage = 64 * 1024 * 1024

interface Writable {
  write(message: unknown, callback?: () => void): boolean
  end(): void
  once(event: string, listener: (...args: never[]) => void): unknown
  removeListener(event: string, listener: (...args: never[]) => void): unknown
}

/** Asked before each call; rejects where it must not be made. */
export type MayCall = (path: string, signal: AbortSignal | undefined) => Promise<void>

export class AgentChannel {
  readonly host: string
  readonly #client: Client
  readonly #way: Way
  readonly #mayCall: MayCall | undefined

  constructor(host: string, way: Way, credentials: Credentials, mayCall?: MayCall) {
    this.host = host
    this.#mayCall = mayCall
    this.#way = way
    const context = createSecureContext({ ca: credentials.caPem, cert: credentials.certificatePem, key: credentials.keyPem, minVersion: 'TLSv1.3' })
    this.#client = new Client(way.target, ChannelCredentials.createFromSecureContext(context, { checkServerIdentity: identityCheck(credentials.revoked) }), {
      'grpc.ssl_target_name_override': host,
      'grpc.default_authority': host,
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
      'grpc.max_receive_message_length': largestMessage,
      'grpc.max_send_message_length': largestMessage,
      'grpc.initial_reconnect_backoff_ms': 200,
      'grpc.min_reconnect_backoff_ms': 200,
      'grpc.max_reconnect_backoff_ms': 2_000,
      'grpc.enable_retries': 0,
      'grpc.service_config_disable_resolution': 1,
      // Agents are dialled directly, whatever proxy the environment names.
      'grpc.enable_http_proxy': 0,
      // Closing this one must not leave its socket to a pool shared by the process.
      'grpc.use_local_subchannel_pool': 1,
    })
  }

  close(): void {
    this.#client.close()
    this.#way.close()
  }

  #failure(error: unknown, signal: AbortSignal | undefined): HiveError {
    const failure = fromCallFailure(error, this.host, signal)
    return failure.code === 'unreachable' ? (this.#way.whyClosed() ?? failure) : failure
  }

  /** All methods of a service, typed. */
  service<S extends ServiceDefinition>(definition: S): ServiceCalls<S> {
    const calls: Record<string, unknown> = {}
    for (const [name, method] of Object.entries(definition)) {
      calls[name] = (request: unknown, options?: CallOptions) => this.call(method as Method<unknown, unknown>, request, options)
    }
    return calls as ServiceCalls<S>
  }

  /** Any method by its definition. Streams in are iterables of requests; streams out are async iterables. */
  call(method: Method<unknown, unknown>, request: unknown, options: CallOptions = {}): Promise<unknown> | AsyncIterable<unknown> {
    const requests = request as AsyncIterable<unknown> | Iterable<unknown>
    if (method.responseStream) return this.#stream(method, request, options)
    return method.requestStream ? this.#upload(method, requests, options) : this.#unary(method, request, options)
  }

  async #unary<Q, R>(method: Method<Q, R>, request: Q, options: CallOptions): Promise<R> {
    const { signal } = options
    refuseAborted(signal, this.host)
    await this.#mayCall?.(method.path, signal)
    let abort: (() => void) | undefined
    try {
      return await new Promise<R>((resolve, reject) => {
        const call = this.#client.makeUnaryRequest<Q, R>(
          method.path,
          method.requestSerialize,
          method.responseDeserialize,
          request,
          new Metadata(),
          callOptions(options, defaultDeadline),
          (error, response) => (error === null ? resolve(response as R) : reject(error)),
        )
        abort = () => call.cancel()
        signal?.addEventListener('abort', abort, { once: true })
      })
    } catch (error) {
      throw this.#failure(error, signal)
    } finally {
      if (abort !== undefined) signal?.removeEventListener('abort', abort)
    }
  }

  async #upload<Q, R>(method: Method<Q, R>, requests: AsyncIterable<Q> | Iterable<Q>, options: CallOptions): Promise<R> {
    const { signal } = options
    refuseAborted(signal, this.host)
    await this.#mayCall?.(method.path, signal)
    let settled = false
    let abort: (() => void) | undefined
    try {
      let call: ReturnType<Client['makeClientStreamRequest']> | undefined
      const answered = new Promise<R>((resolve, reject) => {
        const made = this.#client.makeClientStreamRequest<Q, R>(
          method.path,
          method.requestSerialize,
          method.responseDeserialize,
          new Metadata(),
          callOptions(options, undefined),
          (error, response) => {
            settled = true
            if (error === null) resolve(response as R)
            else reject(error)
          },
        )
        call = made as unknown as typeof call
        abort = () => made.cancel()
        signal?.addEventListener('abort', abort, { once: true })
      })
      const writable = call as unknown as Writable & { cancel(): void }
      const writing = writeAll(writable, requests, () => settled).catch((error: unknown) => {
        writable.cancel()
        throw error
      })
      // An agent may answer before it read everything ("I have it"): whatever comes first decides.
      await Promise.race([answered, writing])
      return await answered
    } catch (error) {
      throw this.#failure(error, signal)
    } finally {
      if (abort !== undefined) signal?.removeEventListener('abort', abort)
    }
  }

  async *#stream<Q, R>(method: Method<Q, R>, request: Q | AsyncIterable<Q> | Iterable<Q>, options: CallOptions): AsyncGenerator<R> {
    const { signal, silence } = options
    refuseAborted(signal, this.host)
    await this.#mayCall?.(method.path, signal)
    const given = callOptions(options, undefined)
    let writing: Promise<void> = Promise.resolve()
    let failedInput: unknown
    let over = false
    let call: ClientReadableStream<R>
    if (method.requestStream) {
      const duplex = this.#client.makeBidiStreamRequest<Q, R>(method.path, method.requestSerialize, method.responseDeserialize, new Metadata(), given)
      call = duplex
      writing = writeAll(duplex as unknown as Writable, request as Iterable<Q>, () => over).catch((error: unknown) => {
        failedInput = error
        duplex.cancel()
      })
    } else {
      call = this.#client.makeServerStreamRequest<Q, R>(method.path, method.requestSerialize, method.responseDeserialize, request as Q, new Metadata(), given)
    }
    const abort = () => call.cancel()
    signal?.addEventListener('abort', abort, { once: true })
    let silent = false
    const watchdog =
      silence === undefined
        ? undefined
        : setTimeout(() => {
            silent = true
            call.cancel()
          }, silence)
    // An error may come when nobody is reading, between two messages or after the reader went away.
    call.on('error', () => undefined)
    try {
      for await (const message of call) {
        watchdog?.refresh()
        yield message as R
        watchdog?.refresh()
      }
      if (signal?.aborted) throw new HiveError('cancelled', `the call to ${this.host} was cancelled`, { host: this.host })
    } catch (error) {
      if (failedInput !== undefined) throw failedInput
      if (silent && !signal?.aborted)
        throw new HiveError('unreachable', `${this.host} was silent for ${Math.round((silence ?? 0) / 1000)} s`, { host: this.host })
      throw this.#failure(error, signal)
    } finally {
      over = true
      clearTimeout(watchdog)
      signal?.removeEventListener('abort', abort)
      call.cancel()
      void writing
    }
  }
}

/** The name that was asked for, and no certificate that is revoked: whoever took a host's key is no host. */
const identityCheck =
  (revoked: ReadonlySet<string> = new Set()): typeof checkServerIdentity =>
  (name, certificate) =>
    checkServerIdentity(name, certificate) ??
    (revoked.has(plainSerial(certificate.serialNumber)) ? new Error(`the certificate that ${name} shows was revoked`) : undefined)

/** Writes what comes, waiting for `drain` where the connection is slower; stops when the call is over. */
async function writeAll<Q>(call: Writable, requests: AsyncIterable<Q> | Iterable<Q>, over: () => boolean): Promise<void> {
  for await (const request of requests) {
    if (over()) return
    if (!call.write(request)) await drained(call, over)
  }
  if (!over()) call.end()
}

function drained(call: Writable, over: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const events = ['drain', 'close', 'status', 'error'] as const
    const done = () => {
      for (const event of events) call.removeListener(event, done)
      resolve()
    }
    for (const event of events) call.once(event, done)
    if (over()) done()
  })
}

function callOptions(options: CallOptions, fallback: number | undefined): GrpcCallOptions {
  const milliseconds = options.deadline ?? fallback
  return milliseconds === undefined ? {} : { deadline: Date.now() + milliseconds }
}

function refuseAborted(signal: AbortSignal | undefined, host: string): void {
  if (signal?.aborted) throw new HiveError('cancelled', `the call to ${host} was cancelled`, { host, cause: signal.reason })
}
