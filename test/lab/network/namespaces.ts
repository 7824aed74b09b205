/** Two network namespaces with a cable between them, without a way out. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import type { Call } from './inside.ts'

export interface Frame {
  readonly to: string
  readonly from: string
  /** Hexadecimal: 0806 for ARP, 86dd for IPv6. */
  readonly type: string
  readonly body: Buffer
}

/** Prints "ready", then each frame in hexadecimal. */
const listener = `
import socket, sys
packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
packets.bind((sys.argv[1], 0))
print('ready', flush=True)
while True:
    print(packets.recv(2000).hex(), flush=True)
`

const server = `
import socket, sys, time
held = []
for port in sys.argv[1:]:
    one = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(('::', int(port)))
    one.listen(100)
    held.append(one)
print('ready', flush=True)
while True:
    time.sleep(3600)
`

const guest = `
import socket, sys, time
held = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
print('ready', flush=True)
while True:
    time.sleep(3600)
`

const client = `
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])).close()
    print('yes')
except OSError:
    print('no')
`

export class Namespaces {
  readonly host: string
  readonly neighbour: string
  readonly #more: string[] = []
  readonly #listening = new Set<ReturnType<typeof spawn>>()

  /** The host's end is `eth0` with 10.0.0.1/24 and fd00::1/64, the neighbour's `eth0` with .2. */
  constructor(name: string) {
    this.host = `hive-${name}-${process.pid}-h`
    this.neighbour = `hive-${name}-${process.pid}-n`
    for (const namespace of [this.host, this.neighbour]) ip('netns', 'add', namespace)
    ip('-n', this.host, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.neighbour)
    for (const [index, namespace] of [this.host, this.neighbour].entries()) {
      // Duplicate address detection would make the addresses wait.
      this.run(namespace, 'sh', '-c', 'echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad')
      ip('-n', namespace, 'link', 'set', 'lo', 'up')
      ip('-n', namespace, 'link', 'set', 'eth0', 'up')
      ip('-n', namespace, 'address', 'add', `10.0.0.${index + 1}/24`, 'dev', 'eth0')
      ip('-n', namespace, 'address', 'add', `fd00::${index + 1}/64`, 'dev', 'eth0')
    }
  }

  /** Runs a program in one of the namespaces; answers its output. Throws unless it ends with 0. */
  run(namespace: string, file: string, ...args: readonly string[]): string {
    return execFileSync('ip', ['netns', 'exec', namespace, file, ...args], { encoding: 'utf8', timeout: 30_000, stdio: ['ignore', 'pipe', 'pipe'] })
  }

  /** A container on the host's docker0: 172.17.0.3, with docker's chains as far as they matter. Answers its namespace. */
  container(): string {
    const inside = `${this.host}c`
    ip('netns', 'add', inside)
    this.#more.push(inside)
    ip('-n', this.host, 'link', 'add', 'docker0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', inside)
    for (const [namespace, link, address] of [
      [this.host, 'docker0', '172.17.0.1/16'],
      [inside, 'eth0', '172.17.0.3/16'],
    ] as const) {
      ip('-n', namespace, 'link', 'set', link, 'up')
      ip('-n', namespace, 'address', 'add', address, 'dev', link)
    }
    ip('-n', inside, 'route', 'add', 'default', 'via', '172.17.0.1')
    ip('-n', this.neighbour, 'route', 'add', 'default', 'via', '10.0.0.1')
    this.run(this.host, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward')
    return inside
  }

  /** Listens on TCP ports in a namespace; resolves when it does. */
  async serve(namespace: string, ports: readonly number[]): Promise<void> {
    const child = spawn('ip', ['netns', 'exec', namespace, 'python3', '-c', server, ...ports.map(String)], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#listening.add(child)
    await once(child.stdout, 'data')
  }

  /** Connects and stays; resolves when it has. */
  async stay(from: string, to: string, port: number): Promise<void> {
    const child = spawn('ip', ['netns', 'exec', from, 'python3', '-c', guest, to, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#listening.add(child)
    await once(child.stdout, 'data')
  }

  /** Whether a TCP connection is taken within so many seconds. */
  connects(from: string, to: string, port: number, seconds: number): boolean {
    return this.run(from, 'python3', '-c', client, to, String(port), String(seconds)).trim() === 'yes'
  }

  /** Calls of the agent's adapters on the host; their answers. `env`: what differs in its environment. */
  async call(calls: readonly Call[], env: NodeJS.ProcessEnv = {}): Promise<readonly unknown[]> {
    const program = new URL('inside.ts', import.meta.url).pathname
    const child = spawn('ip', ['netns', 'exec', this.host, process.execPath, program], {
      stdio: ['pipe', 'pipe', 'inherit'],
      timeout: 60_000,
      env: { ...process.env, ...env },
    })
    child.stdin.end(JSON.stringify(calls))
    const [out, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
    if (code !== 0) throw new Error(`ended with ${code}`)
    return JSON.parse(out) as readonly unknown[]
  }

  /** Begins to listen at the neighbour's end. The answer waits for a frame that `wanted` takes. */
  async listen(): Promise<(wanted: (frame: Frame) => boolean) => Promise<Frame>> {
    const child = spawn('ip', ['netns', 'exec', this.neighbour, 'python3', '-c', listener, 'eth0'], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#listening.add(child)
    const frames: Frame[] = []
    let wake: (() => void) | undefined
    let ready = false
    createInterface(child.stdout).on('line', (line) => {
      if (line === 'ready') ready = true
      else frames.push(toFrame(Buffer.from(line, 'hex')))
      wake?.()
    })
    const next = (): Promise<void> =>
      new Promise((resolve, reject) => {
        wake = resolve
        child.once('close', () => reject(new Error('the listener ended')))
      })
    while (!ready) await next()
    return async (wanted) => {
      for (;;) {
        const found = frames.find(wanted)
        if (found !== undefined) return found
        await next()
      }
    }
  }

  remove(): void {
    for (const child of this.#listening) child.kill('SIGKILL')
    for (const namespace of [this.host, this.neighbour, ...this.#more]) ip('netns', 'delete', namespace)
  }
}

const ip = (...args: readonly string[]): void => void execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'], timeout: 30_000 })

const toFrame = (bytes: Buffer): Frame => ({
  to: bytes.subarray(0, 6).toString('hex'),
  from: bytes.subarray(6, 12).toString('hex'),
  type: bytes.subarray(12, 14).toString('hex'),
  body: bytes.subarray(14),
})
