import { randomBytes } from 'node:crypto'
import type { RunEvent, RunSummary, StartRunRequest } from '#gen/hive/v1/run.ts'
import type { Step } from '#gen/hive/v1/step.ts'
import { HiveError } from '../../proto/errors.ts'
import { type ExecutionEnvironment, execute } from './execute.ts'
import { graphOf, ownSteps } from './graph.ts'
import { createJournal, listJournals, pruneJournals, type RunHeader, readJournal } from './journal.ts'
import { type PastRun, recoverRun } from './recover.ts'
import { Run, summaryOf } from './run.ts'

export interface RunsOptions extends ExecutionEnvironment {
  /** Folder of the journals. */
  readonly folder: string
  readonly keep?: { readonly count: number; readonly bytes: number }
  /** Milliseconds of silence after which a watcher gets a heartbeat. Default 5000. */
  readonly heartbeat?: number
}

const keepByDefault = { count: 200, bytes: 64 * 1024 * 1024 }
/** Ended runs whose events stay in memory, for watchers that come a moment later. */
const remembered = 8

/**
 * All runs of this agent.
 *
 * Invariants:
 * - one key is one run, for as long as its journal is kept, restarts included; two requests at the same moment too;
 * - a run goes on whether or not anybody watches; a watcher neither slows nor ends it;
 * - every watcher gets every event from the number it asked for on, once, in order;
 * - a run that was active when the agent died is closed as failed before the agent answers anything.
 */
export class Runs {
  readonly #options: RunsOptions
  readonly #active = new Map<string, { readonly run: Run; readonly steps: readonly Step[]; readonly done: Promise<void> }>()
  readonly #past = new Map<string, PastRun>()
  readonly #byKey = new Map<string, Promise<string>>()
  #closed = false

  private constructor(options: RunsOptions) {
    this.#options = options
  }

  /** Reads the journals, closes what a crash left open, removes what is too old. */
  static async open(options: RunsOptions): Promise<Runs> {
    const runs = new Runs(options)
    for (const runId of await listJournals(options.folder)) {
      const past = await recoverRun(options.folder, runId, options.now)
      if (past === undefined) continue
      runs.#past.set(runId, past)
      runs.#byKey.set(past.header.key, Promise.resolve(runId))
    }
    await runs.#prune()
    return runs
  }

  /** Throws HiveError 'invalid-input' for steps that are not this host's or wait for each other, 'blocked' when the journal can't be made. */
  async start(request: StartRunRequest): Promise<{ runId: string; existed: boolean }> {
    const known = this.#byKey.get(request.key)
    if (known !== undefined) return { runId: await known, existed: true }
    if (request.key === '') throw new HiveError('invalid-input', 'a run needs a key')
    if (this.#closed) throw new HiveError('unreachable', 'the agent is stopping')
    const starting = this.#begin(request)
    this.#byKey.set(request.key, starting)
    try {
      return { runId: await starting, existed: false }
    } catch (error) {
      this.#byKey.delete(request.key)
      throw error
    }
  }

  async #begin(request: StartRunRequest): Promise<string> {
    const { folder, hostName, now } = this.#options
    ownSteps(request.steps, hostName)
    const graph = graphOf(request.steps)
    const started = now()
    const header: RunHeader = {
      runId: `${started.toISOString().replace(/[-:.]/g, '')}-${randomBytes(4).toString('hex')}`,
      key: request.key,
      owner: request.owner,
      deployId: request.deployId,
      started,
      steps: request.steps.map(({ id, title }) => ({ id, title })),
    }
    const run = new Run(header, await createJournal(folder, header), now)
    const done = execute(run, request.steps, graph, this.#options).then(() => this.#retire(run))
    this.#active.set(header.runId, { run, steps: request.steps, done })
    return header.runId
  }

  async #retire(run: Run): Promise<void> {
    const { runId } = run.header
    this.#options.outcomes?.ran(run.header.steps, run.events)
    this.#past.set(runId, { header: run.header, ended: run.ended ?? this.#options.now(), ok: run.ok, events: run.events })
    this.#active.delete(runId)
    const kept = [...this.#past].filter(([, past]) => past.events !== undefined)
    for (const [id, past] of kept.slice(0, Math.max(0, kept.length - remembered))) this.#past.set(id, { header: past.header, ended: past.ended, ok: past.ok })
    await this.#prune().catch(() => undefined)
  }

  async #prune(): Promise<void> {
    for (const runId of await pruneJournals(this.#options.folder, this.#options.keep ?? keepByDefault, new Set(this.#active.keys()))) {
      const past = this.#past.get(runId)
      if (past === undefined) continue
      this.#past.delete(runId)
      this.#byKey.delete(past.header.key)
    }
  }

  /** Replays from the sequence number on, then follows to the end. Throws HiveError 'not-found'. */
  async *watch(runId: string, from: bigint, signal: AbortSignal): AsyncGenerator<RunEvent, void> {
    const active = this.#active.get(runId)
    if (active === undefined) {
      const past = this.#past.get(runId)
      if (past === undefined) throw new HiveError('not-found', `no run ${runId} here`)
      const events = past.events ?? (await readJournal(this.#options.folder, runId))?.events ?? []
      for (const event of events) if (event.seq >= from) yield event
      return
    }
    const { run } = active
    let index = Math.max(0, Number(from) - 1)
    while (!signal.aborted) {
      for (let event = run.events[index]; event !== undefined; event = run.events[index]) {
        index += 1
        yield event
        if (event.event?.$case === 'runFinished') return
      }
      if (run.finishedPublished) return
      if (await run.changed(index, this.#options.heartbeat ?? 5000, signal)) continue
      if (!signal.aborted) yield { seq: 0n, at: this.#options.now(), stepId: '', event: { $case: 'heartbeat', value: {} } }
    }
  }

  /** Newest first. */
  list(activeOnly: boolean, limit: number): RunSummary[] {
    const all = [...this.#active.values()].map(({ run }) => summaryOf(run.header, undefined, false))
    if (!activeOnly) all.push(...[...this.#past.values()].map((past) => summaryOf(past.header, past.ended, past.ok)))
    return all.sort((a, b) => (a.runId < b.runId ? 1 : -1)).slice(0, limit)
  }

  /** When the last run that has ended did; undefined where there was none. */
  lastEnded(): Date | undefined {
    const ends = [...this.#past.values()].map(({ ended }) => ended.getTime())
    return ends.length === 0 ? undefined : new Date(Math.max(...ends))
  }

  /** True when it was active. Throws HiveError 'not-found'. */
  cancel(runId: string): boolean {
    const active = this.#active.get(runId)
    if (active === undefined && !this.#past.has(runId)) throw new HiveError('not-found', `no run ${runId} here`)
    active?.run.abort.abort(new HiveError('cancelled', 'the run was cancelled'))
    return active !== undefined
  }

  /** Steps of runs that have not ended: what they refer to must stay. */
  activeSteps(): Step[] {
    return [...this.#active.values()].flatMap(({ steps }) => steps)
  }

  /** Cancels what is active, starts nothing any more, and resolves when all is journaled. */
  async close(): Promise<void> {
    this.#closed = true
    const active = [...this.#active.values()]
    for (const { run } of active) run.abort.abort(new HiveError('cancelled', 'the agent is stopping'))
    await Promise.all(active.map(({ done }) => done))
  }
}
