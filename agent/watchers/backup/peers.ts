/** Agents of other hosts, called by this one with its own certificate. */
import { Metadata } from '@grpc/grpc-js'
import {
  type BackupOffer,
  BackupServiceClient,
  BackupServiceService,
  type DumpOutput,
  type LoadInput,
  type LoadOutput,
  type LoadStart,
} from '#gen/hive/v1/backup.ts'
import type { BackupHost } from '#gen/hive/v1/steps_backup.ts'
import { HiveError, messageOf } from '../../../proto/errors.ts'
import { fromServiceError } from '../../../proto/status.ts'
import { askPeer } from '../../adapters/peer.ts'
import { peerCredentials } from '../../adapters/peer-credentials.ts'

/** Milliseconds for a host to say what it has. */
const offerDeadline = 10_000
/** Milliseconds for one dump, restore or drill: a command that hangs does not keep the next night's run. */
const longest = 12 * 3600_000

export interface Offered extends BackupOffer {
  readonly host: BackupHost
}

export class Peers {
  readonly #pkiDir: string

  constructor(pkiDir: string) {
    this.#pkiDir = pkiDir
  }

  /** What all hosts offer, in their order, and why some gave no answer. */
  async offers(hosts: readonly BackupHost[], signal: AbortSignal): Promise<{ readonly offers: readonly Offered[]; readonly silent: readonly string[] }> {
    const silent: string[] = []
    const answers = await Promise.all(
      hosts.map(async (host) => {
        try {
          const to = { host: host.name, address: host.address, port: host.port }
          const { offers } = await askPeer(to, this.#pkiDir, BackupServiceService.offers, {}, { signal, deadline: offerDeadline })
          return offers.map((offer) => ({ ...offer, host }))
        } catch (error) {
          if (signal.aborted) throw error
          silent.push(messageOf(error))
          return []
        }
      }),
    )
    return { offers: answers.flat(), silent }
  }

  async *dump(host: BackupHost, service: string, script: string, signal: AbortSignal): AsyncGenerator<DumpOutput> {
    const client = await this.#client(host)
    const call = client.dump({ service, script }, new Metadata(), { deadline: Date.now() + longest })
    const abort = (): void => call.cancel()
    signal.addEventListener('abort', abort, { once: true })
    // An error may come between two messages.
    call.on('error', () => undefined)
    try {
      for await (const output of call) yield output as DumpOutput
      signal.throwIfAborted()
    } catch (error) {
      throw failure(error, host, signal)
    } finally {
      signal.removeEventListener('abort', abort)
      call.cancel()
      client.close()
    }
  }

  /** Answers what the host found. */
  async load(
    host: BackupHost,
    how: 'load' | 'rehearse',
    start: LoadStart,
    data: AsyncIterable<Uint8Array>,
    options: { readonly signal: AbortSignal; readonly onLine: (line: string) => void },
  ): Promise<string> {
    const { signal, onLine } = options
    const client = await this.#client(host)
    const call = client[how](new Metadata(), { deadline: Date.now() + longest })
    const abort = (): void => call.cancel()
    signal.addEventListener('abort', abort, { once: true })
    call.on('error', () => undefined)
    let over = false
    let broken: unknown
    const send = (input: LoadInput['input']): Promise<void> =>
      new Promise((resolve) => {
        if (over || call.write({ input })) resolve()
        else for (const event of ['drain', 'close', 'error', 'end'] as const) call.once(event, () => resolve())
      })
    const sending = (async () => {
      await send({ $case: 'start', value: start })
      for await (const chunk of data) {
        if (over) return
        await send({ $case: 'chunk', value: Buffer.from(chunk) })
      }
      await send({ $case: 'end', value: true })
      call.end()
    })().catch((error: unknown) => {
      broken = error
      call.cancel()
    })
    let done: string | undefined
    try {
      for await (const { output } of call as AsyncIterable<LoadOutput>) {
        if (output?.$case === 'line') onLine(output.value)
        if (output?.$case === 'done') done = output.value
      }
      signal.throwIfAborted()
      if (done === undefined) throw new HiveError('unreachable', `${host.name} did not tell how it ended`, { host: host.name })
      return done
    } catch (error) {
      throw broken ?? failure(error, host, signal)
    } finally {
      over = true
      signal.removeEventListener('abort', abort)
      call.cancel()
      client.close()
      await sending
    }
  }

  /** A connection a call: dumps are rare, and certificates change. */
  async #client({ name, address, port }: BackupHost): Promise<BackupServiceClient> {
    const target = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
    return new BackupServiceClient(target, await peerCredentials(this.#pkiDir), {
      'grpc.ssl_target_name_override': name,
      'grpc.default_authority': name,
      'grpc.keepalive_time_ms': 20_000,
      'grpc.keepalive_timeout_ms': 10_000,
      'grpc.max_receive_message_length': 16 * 1024 * 1024,
      'grpc.enable_retries': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.enable_http_proxy': 0,
      'grpc.use_local_subchannel_pool': 1,
    })
  }
}

function failure(error: unknown, { name }: BackupHost, signal: AbortSignal): HiveError {
  if (signal.aborted) return signal.reason instanceof HiveError ? signal.reason : new HiveError('cancelled', 'stopped', { cause: error })
  return fromServiceError(error, name)
}
