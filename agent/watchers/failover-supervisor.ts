/**
 * Watches this host's mirrored volumes and repairs a few exactly known states of them (failover/signatures.ts), one at a time. Evidence is
 * told before anything is done. Where there are no mirrored volumes, no DRBD or no docker, it sleeps.
 */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { SupervisorEvidence, SupervisorStatus } from '#gen/hive/v1/supervisor.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'
import { hasResources } from '../adapters/drbd/resource-store.ts'
import { stuckCommands } from '../adapters/drbd/tools.ts'
import { readOnly, writable } from '../adapters/gate.ts'
import type { KeyedLock } from '../runs/keyed-lock.ts'
import { carryOut } from './failover/carry-out.ts'
import { type LookOptions, look as lookAround } from './failover/look.ts'
import type { Picture } from './failover/picture.ts'
import type { Finding } from './failover/signatures.ts'
import { type Hold, holdAt, readStanding, type Standing, writeStanding } from './failover/standing.ts'
import { afterAction, type Evidence, emptyMemory, inWords, type Memory, type Result, released, superviseOnce, unseen } from './failover/supervise.ts'

/** Milliseconds between two looks, and while there is nothing to look at. */
const interval = 5_000
const rest = 30_000
/** Milliseconds for a look; one that hangs keeps the next from beginning, not the agent from answering. */
const lookTime = 20_000
/** Milliseconds for an action with the looks around it. */
const actionTime = 120_000
/** Milliseconds that a step may still hold the volume when it comes to acting. */
const lockTime = 1_000
/** Pieces of evidence that are kept. */
const kept = 300
/** Milliseconds without a whole picture, where there are mirrored volumes, beyond which this is no supervision. */
const blindAfter = 180_000

/** What steps on a volume take too (agent/steps/ensure-volume.ts, ensure-drbd-*.ts): the supervisor never works beside one. */
export const exclusiveKey = (volume: string): string => `volume ${volume}`

export interface SupervisorOptions {
  readonly stateDir: string
  readonly keys: KeyedLock
  readonly log: Logger
  readonly now: () => Date
  /** For tests: another way to look, to act, and to know that there is something to look at. */
  readonly look?: (options: LookOptions) => Promise<Picture>
  readonly act?: typeof carryOut
  readonly concerned?: () => Promise<boolean>
}

