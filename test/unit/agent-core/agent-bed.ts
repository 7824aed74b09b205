/** An agent in this process, on loopback, with its folders below a temporary one, and clients for it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'
import { type CallOptions, ChannelCredentials, type Client, type ClientOptions, Metadata, type ServiceError } from '@grpc/grpc-js'
import pino from 'pino'
import { type Agent, type AgentOptions, startAgent } from '../../../agent/server/agent.ts'
import type { Executors } from '../../../agent/steps/executor.ts'
import { type Issued, SiteCa } from './site-ca.ts'

export const hostName = 'hive0.example.site'

export interface Bed {
  readonly agent: Agent
  readonly ca: SiteCa
  readonly folder: string
  readonly pkiDir: string
  /** Lines the agent logged, parsed. */
  readonly logged: Record<string, unknown>[]
  connect<C extends Client>(make: ClientConstructor<C>, as: Issued, options?: { ca?: string; maxVersion?: 'TLSv1.2' }): C
  close(): Promise<void>
}
type ClientConstructor<C> = new (address: string, credentials: ChannelCredentials, options?: Partial<ClientOptions>) => C

let sharedCa: Promise<SiteCa> | undefined
export const siteCa = (): Promise<SiteCa> => {
  sharedCa ??= SiteCa.make('test site')
  return sharedCa
}

export async function bed(executors: Partial<Executors> = {}, options: Partial<AgentOptions> = {}, within?: string): Promise<Bed> {
  const ca = await siteCa()
  const folder = within ?? mkdtempSync(join(tmpdir(), 'agent-core-'))
  const pkiDir = join(folder, 'pki')
  mkdirSync(pkiDir, { recursive: true })
  const own = await ca.issue('hive:agent', hostName)
  writeFileSync(join(pkiDir, 'ca.pem'), ca.pem)
  writeFileSync(join(pkiDir, 'cert.pem'), own.cert)
  writeFileSync(join(pkiDir, 'key.pem'), own.key, { mode: 0o600 })
  const logged: Record<string, unknown>[] = []
  const log = pino({ base: null }, { write: (line: string) => void logged.push(JSON.parse(line)) })
  const config = { host: hostName, address: '127.0.0.1', port: 0, stateDir: join(folder, 'state'), pkiDir }
  const agent = await startAgent({ config, executors, log, listen: '127.0.0.1', ...options })
  const clients: Client[] = []
  return {
    agent,
    ca,
    folder,
    pkiDir,
    logged,
    connect: (make, as, { ca: trusted = ca.pem, maxVersion } = {}) => {
      const context = createSecureContext({
        ca: trusted,
        cert: as.cert,
        key: as.key,
        ...(maxVersion === undefined ? { minVersion: 'TLSv1.3' } : { maxVersion }),
      })
      const client = new make(`127.0.0.1:${agent.port}`, ChannelCredentials.createFromSecureContext(context), { 'grpc.ssl_target_name_override': hostName })
      clients.push(client)
      return client
    },
    close: async () => {
      for (const client of clients) client.close()
      await agent.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A unary call as a promise, with a deadline: `ask((...rest) => client.info({}, ...rest))`. */
export const ask = <A>(
  call: (metadata: Metadata, options: Partial<CallOptions>, done: (error: ServiceError | null, answer: A) => void) => unknown,
): Promise<A> =>
  new Promise((resolve, reject) => {
    call(new Metadata(), { deadline: Date.now() + 10_000 }, (error, answer) => (error === null ? resolve(answer) : reject(error)))
  })
