/** Plumbing of the front: reads requests, forwards them to the emulator, writes answers. */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Answer, Request } from './call.ts'

export async function readRequest(incoming: IncomingMessage): Promise<Request> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  return { method: incoming.method ?? 'GET', path: incoming.url ?? '/', headers: incoming.headers, body: Buffer.concat(chunks).toString('utf8') }
}

/** Sends a request on, with another body perhaps. */
export function forward(endpoint: string, { method, path, headers, body }: Request): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { 'transfer-encoding': _chunked, connection: _connection, ...kept } = headers
    const outgoing = request(
      `${endpoint}${path}`,
      { method, headers: { ...kept, 'content-length': String(Buffer.byteLength(body)) }, agent: false },
      (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('error', reject)
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('end', () => {
          const kind = incoming.headers['x-amzn-errortype']
          resolve({
            status: incoming.statusCode ?? 0,
            type: incoming.headers['content-type'] ?? 'text/xml',
            body: Buffer.concat(chunks).toString('utf8'),
            ...(typeof kind === 'string' ? { headers: { 'x-amzn-errortype': kind } } : {}),
          })
        })
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

export function send(response: ServerResponse, { status, type, body, headers }: Answer): void {
  response.writeHead(status, { 'content-type': type, 'content-length': String(Buffer.byteLength(body)), ...headers })
  response.end(body)
}

/** Listens on a free port of 127.0.0.1. Does not keep the process alive by itself. */
export async function listen(handle: (incoming: IncomingMessage, response: ServerResponse) => void): Promise<{ server: Server; endpoint: string }> {
  const server = createServer(handle)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return { server, endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

export async function close(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise<void>((resolve) => server.close(() => resolve()))
}