export class FailoverSupervisor {
  readonly #options: SupervisorOptions
  readonly #path: string
  readonly #evidence: (Evidence & { readonly at: Date })[] = []
  readonly #ended = new AbortController()
  #memory: Memory = emptyMemory()
  #standing: Standing | undefined
  #loop: Promise<void> = Promise.resolve()
  #looked: Date | undefined
  #blindSince: number | undefined
  #complaint = ''
  #doing = ''

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#path = join(options.stateDir, 'supervisor.json')
  }

  start(): void {
    this.#loop = this.#run()
  }

  /** Resolves when nothing is done any more: what is under way is told to stop. */
  async stop(): Promise<void> {
    this.#ended.abort(new HiveError('cancelled', 'the agent stops'))
    await this.#loop
  }

  async hold({ by, reason, seconds }: { readonly by: string; readonly reason: string; readonly seconds: number }): Promise<void> {
    if (reason.trim() === '') throw new HiveError('invalid-input', 'a hold needs a reason: others will ask for it')
    const since = this.#now()
    await this.#stand({ ...(await this.#standingNow()), hold: { by, reason, since, until: seconds === 0 ? undefined : since + seconds * 1000 } })
    this.#options.log.info({ supervisor: true, by, reason, seconds }, 'held')
  }

  async release(by: string): Promise<void> {
    await this.#stand({ hold: undefined, givenUp: [] })
    this.#memory = released(this.#memory)
    this.#options.log.info({ supervisor: true, by }, 'released')
  }

  async status(): Promise<SupervisorStatus> {
    const standing = await this.#standingNow()
    const hold = holdAt(standing, this.#now())
    return {
      hold:
        hold === undefined
          ? undefined
          : { by: hold.by, reason: hold.reason, since: new Date(hold.since), until: hold.until === undefined ? undefined : new Date(hold.until) },
      givenUp: standing.givenUp.map((one) => ({ ...one, since: new Date(one.since) })),
      evidence: this.#evidence.map((one): SupervisorEvidence => ({ ...one, lines: [...one.lines] })),
      looked: this.#looked,
      doing: this.#doing,
    }
  }

  /** It sees, it has given up nowhere, and no storage command of the agent hangs. */
  async healthy(): Promise<boolean> {
    const blind = this.#blindSince !== undefined && this.#now() - this.#blindSince > blindAfter
    return !blind && stuckCommands().length === 0 && (await this.#standingNow()).givenUp.length === 0
  }

  /** One look and what follows from it. Answers whether there is anything to look at. */
  async once(): Promise<boolean> {
    const { concerned = hasResources, look = lookAround, keys } = this.#options
    if (!(await concerned())) {
      this.#memory = unseen(this.#memory)
      this.#blindSince = undefined
      return false
    }
    const busy = (volume: string): boolean => keys.holderOf(exclusiveKey(volume)) !== undefined
    const lookNow = (options: Omit<LookOptions, 'now'>): Promise<Picture> => readOnly(() => look({ ...options, now: this.#now() }))
    let picture: Picture
    try {
      this.#blindSince ??= this.#now()
      picture = await lookNow({ signal: AbortSignal.any([this.#ended.signal, AbortSignal.timeout(lookTime)]), busy })
    } catch (error) {
      this.#complain(messageOf(error))
      this.#memory = unseen(this.#memory)
      return true
    }
    this.#complaint = ''
    this.#blindSince = undefined
    this.#looked = this.#options.now()
    const standing = await this.#standingNow()
    const outcome = superviseOnce(picture, { ...this.#memory, givenUp: standing.givenUp }, this.#now(), heldWords(holdAt(standing, this.#now())))
    this.#memory = outcome.memory
    this.#tell(outcome.evidence)
    if (outcome.action === undefined || this.#ended.signal.aborted) return true
    await this.#act(outcome.action, lookNow)
    return true
  }

  async #act(finding: Finding, lookNow: (options: Omit<LookOptions, 'now'>) => Promise<Picture>): Promise<void> {
    const { act = carryOut } = this.#options
    const signal = AbortSignal.any([this.#ended.signal, AbortSignal.timeout(actionTime)])
    this.#doing = inWords(finding)
    try {
      const result = await this.#alone(finding, () =>
        // The key is the supervisor's own now: it is not kept by it from seeing the volume.
        writable(() =>
          act(finding, { look: (own) => lookNow({ signal: own, busy: (volume) => volume !== finding.volume, fresh: true }), signal, now: () => this.#now() }),
        ),
      )
      // What was cut short says nothing of whether it would have helped.
      if (this.#ended.signal.aborted) return
      const after = afterAction(this.#memory, finding, result, this.#now())
      this.#memory = after.memory
      this.#tell(after.evidence)
      const standing = await this.#standingNow()
      if (after.memory.givenUp !== standing.givenUp) await this.#stand({ ...standing, givenUp: after.memory.givenUp })
    } finally {
      this.#doing = ''
    }
  }

  /** Under the key of the volume; not at all where somebody else took it meanwhile. */
  async #alone(finding: Finding, work: () => Promise<Result>): Promise<Result> {
    const key = exclusiveKey(finding.volume)
    const grip = await this.#options.keys
      .acquire(key, 'the failover supervisor', AbortSignal.any([this.#ended.signal, AbortSignal.timeout(lockTime)]))
      .catch(() => undefined)
    if (grip === undefined) return { kind: 'gone', what: 'somebody else works on the volume', lines: [] }
    try {
      return await work()
    } finally {
      grip.release()
    }
  }

  async #run(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      let concerned = true
      try {
        concerned = await this.once()
      } catch (error) {
        this.#complain(messageOf(error))
      }
      await delay(concerned ? interval : rest, undefined, { signal: this.#ended.signal, ref: false }).catch(() => undefined)
    }
  }

  /** First to the log: what follows may hang. */
  #tell(evidence: readonly Evidence[]): void {
    for (const one of evidence) {
      this.#options.log.info({ supervisor: true, ...one }, `${one.volume}: ${one.kind}: ${one.what}`)
      this.#evidence.push({ ...one, at: this.#options.now() })
    }
    this.#evidence.splice(0, Math.max(0, this.#evidence.length - kept))
  }

  /** Once, not at each look. */
  #complain(what: string): void {
    if (what === this.#complaint || this.#ended.signal.aborted) return
    this.#complaint = what
    this.#options.log.warn({ supervisor: true }, `mirrored volumes are not supervised: ${what}`)
  }

  async #standingNow(): Promise<Standing> {
    this.#standing ??= await readStanding(this.#path, this.#now())
    return this.#standing
  }

  async #stand(standing: Standing): Promise<void> {
    await writeStanding(this.#path, standing)
    this.#standing = standing
  }

  #now(): number {
    return this.#options.now().getTime()
  }
}

const heldWords = (hold: Hold | undefined): string | undefined => (hold === undefined ? undefined : `${hold.by} holds it: ${hold.reason}`)
