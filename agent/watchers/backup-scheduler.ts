/**
 * Starts the nightly backup on the server that keeps them, by its own clock. A night that was missed is made up when the agent is back, and a
 * run that was cut short goes on with what it had not done. It lives as long as the agent; no coordinator is needed.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { HiveError, messageOf } from '../../proto/errors.ts'
import { writable } from '../adapters/gate.ts'
import { followTimeZone } from '../adapters/time-zone.ts'
import { writeWhole } from '../runs/state-file.ts'
import type { BackupKeeper } from './backup/keeper.ts'
import { removeLeftDrills } from './backup/rehearse.ts'
import { lastDaily } from './daily.ts'

/** Milliseconds between two looks at the clock and the configuration. */
const interval = 15_000
/** How often a run of one night is begun again where the agent ended amid it. */
const mostAttempts = 3

interface Nights {
  /** The last night that is done with, or the moment from which on nights count. */
  readonly done: string
  readonly attempted: string
  readonly attempts: number
}

export interface SchedulerOptions {
  readonly keeper: Pick<BackupKeeper, 'schedule' | 'run' | 'doing' | 'refreshRecords'>
  readonly stateDir: string
  readonly log: Logger
  readonly now: () => Date
}

export class BackupScheduler {
  readonly #options: SchedulerOptions
  readonly #path: string
  readonly #ended = new AbortController()
  #loop: Promise<void> = Promise.resolve()
  #complaint = ''

  constructor(options: SchedulerOptions) {
    this.#options = options
    this.#path = join(options.stateDir, 'backup-nights.json')
  }

  start(): void {
    this.#loop = this.#run()
  }

  /** A backup that is under way is broken off; its half file goes, and it is made again when the agent is back. */
  async stop(): Promise<void> {
    this.#ended.abort(new HiveError('cancelled', 'the agent stops'))
    await this.#loop
  }

  /** One look; answers whether a run was made. */
  async once(): Promise<boolean> {
    const { keeper, now, log } = this.#options
    const schedule = await keeper.schedule()
    if (schedule === undefined) return false
    await followTimeZone()
    const nights = await this.#nights()
    const night = lastDaily(schedule.at, now())
    if (nights === undefined) {
      await keeper.refreshRecords()
      await this.#write({ done: now().toISOString(), attempted: '', attempts: 0 })
      return false
    }
    // Somebody's restore or run comes first; this one is looked at again.
    if (night <= new Date(nights.done) || keeper.doing !== '') return false
    const attempts = nights.attempted === night.toISOString() ? nights.attempts + 1 : 1
    if (attempts > mostAttempts) {
      log.error({ backup: true }, `the backup of ${night.toISOString()} was begun ${mostAttempts} times and never ended: it is given up`)
      await this.#write({ ...nights, done: night.toISOString() })
      return false
    }
    await this.#write({ done: nights.done, attempted: night.toISOString(), attempts })
    const failed = await keeper.run([], () => undefined, this.#ended.signal, night)
    await this.#write({ done: night.toISOString(), attempted: '', attempts: 0 })
    log.info({ backup: true, failed }, failed.length === 0 ? 'the nightly backup is made' : `the nightly backup failed for ${failed.join(', ')}`)
    return true
  }

  async #run(): Promise<void> {
    let cleaned = false
    while (!this.#ended.signal.aborted) {
      try {
        await writable(async () => {
          if (
            !cleaned &&
            (await removeLeftDrills(this.#ended.signal).then(
              () => true,
              () => false,
            ))
          )
            cleaned = true
          await this.once()
        })
        this.#complaint = ''
      } catch (error) {
        this.#complain(messageOf(error))
      }
      await delay(interval, undefined, { signal: this.#ended.signal, ref: false }).catch(() => undefined)
    }
  }

  /** Once, not at each look. */
  #complain(what: string): void {
    if (what === this.#complaint || this.#ended.signal.aborted) return
    this.#complaint = what
    this.#options.log.warn({ backup: true }, `backups: ${what}`)
  }

  async #nights(): Promise<Nights | undefined> {
    try {
      const read = JSON.parse(await readFile(this.#path, 'utf8')) as Partial<Nights>
      if (typeof read.done !== 'string' || Number.isNaN(Date.parse(read.done))) return undefined
      return { done: read.done, attempted: read.attempted ?? '', attempts: read.attempts ?? 0 }
    } catch (error) {
      if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  #write(nights: Nights): Promise<void> {
    return writeWhole(this.#path, `${JSON.stringify(nights)}\n`)
  }
}
