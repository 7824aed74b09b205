/**
 * A fake DRBD for the hosts of a lab site.
 *
 *   const drbd = await startFakeDrbd()
 *   const site = new LabSite(source, { images, drbd })
 *   await drbd.raceOnReturn()            // the next returning Primary meets the race of a refused resync
 *   await drbd.replaceDisk(host, volume) // the logical volume is gone, as with a new disk
 *   await site.destroy()
 *   await drbd.stop()
 *
 * FAKE, in short (more in shared-disk.ts, fake-lvm.ts and the machine's own files): DRBD's states are a state machine's, made from
 * recordings; data is one image a volume, not copies; LVM is imitated; drbdadm and drbdmeta are Debian's real ones.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import type { Outcome } from './fake-machine.ts'
import { folderInHosts, packageFolder } from './host-software.ts'
import { detachLoop, loopsBelow } from './loop-devices.ts'
import type { Order } from './orders.ts'

const prefix = 'hive-fake-drbd-'
const program = new URL('daemon.ts', import.meta.url).pathname

/** What daemons that were killed left behind. */
function sweep(): void {
  for (const name of readdirSync(tmpdir()).filter((one) => one.startsWith(prefix))) {
    const folder = join(tmpdir(), name)
    const pid = existsSync(join(folder, 'pid')) ? readFileSync(join(folder, 'pid'), 'utf8') : undefined
    // Without a pid: another test starts one at this moment.
    if (pid !== undefined && !isDaemon(pid, folder)) clear(folder)
  }
}

/** In place of a daemon that ended without it. */
function clear(folder: string): void {
  for (const loop of loopsBelow(folder)) detachLoop(loop)
  rmSync(folder, { recursive: true, force: true })
}

const isDaemon = (pid: string, folder: string): boolean => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(folder)
  } catch {
    return false
  }
}

export interface FakeDrbdSettings {
  /** How many times faster than the clock DRBD's own times pass. Default 4: a silent peer is missed after two or three seconds. */
  readonly speed?: number
}

/** Fetches Debian's packages where the cache has none. The fake itself begins with the site that it is given to. */
export async function startFakeDrbd({ speed = 4 }: FakeDrbdSettings = {}): Promise<FakeDrbd> {
  sweep()
  const packages = await packageFolder(AbortSignal.timeout(300_000))
  const folder = mkdtempSync(join(tmpdir(), prefix))
  mkdirSync(join(folder, 'shared'))
  cpSync(packages, join(folder, 'shared/packages'), { recursive: true })
  return new FakeDrbd(folder, speed)
}

type Daemon = ChildProcessByStdio<Writable, Readable, null>

export class FakeDrbd {
  /** Everything of it on this machine: loop devices lead to files in here. */
  readonly folder: string
  readonly #speed: number
  #daemon: Daemon | undefined
  readonly #waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>()
  #lastId = 0

  constructor(folder: string, speed: number) {
    this.folder = folder
    this.#speed = speed
  }

  /** Variables of the site's hive hosts, which have `binds` besides. */
  variables(binds: readonly string[]): string {
    return `hive_nspawn_drbd: true\nhive_nspawn_binds: ${JSON.stringify([`${join(this.folder, 'shared')}:${folderInHosts}`, ...binds])}\n`
  }

  /** Watches the hosts that this site will make. */
  begin(siteFolder: string): void {
    const child = spawn(process.execPath, [program, this.folder, siteFolder, String(this.#speed)], {
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
      cwd: '/',
    })
    this.#daemon = child
    child.stdin.on('error', () => undefined)
    child.on('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the fake DRBD has ended'))
      this.#waiting.clear()
    })
    createInterface(child.stdout).on('line', (line) => {
      if (line === 'ready') return
      const { id, result, error } = JSON.parse(line) as { readonly id: number; readonly result?: unknown; readonly error?: string }
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error === undefined) waiting?.resolve(result)
      else waiting?.reject(new Error(error))
    })
  }

  /** The connection of the next Primary that was killed and returns fails once: StandAlone on one side, and it is no split brain. */
  raceOnReturn = (): Promise<unknown> => this.#order({ do: 'raceOnReturn' })

  /** The logical volume of this name is gone from the host (short name), as after its disk was replaced. */
  replaceDisk = (host: string, volume: string): Promise<unknown> => this.#order({ do: 'replaceDisk', host, volume })

  /** The thin pool of a host (short name) has no room, or has some again. */
  fillPool = (host: string, full: boolean): Promise<unknown> => this.#order({ do: 'fillPool', host, full })

  /** The metadata on a disk (/dev/GROUP/NAME) of a host is that of another node. */
  renumber = (host: string, path: string, nodeId: number): Promise<unknown> => this.#order({ do: 'renumber', host, path, nodeId })

  /** A command of drbdsetup as if the host had run it. */
  run = async (host: string, ...argv: readonly string[]): Promise<Outcome> => (await this.#order({ do: 'run', host, argv })) as Outcome

  /** All commands of all hosts so far with their exit codes, lines of the kernels' logs, and what else came about. */
  log(): string {
    return existsSync(join(this.folder, 'log')) ? readFileSync(join(this.folder, 'log'), 'utf8') : ''
  }

  /** After the site's hosts are gone. */
  async stop(): Promise<void> {
    if (this.#daemon !== undefined && this.#daemon.exitCode === null && this.#daemon.signalCode === null) {
      const ended = once(this.#daemon, 'close')
      this.#daemon.stdin.end()
      await ended
    }
    clear(this.folder)
  }

  #order(order: Order): Promise<unknown> {
    const daemon = this.#daemon
    if (daemon === undefined || daemon.exitCode !== null) return Promise.reject(new Error('the fake DRBD does not run'))
    this.#lastId++
    const id = this.#lastId
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      daemon.stdin.write(`${JSON.stringify({ id, ...order })}\n`)
    })
  }
}
