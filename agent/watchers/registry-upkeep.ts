/**
 * Keeps the site's registry on this host tidy, once a day and when asked to. Where there is no registry it sleeps.
 *  - It takes nothing away while it cannot know what services run: without an answer from a manager it does nothing that day.
 *  - It waits while a coordinator is at work on the site, and while something is uploaded.
 *  - A registry that an agent left for reading only is made writable when the next agent starts.
 */
import { readFile, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { RegistryUsage } from '#gen/hive/v1/registry.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'
import { writable } from '../adapters/gate.ts'
import { endReadOnly } from '../adapters/registry/collect-garbage.ts'
import type { PruneRules } from '../adapters/registry/decide-prune.ts'
import { registryProcess } from '../adapters/registry/process.ts'
import { type RegistrySettings, readSettings } from '../adapters/registry/settings.ts'
import { type RegistryStorage, readRegistryStorage, readRegistryTags, totalBytes, unusedBytes } from '../adapters/registry/storage.ts'
import { registryPaths } from '../adapters/registry-config.ts'
import { followTimeZone } from '../adapters/time-zone.ts'
import type { KeyedLock } from '../runs/keyed-lock.ts'
import type { LeaseHolder } from '../runs/lease.ts'
import { writeWhole } from '../runs/state-file.ts'
import { isTimeOfDay, nextDaily } from './daily.ts'
import { clean, judge, prune, type Tidied, type TidyOptions } from './registry/tidy.ts'
import { imagesOfServices } from './registry/used-images.ts'

/** Milliseconds between two looks at the clock and the settings. */
const interval = 60_000
/** Milliseconds after which a tidying that could not begin is tried again, and how long after its time that goes on. */
const patience = 15 * 60_000
const givenUpAfter = 6 * 3_600_000

/** What a step on the registry takes too (agent/steps/ensure-registry.ts). */
const exclusiveKey = 'packages'

export interface UpkeepOptions {
  readonly stateDir: string
  readonly pkiDir: string
  readonly keys: KeyedLock
  readonly lease: Pick<LeaseHolder, 'get'>
  readonly log: Logger
  readonly now: () => Date
  /** For tests. */
  readonly settings?: () => Promise<RegistrySettings | undefined>
  readonly usedImages?: typeof imagesOfServices
  readonly tidy?: Pick<TidyOptions, 'process' | 'paths'>
}

/** registry-upkeep.json in the state folder. */
interface Memory {
  /** When it was last done, ISO. */
  readonly tidied?: string
  /** Why the last attempt came to nothing. */
  readonly problem?: string
}

export interface Look {
  readonly storage: RegistryStorage
  readonly usage: RegistryUsage
}

export class RegistryUpkeep {
  readonly #options: UpkeepOptions
  readonly #path: string
  readonly #ended = new AbortController()
  #loop: Promise<void> = Promise.resolve()
  #next: Date | undefined
  #at = ''
  #due: Date | undefined

  constructor(options: UpkeepOptions) {
    this.#options = options
    this.#path = join(options.stateDir, 'registry-upkeep.json')
  }

  start(): void {
    this.#loop = this.#run()
  }

  /** Resolves when nothing is done any more: a registry is not left for reading only. */
  async stop(): Promise<void> {
    this.#ended.abort(new HiveError('cancelled', 'the agent stops'))
    await this.#loop
  }

  /** Throws HiveError 'not-found' where this host has no registry. */
  async look(): Promise<Look> {
    await this.#settings()
    const { storage: folder } = this.#paths
    const storage = await readRegistryStorage(folder)
    const [disk, memory] = await Promise.all([statfs(folder).catch(() => undefined), this.#remembered()])
    return {
      storage,
      usage: {
        bytes: BigInt(totalBytes(storage)),
        unusedBytes: BigInt(unusedBytes(storage)),
        diskBytes: BigInt((disk?.blocks ?? 0) * (disk?.bsize ?? 0)),
        diskFreeBytes: BigInt((disk?.bavail ?? 0) * (disk?.bsize ?? 0)),
        tidied: memory.tidied === undefined ? undefined : new Date(memory.tidied),
        tidyProblem: memory.problem ?? '',
      },
    }
  }

  /** Throws HiveError 'not-found' where this host has no registry. */
  async tags(): ReturnType<typeof readRegistryTags> {
    await this.#settings()
    return await readRegistryTags(this.#paths.storage)
  }

  /** `keep` 0: as set up. Throws 'unreachable' where no manager tells what services run, 'conflict' while something is uploaded. */
  async prune(
    { keep, used, dryRun }: { readonly keep: number; readonly used: readonly string[]; readonly dryRun: boolean },
    signal: AbortSignal,
  ): Promise<Tidied> {
    const settings = await this.#settings()
    const { usedImages = imagesOfServices } = this.#options
    const running = await usedImages(settings.managers, this.#options.pkiDir, signal)
    const rules: PruneRules = {
      keep: keep === 0 ? settings.keep : keep,
      used: [...settings.used, ...running, ...used],
      repositories: settings.repositories,
      now: this.#options.now(),
    }
    if (dryRun) return judge(await readRegistryStorage(this.#paths.storage), rules)
    return await this.#alone(settings, signal, (options) => prune(rules, options))
  }

  /** Answers the bytes that went. */
  async collectGarbage(signal: AbortSignal): Promise<number> {
    return await this.#alone(await this.#settings(), signal, clean)
  }

  /** What is due. Answers whether there is a registry here. */
  async once(): Promise<boolean> {
    const { settings: read = readSettings, now, log } = this.#options
    const settings = await read()
    if (settings === undefined || !isTimeOfDay(settings.at)) {
      this.#at = ''
      return settings !== undefined
    }
    await followTimeZone()
    if (this.#at !== settings.at || this.#due === undefined) {
      this.#at = settings.at
      this.#due = nextDaily(settings.at, now())
      this.#next = this.#due
    }
    if (this.#next === undefined || now() < this.#next) return true
    const late = now().getTime() - this.#due.getTime()
    try {
      await this.#refuseBesideCoordinator()
      const { freedBytes, verdicts } = await this.prune({ keep: 0, used: [], dryRun: false }, this.#ended.signal)
      log.info({ registry: true, freedBytes, removed: verdicts.filter(({ removed }) => removed).length }, 'the registry is tidied')
    } catch (error) {
      if (this.#ended.signal.aborted) return true
      log.warn({ registry: true }, `the registry was not tidied: ${messageOf(error)}`)
      await this.#remember({ ...(await this.#remembered()), problem: messageOf(error) })
      if (late < givenUpAfter) {
        this.#next = new Date(now().getTime() + patience)
        return true
      }
    }
    this.#due = nextDaily(settings.at, now())
    this.#next = this.#due
    return true
  }

  get #paths(): { readonly config: string; readonly storage: string } {
    return this.#options.tidy?.paths ?? registryPaths
  }

  async #settings(): Promise<RegistrySettings> {
    const { settings: read = readSettings } = this.#options
    const settings = await read()
    if (settings !== undefined) return settings
    throw new HiveError('not-found', 'this host has no registry to look after', { hint: 'it is the repository server’s; `hivecoord setup-hosts` sets it up' })
  }

  async #alone<T>(settings: RegistrySettings, signal: AbortSignal, work: (options: TidyOptions) => Promise<T>): Promise<T> {
    const { keys, pkiDir, now, log, tidy } = this.#options
    const own = AbortSignal.any([signal, this.#ended.signal])
    const grip = await keys.acquire(exclusiveKey, 'tidying the registry', own)
    try {
      const ca = await readFile(join(pkiDir, 'ca.pem'), 'utf8')
      const tell = (line: string): void => log.info({ registry: true }, line)
      const result = await writable(() => work({ settings, ca, signal: own, now, log: tell, ...tidy }))
      await this.#remember({ tidied: now().toISOString() })
      return result
    } finally {
      grip.release()
    }
  }

  async #refuseBesideCoordinator(): Promise<void> {
    const lock = await this.#options.lease.get()
    if (lock.held) throw new HiveError('locked', `a coordinator is at work on the site (${lock.purpose})`)
  }

  async #run(): Promise<void> {
    await writable(() => endReadOnly(registryProcess, this.#ended.signal)).catch((error: unknown) =>
      this.#options.log.warn({ registry: true }, `the registry is for reading only: ${messageOf(error)}`),
    )
    while (!this.#ended.signal.aborted) {
      await this.once().catch((error: unknown) => this.#options.log.warn({ registry: true }, `the registry is not looked after: ${messageOf(error)}`))
      await delay(interval, undefined, { signal: this.#ended.signal, ref: false }).catch(() => undefined)
    }
  }

  async #remembered(): Promise<Memory> {
    try {
      return JSON.parse(await readFile(this.#path, 'utf8')) as Memory
    } catch {
      // Never tidied, or not known.
      return {}
    }
  }

  #remember(memory: Memory): Promise<void> {
    return writeWhole(this.#path, JSON.stringify(memory))
  }
}
