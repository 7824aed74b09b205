/**
 * Calls of agents as somebody else's client would make them: any certificate or none, any version of TLS, any name. Runs in the stage's
 * network; takes the path of a JSON file with a list of Probe, prints a list of Answer.
 */
import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { ChannelCredentials, Client, Metadata, status } from '@grpc/grpc-js'
import { errorKey } from '../../../proto/status.ts'

export interface Probe {
  readonly name: string
  /** ADDRESS:PORT */
  readonly target: string
  /** Expected in the server's certificate. */
  readonly serverName: string
  readonly tls: Pick<SecureContextOptions, 'ca' | 'cert' | 'key' | 'maxVersion'>
  /** /PACKAGE.SERVICE/METHOD; the request is empty. */
  readonly rpc: string
}

export interface Answer {
  readonly name: string
  readonly code: keyof typeof status
  /** The agent itself has answered, so that the connection was let in. */
  readonly answered: boolean
  readonly message: string
}

function ask({ name, target, serverName, tls, rpc }: Probe): Promise<Answer> {
  const client = new Client(target, ChannelCredentials.createFromSecureContext(createSecureContext(tls)), {
    'grpc.ssl_target_name_override': serverName,
    'grpc.default_authority': serverName,
    'grpc.enable_retries': 0,
  })
  const bytes = (value: Buffer): Buffer => value
  return new Promise((resolve) => {
    client.makeUnaryRequest(rpc, bytes, bytes, Buffer.alloc(0), new Metadata(), { deadline: Date.now() + 30_000 }, (error) => {
      client.close()
      const code = status[error?.code ?? status.OK] as keyof typeof status
      resolve({ name, code, answered: error === null || error.metadata.get(errorKey).length > 0, message: error?.details ?? '' })
    })
  })
}

const probes = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as readonly Probe[]
console.log(JSON.stringify(await Promise.all(probes.map(ask))))
