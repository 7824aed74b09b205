/**
 * Keeps the host's own firewall as setup-hosts left it (/etc/hive-agent/firewall.json): from the agent's start on, which is the host's, and where another
 * tool emptied the tables or docker made its chains anew. Where setup-hosts left none it does nothing.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { HiveError, messageOf } from '../../proto/errors.ts'
import { readOnly, writable } from '../adapters/gate.ts'
import { exclusiveKey, lookAtFirewall, putInPlace, readSettings } from '../adapters/network/firewall.ts'
import type { KeyedLock } from '../runs/keyed-lock.ts'

/** Milliseconds between two looks; the shorter one until docker's chains are there and this many looks in a row had nothing to do. */
const interval = 30_000
const uneasyInterval = 2_000
const calmAfter = 5
const patience = 60_000

export interface FirewallKeeperOptions {
  readonly keys: KeyedLock
  readonly log: Logger
  /** For tests: another file than setup-hosts writes. */
  readonly path?: string
}

export class FirewallKeeper {
  readonly #options: FirewallKeeperOptions
  readonly #ended = new AbortController()
  #loop: Promise<void> = Promise.resolve()
  #complaint = ''
  #calm = 0

  constructor(options: FirewallKeeperOptions) {
    this.#options = options
  }

  start(): void {
    this.#loop = this.#run()
  }

  async stop(): Promise<void> {
    this.#ended.abort(new HiveError('cancelled', 'the agent stops'))
    await this.#loop
  }

  async #run(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      try {
        this.#calm = (await this.once()) ? this.#calm + 1 : 0
        this.#complaint = ''
      } catch (error) {
        const complaint = messageOf(error)
        if (complaint !== this.#complaint && !this.#ended.signal.aborted) this.#options.log.error({ firewall: true }, `the firewall is not kept: ${complaint}`)
        this.#complaint = complaint
      }
      await delay(this.#calm < calmAfter ? uneasyInterval : interval, undefined, { signal: this.#ended.signal, ref: false }).catch(() => undefined)
    }
  }

  /** One look and what follows from it; answers whether all was in place, with docker's chains, which come some seconds after the host. Throws HiveError. */
  async once(): Promise<boolean> {
    const { keys, log, path } = this.#options
    const signal = AbortSignal.any([this.#ended.signal, AbortSignal.timeout(patience)])
    const spec = await readSettings(path)
    if (spec === undefined) return true
    const looks = await readOnly(() => lookAtFirewall(spec, signal))
    if (looks.every(({ differences }) => differences.length === 0)) return looks.some(({ present }) => present.dockerIsThere)
    const grip = await keys.acquire(exclusiveKey, 'the firewall keeper', signal)
    try {
      // A step may have changed the settings while this waited for it.
      const now = await readSettings(path)
      if (now === undefined) return true
      const differences = (await readOnly(() => lookAtFirewall(now, signal))).flatMap((look) => look.differences)
      if (differences.length === 0) return false
      log.warn({ firewall: true }, `the firewall is made anew: ${differences.join('; ')}`)
      await writable(() => putInPlace(now, { signal, log: (line) => log.info({ firewall: true }, line) }))
      return false
    } finally {
      grip.release()
    }
  }
}
