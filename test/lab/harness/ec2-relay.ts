/**
 * Elastic addresses: listens on 127.x.y.z out here and passes each connection on to the instance's private address, which
 * exists in the namespace alone. A child in there makes the connections; the two meet at a unix socket, which namespaces
 * don't part.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Address } from '@aws-sdk/client-ec2'

const helper = new URL('ec2-relay-helper.ts', import.meta.url).pathname

export class Ec2Relay {
  readonly #socket: string
  readonly #ports: readonly number[]
  readonly #child: ChildProcess
  readonly #listening = new Map<string, { readonly to: string; readonly servers: readonly Server[]; readonly sockets: Set<Socket> }>()

  #stopped = false

  private constructor(socket: string, ports: readonly number[], child: ChildProcess) {
    this.#socket = socket
    this.#ports = ports
    this.#child = child
  }

  static async start(namespace: string, socket: string, ports: readonly number[]): Promise<Ec2Relay> {
    const child = spawn('nsenter', [`--net=/run/netns/${namespace}`, process.execPath, helper, socket], { stdio: ['pipe', 'pipe', 'inherit'] })
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`the relay into namespace ${namespace} ended with ${String(code)}`)
    })
    ended.catch(() => undefined)
    await Promise.race([once(child.stdout, 'data'), ended])
    return new Ec2Relay(socket, ports, child)
  }

  /** Listens for the addresses that are associated, to where they are, and no longer for others. */
  async follow(addresses: readonly Address[]): Promise<void> {
    if (this.#stopped) return
    const wanted = new Map(
      addresses.flatMap(({ PublicIp, PrivateIpAddress }): [string, string][] => (PublicIp && PrivateIpAddress ? [[PublicIp, PrivateIpAddress]] : [])),
    )
    for (const [address, { to }] of this.#listening) if (wanted.get(address) !== to) await this.#close(address)
    for (const [address, to] of wanted) if (!this.#listening.has(address)) await this.#open(address, to)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const address of [...this.#listening.keys()]) await this.#close(address)
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exit = once(this.#child, 'exit')
    this.#child.stdin?.end()
    await exit
  }

  async #open(address: string, to: string): Promise<void> {
    // Whatever else comes as an elastic address belongs to somebody.
    if (!address.startsWith('127.')) throw new Error(`${address} is no loopback address`)
    const sockets = new Set<Socket>()
    const servers = this.#ports.map((port) => {
      const server = createServer({ allowHalfOpen: true }, (outside) => {
        const inside = connect({ path: this.#socket, allowHalfOpen: true })
        inside.write(`${JSON.stringify({ address: to, port })}\n`)
        join(outside, inside)
        for (const socket of [outside, inside]) {
          sockets.add(socket)
          socket.once('close', () => sockets.delete(socket))
        }
      })
      server.listen(port, address)
      return server
    })
    this.#listening.set(address, { to, servers, sockets })
    await Promise.all(servers.map((server) => once(server, 'listening')))
  }

  async #close(address: string): Promise<void> {
    const open = this.#listening.get(address)
    this.#listening.delete(address)
    if (open === undefined) return
    for (const socket of open.sockets) socket.destroy()
    await Promise.all(open.servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))))
  }
}

/** Passes bytes both ways; when one side breaks, so does the other. */
export function join(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.pipe(to)
    from.on('error', () => undefined)
    from.once('close', () => to.destroySoon())
  }
}
