/** Another host's agent, called with this host's own certificate: TLS 1.3, its name verified. */
import { Client, type ServiceError } from '@grpc/grpc-js'
import { HiveError } from '../../proto/errors.ts'
import { peerCredentials } from './peer-credentials.ts'

export interface PeerAddress {
  /** The inventory name, which its certificate bears. */
  readonly host: string
  readonly address: string
  readonly port: number
}

interface UnaryMethod<Request, Response> {
  readonly path: string
  readonly requestSerialize: (message: Request) => Buffer
  readonly responseDeserialize: (bytes: Buffer) => Response
}

/** Milliseconds. */
const defaultDeadline = 20_000

/** One call, over a connection of its own. Throws HiveError 'unreachable' for whatever kept the answer away, 'cancelled' for `signal`. */
export async function askPeer<Request, Response>(
  to: PeerAddress,
  pkiDir: string,
  method: UnaryMethod<Request, Response>,
  request: Request,
  { signal, deadline = defaultDeadline }: { readonly signal: AbortSignal; readonly deadline?: number },
): Promise<Response> {
  const client = new Client(`${to.address}:${to.port}`, await peerCredentials(pkiDir), {
    'grpc.ssl_target_name_override': to.host,
    'grpc.default_authority': to.host,
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.use_local_subchannel_pool': 1,
  })
  try {
    return await new Promise<Response>((resolve, reject) => {
      const call = client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        { deadline: Date.now() + deadline },
        (error: ServiceError | null, answer?: Response) => {
          if (error === null && answer !== undefined) resolve(answer)
          else if (signal.aborted) reject(new HiveError('cancelled', `the call to ${to.host} was stopped`, { cause: error }))
          else reject(new HiveError('unreachable', `${to.host} gave no answer: ${error?.details ?? 'nothing'}`, { host: to.host, cause: error }))
        },
      )
      if (signal.aborted) call.cancel()
      signal.addEventListener('abort', () => call.cancel(), { once: true })
    })
  } finally {
    client.close()
  }
}
