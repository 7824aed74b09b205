/** Hosts with nothing but their system (test/lab/hosts/main.ts), as prepared servers are before hivecoord knows them. They go with the test's process. */
import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'

const program = new URL('../hosts/main.ts', import.meta.url).pathname

interface Described {
  /** Of the network that all of them are in. */
  readonly netns: string
  /** root's key on all of them; the public one beside it. */
  readonly identityFile: string
  readonly hosts: readonly { readonly name: string; readonly address: string }[]
}

const call = async (...args: readonly string[]): Promise<string> => (await promisify(execFile)(process.execPath, [program, ...args])).stdout

export class BareHosts {
  readonly netns: string
  readonly identityFile: string
  readonly #prefix: string
  readonly #count: number
  readonly #forget: () => void

  private constructor(prefix: string, { netns, identityFile, hosts }: Described, forget: () => void) {
    this.#prefix = prefix
    this.#count = hosts.length
    this.#forget = forget
    this.netns = netns
    this.identityFile = identityFile
  }

  /** Their addresses are 10.88.0.5 and following. */
  static async start(count: number): Promise<BareHosts> {
    const prefix = `t${randomBytes(3).toString('hex')}`
    const leave = (): void => void spawn(process.execPath, [program, 'down', prefix], { detached: true, stdio: 'ignore', cwd: '/' }).unref()
    process.once('exit', leave)
    return new BareHosts(prefix, JSON.parse(await call('up', prefix, String(count))) as Described, () => void process.off('exit', leave))
  }

  /** The host is gone with all its disks. */
  lose(index: number): Promise<string> {
    return call('lose', this.#prefix, `${this.#prefix}${index}`)
  }

  /** New ones in the place of those that are lost, at their addresses. */
  replenish(): Promise<string> {
    return call('up', this.#prefix, String(this.#count))
  }

  async remove(): Promise<void> {
    await call('down', this.#prefix)
    this.#forget()
  }
}
