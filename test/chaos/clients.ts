/** The clients of a run: processes in the stage's network that keep asking, and what they were answered. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { eventually, patience } from '../lab/harness/eventually.ts'
import type { LabSite } from '../lab/harness/lab-site.ts'
import type { Attempt } from './account.ts'
import type { ClientSettings } from './client.ts'

export class Client {
  readonly name: string
  readonly settings: ClientSettings
  readonly attempts: Attempt[] = []
  readonly #site: LabSite
  readonly #child: ChildProcess

  constructor(site: LabSite, name: string, settings: ClientSettings) {
    this.#site = site
    this.name = name
    this.settings = settings
    const namespace = readFileSync(join(site.contextDir, 'netns'), 'utf8').trim()
    const program = [process.execPath, join(import.meta.dirname, 'client.ts'), JSON.stringify(settings)]
    // It ends with its standard input, so also where this process is killed.
    this.#child = spawn('nsenter', [`--net=/run/netns/${namespace}`, '--', ...program], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#child.on('error', () => undefined)
    if (this.#child.stdout !== null) createInterface(this.#child.stdout).on('line', (line) => this.attempts.push(JSON.parse(line) as Attempt))
  }

  get answered(): number {
    return this.attempts.reduce((count, { ok }) => count + (ok ? 1 : 0), 0)
  }

  /** Waits until that many more questions were answered. */
  async more(count: number): Promise<void> {
    const before = this.answered
    await eventually(`${count} more answers for the client of ${this.name}`, patience, async () => {
      if (this.#child.exitCode !== null) throw new Error(`the client of ${this.name} ended with ${this.#child.exitCode}`)
      return this.answered >= before + count
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}; last: ${this.attempts.at(-1)?.why ?? 'answered'}`, { cause: error })
    })
  }

  /** The numbers that the service of a writer has. */
  async readBack(): Promise<readonly number[]> {
    const argv = [process.execPath, join(import.meta.dirname, 'client.ts'), JSON.stringify(this.settings), 'all']
    return await eventually(`${this.name} tells what it has`, patience, async () => {
      const { code, out } = await this.#site.inNetwork(argv, 90_000)
      if (code !== 0) throw new Error(out)
      return JSON.parse(out) as readonly number[]
    })
  }

  get writes(): boolean {
    return this.settings.kind !== 'names'
  }

  /** Asks no more. What is asked at this moment is waited for. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'close')
    this.#child.stdin?.end()
    await ended
  }
}
