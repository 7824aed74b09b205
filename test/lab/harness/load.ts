/** A client that asks a service all the time and counts each answer. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { eventually } from './eventually.ts'
import type { LabSite } from './lab-site.ts'

/** Milliseconds that an address gets to answer before the client goes on to the next one. */
export const patience = 1_000

/** One request. */
export interface Answered {
  /** When it was asked, milliseconds since 1970. */
  readonly at: number
  readonly milliseconds: number
  /** The address that answered; undefined: none did. */
  readonly from?: string | undefined
  /** What those before it said instead. */
  readonly tries: readonly string[]
}

export interface LoadReport {
  readonly asked: number
  /** Those that no address answered. */
  readonly failed: readonly Answered[]
  /** Milliseconds. */
  readonly slowest: number
  /** How many waited for an address that said nothing. */
  readonly delayed: number
}

export class Load {
  readonly #child: ChildProcess
  readonly answers: Answered[] = []

  /** `every`: milliseconds between requests, which do not wait for each other. */
  constructor(site: LabSite, urls: readonly string[], body: string, every = 100) {
    const namespace = readFileSync(join(site.contextDir, 'netns'), 'utf8').trim()
    const client = [process.execPath, join(import.meta.dirname, 'load-client.ts'), String(every), body, ...urls]
    this.#child = spawn('nsenter', [`--net=/run/netns/${namespace}`, '--', ...client], { stdio: ['ignore', 'pipe', 'inherit'] })
    const { stdout } = this.#child
    if (stdout !== null) createInterface(stdout).on('line', (line) => this.answers.push(JSON.parse(line) as Answered))
    this.#child.on('error', () => undefined)
  }

  /** Waits until that many more requests were answered, from now on. */
  async more(count: number, deadline = 30_000): Promise<void> {
    const answered = (): number => this.answers.filter(({ from }) => from !== undefined).length
    const before = answered()
    await eventually(`${count} more answers`, deadline, async () => {
      if (this.#child.exitCode !== null) throw new Error(`the client ended with ${this.#child.exitCode}`)
      return answered() >= before + count || undefined
    })
  }

  /** Of what was asked since then, milliseconds since 1970. */
  report(since = 0): LoadReport {
    return reportOf(this.answers.filter(({ at }) => at >= since))
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = new Promise((resolve) => this.#child.once('close', resolve))
    this.#child.kill('SIGTERM')
    await ended
  }
}

export const reportOf = (answers: readonly Answered[]): LoadReport => ({
  asked: answers.length,
  failed: answers.filter(({ from }) => from === undefined),
  slowest: Math.round(Math.max(0, ...answers.map(({ milliseconds }) => milliseconds))),
  delayed: answers.filter(({ milliseconds }) => milliseconds >= patience).length,
})

export const inWords = ({ asked, failed, slowest, delayed }: LoadReport): string =>
  `${asked} requests, ${failed.length} failed, ${delayed} went on to another address after ${patience / 1000} s, slowest ${slowest} ms`
