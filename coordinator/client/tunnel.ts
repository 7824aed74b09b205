/** Local connections carried on to what listens on a host's loopback, through its agent. */
import type { Socket } from 'node:net'
import { createServer, type Server } from 'node:net'
import type { ConnectRequest } from '#gen/hive/v1/tunnel.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'
import type { AgentClient } from './agent-client.ts'

export interface TunnelOptions {
  readonly client: Pick<AgentClient, 'tunnel'>
  /** A name of the agent's list: zabbix. */
  readonly target: string
  /** A port of 127.0.0.1 (0: any that is free), or the path of a socket. */
  readonly listen: number | string
  readonly signal: AbortSignal
  /** Told where a connection could not be carried on. */
  readonly failed: (message: string) => void
}

export interface Tunnel {
  /** 0 for a path. */
  readonly port: number
  /** Resolves when it was stopped by the signal. */
  readonly ended: Promise<void>
}

/** Resolves when it listens. Rejects with 'conflict' where the port is taken. */
export async function openTunnel({ client, target, listen, signal, failed }: TunnelOptions): Promise<Tunnel> {
  const open = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    socket.on('error', () => socket.destroy())
    carry(client, target, socket, signal).catch((error: unknown) => {
      socket.destroy()
      if (!signal.aborted) failed(messageOf(error))
    })
  })
  const port = await listening(server, listen)
  const ended = new Promise<void>((resolve) => {
    const stop = (): void => {
      for (const socket of open) socket.destroy()
      server.close(() => resolve())
    }
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
  return { port, ended }
}

function listening(server: Server, listen: number | string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        cause.code === 'EADDRINUSE'
          ? new HiveError('conflict', `port ${listen} of this machine is taken`, { hint: 'name another one with --port, or --port 0 for any', cause })
          : new HiveError('command-failed', `cannot listen on ${listen}: ${cause.message}`, { cause }),
      ),
    )
    const done = (): void => {
      const address = server.address()
      resolve(address === null || typeof address === 'string' ? 0 : address.port)
    }
    if (typeof listen === 'number') server.listen(listen, '127.0.0.1', done)
    else server.listen(listen, done)
  })
}

async function carry(client: Pick<AgentClient, 'tunnel'>, target: string, socket: Socket, signal: AbortSignal): Promise<void> {
  const gone = new AbortController()
  socket.once('close', () => gone.abort())
  const responses = client.tunnel.connect(requests(target, socket), { signal: AbortSignal.any([signal, gone.signal]) })
  try {
    for await (const { part } of responses)
      if (part?.$case === 'data' && !socket.write(part.value)) await new Promise((resolve) => socket.once('drain', resolve).once('close', resolve))
    socket.end()
  } catch (error) {
    // A browser closes connections whenever it likes.
    if (!gone.signal.aborted) throw error
  }
}

async function* requests(target: string, socket: Socket): AsyncGenerator<ConnectRequest> {
  yield { part: { $case: 'target', value: { name: target } } }
  try {
    for await (const piece of socket.iterator({ destroyOnReturn: false })) yield { part: { $case: 'data', value: piece as Buffer } }
  } catch {
    // It was reset, which the other direction notices as well.
  }
  yield { part: { $case: 'end', value: true } }
}
