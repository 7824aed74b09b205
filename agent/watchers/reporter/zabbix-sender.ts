/** Values to a Zabbix server by the sender protocol: a connection each request, plain, with a shared key or with certificates. */
import { connect, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { HiveError, messageOf } from '../../../proto/errors.ts'
import type { Value } from './value.ts'
import { decodeFrame, encodeFrame } from './zabbix-frame.ts'

export type Encryption =
  | { readonly kind: 'none' }
  /** `key`: hexadecimal. */
  | { readonly kind: 'psk'; readonly identity: string; readonly key: string }
  /** PEM. The server's certificate must come from `ca` and name the address. */
  | { readonly kind: 'certificate'; readonly ca: string; readonly certificate: string; readonly key: string }

export interface ZabbixServer {
  readonly address: string
  readonly port: number
  readonly encryption: Encryption
}

/** Without a time Zabbix takes its own. */
export type Outgoing = Pick<Value, 'host' | 'key' | 'value'> & Partial<Pick<Value, 'clock' | 'ns'>>

export interface Receipt {
  readonly processed: number
  /** Of unknown hosts or items, of disabled ones, and from addresses that the item does not allow. */
  readonly failed: number
}

/** Values of one request. */
export const batchSize = 250
/** Milliseconds for a request with its answer. */
const requestTime = 20_000

/**
 * Answers what Zabbix did with them; the order is kept. Throws HiveError 'unreachable' where the server does not answer, 'timeout',
 * 'cancelled', 'denied' where it does not accept the encryption, 'command-failed' where it refuses the whole request.
 */
export async function sendValues(server: ZabbixServer, values: readonly Outgoing[], signal: AbortSignal): Promise<Receipt> {
  const request = JSON.stringify({ request: 'sender data', data: values.map(({ host, key, value, clock, ns }) => ({ host, key, value, clock, ns })) })
  return parseReceipt(await exchange(server, request, signal))
}

/** `info` of the answer: "processed: 2; failed: 0; total: 2; seconds spent: 0.000052". */
export function parseReceipt(answer: string): Receipt {
  let said: { readonly response?: unknown; readonly info?: unknown }
  try {
    said = JSON.parse(answer) as typeof said
  } catch (cause) {
    throw new HiveError('command-failed', 'Zabbix answered no JSON', { cause })
  }
  const info = typeof said.info === 'string' ? said.info : ''
  const [, processed, failed] = /processed:? (\d+);? failed:? (\d+)/i.exec(info) ?? []
  if (said.response !== 'success' || processed === undefined || failed === undefined)
    throw new HiveError('command-failed', `Zabbix refused what was sent: ${info === '' ? answer.slice(0, 200) : info}`)
  return { processed: Number(processed), failed: Number(failed) }
}

/** One request and its answer. */
async function exchange(server: ZabbixServer, request: string, signal: AbortSignal): Promise<string> {
  const deadline = AbortSignal.timeout(requestTime)
  const where = `${server.address}:${server.port}`
  try {
    return await overSocket(open(server), request, server.encryption.kind === 'none' ? 'connect' : 'secureConnect', AbortSignal.any([signal, deadline]))
  } catch (error) {
    if (error instanceof HiveError) throw error
    if (signal.aborted) throw new HiveError('cancelled', 'sending to Zabbix was stopped', { cause: error })
    if (deadline.aborted) throw new HiveError('timeout', `Zabbix at ${where} did not answer within ${requestTime / 1000} s`, { cause: error })
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (/SSL|TLS|CERT|ALERT/i.test(`${code} ${messageOf(error)}`))
      throw new HiveError('denied', `Zabbix at ${where} does not accept the encryption: ${messageOf(error)}`, { cause: error })
    throw new HiveError('unreachable', `Zabbix at ${where} is not reached: ${messageOf(error)}`, { cause: error })
  }
}

function open({ address: host, port, encryption }: ZabbixServer): Socket | TLSSocket {
  switch (encryption.kind) {
    case 'none':
      return connect({ host, port })
    case 'psk': {
      const psk = { psk: Buffer.from(encryption.key, 'hex'), identity: encryption.identity }
      // Servers with GnuTLS take a shared key up to TLS 1.2; there is no certificate whose name could be looked at.
      return connectTls({
        host,
        port,
        pskCallback: () => psk,
        ciphers: 'PSK',
        minVersion: 'TLSv1.2',
        maxVersion: 'TLSv1.2',
        checkServerIdentity: () => undefined,
      })
    }
    case 'certificate':
      return connectTls({ host, port, ca: encryption.ca, cert: encryption.certificate, key: encryption.key, minVersion: 'TLSv1.2' })
  }
}

function overSocket(socket: Socket, request: string, ready: 'connect' | 'secureConnect', signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const end = (error: unknown, answer?: string): void => {
      signal.removeEventListener('abort', abort)
      socket.destroy()
      if (answer === undefined) reject(error)
      else resolve(answer)
    }
    const abort = (): void => end(signal.reason)
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    socket.on('error', end)
    socket.on('close', () => end(new Error('the connection was closed without an answer')))
    socket.once(ready, () => socket.write(encodeFrame(request)))
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      try {
        const answer = decodeFrame(Buffer.concat(chunks))
        if (answer !== undefined) end(undefined, answer)
      } catch (error) {
        end(error)
      }
    })
  })
}
