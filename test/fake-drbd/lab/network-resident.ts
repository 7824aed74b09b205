/** The resident process of one host (resident.ts): started into the host's network and pid namespaces, told what to ping and to listen on. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'

const program = new URL('resident.ts', import.meta.url).pathname

/** Milliseconds. */
const continueEvery = 500

export class NetworkResident {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  #wanted = ''
  #reaches: ReadonlySet<string> = new Set()
  #ports: readonly number[] = []
  #taken: ReadonlySet<number> = new Set()

  /** `ended`: called once it is gone, which it is as soon as its host is. */
  constructor(host: string, leader: number, ended: () => void) {
    this.#child = spawn('nsenter', ['--target', String(leader), '--net', '--pid', '--', process.execPath, program, host], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#child.stdin.on('error', () => undefined)
    this.#child.on('error', ended)
    // A host that shuts down stops all its processes for a moment. nsenter then stops itself, too, out here where nobody lets it go on, and the
    // host would wait for minutes for a child that is not reaped.
    const goOn = setInterval(() => this.#child.kill('SIGCONT'), continueEvery).unref()
    this.#child.on('close', () => {
      clearInterval(goOn)
      ended()
    })
    createInterface(this.#child.stdout).on('line', (line) => {
      const said = JSON.parse(line) as { readonly reaches?: readonly string[]; readonly taken?: readonly number[] }
      if (said.reaches !== undefined) this.#reaches = new Set(said.reaches)
      if (said.taken !== undefined) this.#taken = new Set(said.taken)
    })
  }

  /** Packets go to and come from that host. */
  reaches(host: string): boolean {
    return this.#reaches.has(host)
  }

  /** It listens on this port, or is about to. */
  holds(port: number): boolean {
    return this.#ports.includes(port) && !this.#taken.has(port)
  }

  want(peers: Readonly<Record<string, string>>, ports: readonly number[]): void {
    const wanted = JSON.stringify({ peers, ports })
    if (wanted === this.#wanted) return
    this.#wanted = wanted
    this.#ports = ports
    this.#child.stdin.write(`${wanted}\n`)
  }

  stop(): void {
    this.#child.stdin.end()
  }
}
