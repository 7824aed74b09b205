/** Connections to what listens on this host's loopback only. What may be reached so is a fixed list. */
import { connect, type Socket } from 'node:net'
import { type ConnectRequest, type ConnectResponse, TunnelServiceService } from '#gen/hive/v1/tunnel.ts'
import { HiveError } from '../../proto/errors.ts'
import { zabbixContainers } from '../../proto/monitoring/zabbix-database.ts'
import { publishedPort } from '../adapters/docker/plain-container.ts'
import { Outbox } from './docker/outbox.ts'
import { type ServiceRegistration, service } from './service.ts'

/** Port of 127.0.0.1 by the target's name; undefined while nothing is there. */
export type Targets = Readonly<Record<string, (signal: AbortSignal) => Promise<number | undefined>>>

const targets: Targets = { zabbix: (signal) => publishedPort(zabbixContainers.web, 8080, signal) }

/** Pieces that wait for the caller before the connection is paused. */
const fullOutbox = 64

export const tunnelService = (known: Targets = targets): ServiceRegistration =>
  service(TunnelServiceService, { connect: (requests, { signal }) => tunnel(requests, known, signal) })

async function* tunnel(requests: AsyncIterable<ConnectRequest>, known: Targets, signal: AbortSignal): AsyncGenerator<ConnectResponse> {
  const messages = requests[Symbol.asyncIterator]()
  const first = await messages.next()
  const name = first.done === true || first.value.part?.$case !== 'target' ? undefined : first.value.part.value.name
  if (name === undefined) throw new HiveError('invalid-input', 'the first message of Connect must be target')
  const find = Object.hasOwn(known, name) ? known[name] : undefined
  if (find === undefined) throw new HiveError('not-found', `nothing of the name ${name} can be reached`, { hint: `there is: ${Object.keys(known).join(', ')}` })
  const port = await find(signal)
  if (port === undefined) throw new HiveError('not-found', `${name} does not run on this host`)
  const socket = await open(port, name, signal)
  const outbox = new Outbox<ConnectResponse>()
  socket.on('data', (data) => {
    if (outbox.put({ part: { $case: 'data', value: data } }) > fullOutbox) socket.pause()
  })
  socket.on('error', (cause) => outbox.fail(new HiveError('unreachable', `${name} ended the connection`, { cause })))
  // 'end' comes where the other side has no more to say; it may still listen.
  socket.on('end', () => outbox.close()).on('close', () => outbox.close())
  const abort = (): void => {
    socket.destroy()
    outbox.fail(new HiveError('cancelled', 'the caller went away'))
  }
  signal.addEventListener('abort', abort, { once: true })
  send({ [Symbol.asyncIterator]: () => messages }, socket).catch((error: unknown) => outbox.fail(error))
  try {
    yield { part: { $case: 'connected', value: true } }
    for await (const response of outbox) {
      yield response
      if (outbox.waiting < fullOutbox) socket.resume()
    }
  } finally {
    signal.removeEventListener('abort', abort)
    socket.destroy()
  }
}

function open(port: number, name: string, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, signal })
    socket.once('connect', () => resolve(socket))
    socket.once('error', (cause) => reject(new HiveError('unreachable', `${name} does not answer on this host`, { cause })))
  })
}

async function send(messages: AsyncIterable<ConnectRequest>, socket: Socket): Promise<void> {
  for await (const { part } of messages) {
    if (socket.destroyed) return
    switch (part?.$case) {
      case 'data':
        if (!socket.write(part.value)) await new Promise((resolve) => socket.once('drain', resolve).once('close', resolve))
        break
      case 'end':
        socket.end()
        break
      case 'target':
        throw new HiveError('invalid-input', 'target may be sent once only')
      case undefined:
        break
    }
  }
  socket.end()
}
