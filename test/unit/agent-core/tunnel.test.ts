/** Both halves of a tunnel: connections of this machine carried to what listens on the agent's loopback. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import type { ConnectRequest, ConnectResponse } from '#gen/hive/v1/tunnel.ts'
import { tunnelService } from '../../../agent/server/tunnel-service.ts'
import { openTunnel } from '../../../coordinator/client/tunnel.ts'

type Connect = (requests: AsyncIterable<ConnectRequest>, call: { signal: AbortSignal }) => AsyncIterable<ConnectResponse>

/** Sends back all it got once the other side has ended. */
let echo: Server
const stop = new AbortController()

before(async () => {
  echo = createServer({ allowHalfOpen: true }, (socket) => void answer(socket)).listen(0, '127.0.0.1')
  await once(echo, 'listening')
})
after(() => {
  stop.abort()
  echo.close()
})

async function answer(socket: Socket): Promise<void> {
  const pieces: Buffer[] = []
  socket.on('error', () => undefined)
  for await (const piece of socket) pieces.push(piece as Buffer)
  socket.end(Buffer.concat(pieces))
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port
const handlers = (find: () => Promise<number | undefined>) => tunnelService({ zabbix: find }).handlers['connect'] as unknown as Connect
const open = async (find: () => Promise<number | undefined>, target = 'zabbix') => {
  const failures: string[] = []
  const client = { tunnel: { connect: (requests: AsyncIterable<ConnectRequest>, options: { signal: AbortSignal }) => handlers(find)(requests, options) } }
  const { port } = await openTunnel({ client: client as never, target, listen: 0, signal: stop.signal, failed: (message) => failures.push(message) })
  return { port, failures }
}

async function exchange(port: number, sent: Buffer): Promise<Buffer> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  socket.end(sent)
  const pieces: Buffer[] = []
  for await (const piece of socket) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
}

const digest = (data: Buffer): string => createHash('sha256').update(data).digest('hex')

test('all bytes come and go, of several connections at once, and each end is told', async () => {
  const { port, failures } = await open(() => Promise.resolve(portOf(echo)))
  const large = Buffer.alloc(8 << 20, 'zabbix')
  const answers = await Promise.all([large, Buffer.from('a'), Buffer.alloc(0)].map((data) => exchange(port, data)))
  assert.deepEqual(
    answers.map((data) => [data.length, digest(data)]),
    [large, Buffer.from('a'), Buffer.alloc(0)].map((data) => [data.length, digest(data)]),
  )
  assert.deepEqual(failures, [])
})

test('what is not on the list is not reached, whatever its name', async () => {
  for (const target of ['ssh', '127.0.0.1:22', 'constructor']) {
    const { port, failures } = await open(() => Promise.resolve(portOf(echo)), target)
    assert.equal((await exchange(port, Buffer.from('x'))).length, 0)
    assert.match(failures.join(), /nothing of the name .* can be reached/)
  }
})

test('where it does not run, or does not listen, the connection ends and the reason is told', async () => {
  const absent = await open(() => Promise.resolve(undefined))
  await exchange(absent.port, Buffer.from('x'))
  assert.match(absent.failures.join(), /zabbix does not run on this host/)
  const deaf = await open(() => Promise.resolve(1))
  await exchange(deaf.port, Buffer.from('x'))
  assert.match(deaf.failures.join(), /zabbix does not answer on this host/)
})

test('a port that is taken is told with what to do', async () => {
  const client = { tunnel: { connect: handlers(() => Promise.resolve(undefined)) } }
  const again = openTunnel({ client: client as never, target: 'zabbix', listen: portOf(echo), signal: stop.signal, failed: () => undefined })
  await assert.rejects(again, { code: 'conflict', hint: 'name another one with --port, or --port 0 for any' })
})
