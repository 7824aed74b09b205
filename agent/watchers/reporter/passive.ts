/**
 * Answers Zabbix' passive checks, as zabbix-agent does, to the addresses that may ask: a bare key, with or without a head, as servers up to
 * 6.4 send it, or the JSON request of 7.0. Encrypted as what is sent.
 */
import { BlockList, createServer, isIP, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { MonitoringConfiguration, PassiveConfiguration } from './configuration.ts'
import { answerKey } from './passive-keys.ts'
import { decodeFrame, encodeFrame, readHead } from './zabbix-frame.ts'
import type { Encryption } from './zabbix-sender.ts'

export interface PassiveOptions {
  readonly configuration: MonitoringConfiguration
  readonly passive: PassiveConfiguration
  readonly encryption: Encryption
  readonly version: string
  /** What was last found, by "HOST\nKEY". */
  readonly latest: ReadonlyMap<string, string>
  readonly now: () => number
  /** Default: everywhere. */
  readonly listen?: string
}

/** Milliseconds for a question and its answer. */
const patience = 10_000
/** Connections at a time, and bytes of a question. */
const crowd = 50
const longest = 64 * 1024

export class PassiveListener {
  readonly #options: PassiveOptions
  readonly #allowed: BlockList
  readonly #open = new Set<Socket>()
  #server: Server | undefined

  constructor(options: PassiveOptions) {
    this.#options = options
    this.#allowed = allowedSources(options.passive.allowed)
  }

  /** Resolves with the port when it listens. Rejects where it can't. */
  start(): Promise<number> {
    const { encryption, passive, listen = '0.0.0.0' } = this.#options
    const server = serverFor(encryption, (socket) => this.#receive(socket))
    server.maxConnections = crowd
    // Whoever may not ask does not get as far as an encryption.
    server.on('connection', (socket: Socket) => {
      this.#open.add(socket)
      socket.on('close', () => this.#open.delete(socket))
      socket.on('error', () => socket.destroy())
      if (!this.#isAllowed(socket.remoteAddress ?? '')) socket.destroy()
    })
    this.#server = server
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(passive.port, listen, () => {
        server.off('error', reject)
        server.on('error', () => undefined)
        server.unref()
        const address = server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : passive.port)
      })
    })
  }

  async stop(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    for (const socket of this.#open) socket.destroy()
    await new Promise<void>((resolve) => server.close(() => resolve()))
  }

  #isAllowed(address: string): boolean {
    const plain = address.replace(/^::ffff:/, '')
    const kind = isIP(plain)
    return kind !== 0 && this.#allowed.check(plain, kind === 4 ? 'ipv4' : 'ipv6')
  }

  #receive(socket: Socket): void {
    const chunks: Buffer[] = []
    let asked = false
    socket.setTimeout(patience, () => socket.destroy())
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      const bytes = Buffer.concat(chunks)
      if (bytes.length > longest) return void socket.destroy()
      let question: string | undefined
      try {
        question = questionOf(bytes)
      } catch {
        return void socket.destroy()
      }
      if (question === undefined || asked) return
      asked = true
      this.#answer(question).then(
        (answer) => socket.end(encodeFrame(answer)),
        () => socket.destroy(),
      )
    })
  }

  async #answer(question: string): Promise<string> {
    const { configuration, passive, version, latest, now } = this.#options
    const ask = (key: string): Promise<string | undefined> => answerKey(key, { configuration, suffix: passive.suffix, version, latest, now: now() })
    const keys = keysOf(question)
    if (keys === undefined) return (await ask(question)) ?? 'ZBX_NOTSUPPORTED\0Unsupported item key.'
    const data = await Promise.all(keys.map(async (key) => ask(key)))
    return JSON.stringify({ version: '7.0.0', variant: 2, data: data.map((value) => (value === undefined ? { error: 'Unsupported item key.' } : { value })) })
  }
}

/** A whole question; undefined while some of it is missing. Throws for what is none. */
export function questionOf(bytes: Buffer): string | undefined {
  if (bytes[0] !== 'Z'.charCodeAt(0)) {
    const end = bytes.indexOf('\n')
    return end < 0 ? undefined : bytes.subarray(0, end).toString('utf8').trimEnd()
  }
  const head = readHead(bytes)
  return head === undefined ? undefined : decodeFrame(bytes)?.trimEnd()
}

/** Keys of a request of 7.0; undefined where the question is a bare key. */
export function keysOf(question: string): readonly string[] | undefined {
  if (!question.startsWith('{')) return undefined
  let request: unknown
  try {
    request = JSON.parse(question)
  } catch {
    return undefined
  }
  const { request: kind, data } = request as { readonly request?: unknown; readonly data?: unknown }
  if (kind !== 'passive checks' || !Array.isArray(data)) return undefined
  return data.map((entry: { readonly key?: unknown } | null) => String(entry?.key ?? ''))
}

function allowedSources(sources: readonly string[]): BlockList {
  const list = new BlockList()
  for (const source of sources) {
    const [address = '', prefix] = source.split('/')
    const kind = isIP(address)
    if (kind === 0) continue
    const family = kind === 4 ? 'ipv4' : 'ipv6'
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }
  return list
}

function serverFor(encryption: Encryption, onSocket: (socket: Socket) => void): Server {
  switch (encryption.kind) {
    case 'none':
      return createServer(onSocket)
    case 'psk': {
      const key = Buffer.from(encryption.key, 'hex')
      return createTlsServer(
        {
          ciphers: 'PSK',
          minVersion: 'TLSv1.2',
          maxVersion: 'TLSv1.2',
          pskCallback: (_: unknown, identity: string) => (identity === encryption.identity ? key : null),
        },
        onSocket,
      )
    }
    case 'certificate':
      return createTlsServer(
        { ca: encryption.ca, cert: encryption.certificate, key: encryption.key, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.2' },
        onSocket,
      )
  }
}
