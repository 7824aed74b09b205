/** Planning and deploying phases in their order, with the site lock, the journal and the barrier between phases. */
import { Disruption } from '#gen/hive/v1/step.ts'
import { HiveError } from '../../proto/errors.ts'
import { isUnreachable, reportOf } from '../client/errors.ts'
import type { SiteAgents } from '../client/site-agents.ts'
import type { Emit, ErrorReport, HiveEvent, PhaseName, PlannedStep } from '../events.ts'
import type { Site } from '../inventory/site.ts'
import type { Limit, Phase } from '../phases/phase.ts'
import { managersOf } from '../phases/swarm-role.ts'
import { localIdentity } from '../pki/stage-pki.ts'
import { MaintenanceWindow } from '../zabbix/maintenance.ts'
import { swarmHostName } from '../zabbix/names.ts'
import { leaveOutAfterRepository } from './after-repository.ts'
import { attachToActiveRuns } from './attach.ts'
import { joinTokenBinder } from './bind-step.ts'
import { exclusively, reachableClients } from './exclusive.ts'
import { createFactSource } from './fact-source.ts'
import { leaveOutMissingImages } from './images-out-of-reach.ts'
import { newRunId, openJournal } from './journal.ts'
import { obstacles, type PlannedPhase, planOnePhase } from './phase-work.ts'
import { runSteps } from './run-steps.ts'
import { whyNotSafe } from './safe-to-go-on.ts'
import type { SiteLock } from './site-lock.ts'
import { overlayState, type StageState } from './stage-state.ts'
import type { Patience } from './watch-run.ts'

/** Making hosts exist and have agents: the phase that is carried out from here and not by agents. */
export interface Infrastructure {
  /** Hosts that certainly do not exist, whatever was known of them before. */
  absent(signal: AbortSignal): Promise<ReadonlySet<string>>
  plan(signal: AbortSignal): Promise<{ readonly steps: readonly PlannedStep[]; readonly notices: readonly string[] }>
  /** These hosts are other machines than before: what was known of the old ones is forgotten. */
  replaced?(hosts: ReadonlySet<string>, emit: Emit, signal: AbortSignal): Promise<void>
  /** What of the last plan needs a yes that is not in `allow`: a stop, a replacement. */
  unanswered?(allow: ReadonlySet<string>): readonly HiveError[]
  /** Carries out the last plan. Idempotent. Answers how many things it changed. Throws HiveError. */
  apply(emit: Emit, signal: AbortSignal): Promise<number>
}

export interface CommonInput {
  readonly site: Site
  readonly agents: SiteAgents
  readonly state: StageState
  readonly infrastructure: Infrastructure
  /** Those asked for, in their order. build-infra is carried out by `infrastructure`. */
  readonly phases: readonly (Phase | 'build-infra')[]
  readonly limit: Limit
  readonly emit: Emit
  readonly signal: AbortSignal
  readonly refreshImages: boolean
  readonly reapplyRoles: boolean
  readonly now: () => Date
}

export interface PhaseReport {
  readonly phase: PhaseName
  readonly steps: readonly PlannedStep[]
  readonly unreachable: readonly string[]
  /** How many hosts were asked. */
  readonly planCalls: number
  readonly notices: readonly string[]
  readonly errors: readonly ErrorReport[]
  /** Why the steps are not known yet, where they are not. */
  readonly unknown: string | undefined
}

/** What would change. Writes nothing but the caller's own events. Hosts that do not exist are not asked. */
export async function planPhases(input: CommonInput): Promise<readonly PhaseReport[]> {
  const { site, agents, limit, emit, signal, refreshImages, reapplyRoles } = input
  const state = overlayState(input.state)
  const gone = await input.infrastructure.absent(signal)
  const absent = new Set(site.hosts.map(({ name }) => name).filter((name) => gone.has(name) || !agents.enrolled(name)))
  const facts = createFactSource({ site, limit, state, refreshImages, agents, signal, absent })
  const reports: PhaseReport[] = []
  for (const phase of input.phases) {
    signal.throwIfAborted()
    const report = await (async (): Promise<PhaseReport> => {
      if (phase === 'build-infra') {
        try {
          const { steps, notices } = await input.infrastructure.plan(signal)
          return { phase, steps, notices, unreachable: [], planCalls: 0, errors: [], unknown: undefined }
        } catch (error) {
          // What this machine or this account cannot make can be planned all the same from there on.
          if (signal.aborted || !(error instanceof HiveError)) throw error
          return { phase, steps: [], notices: [], unreachable: [], planCalls: 0, errors: [reportOf(error)], unknown: undefined }
        }
      }
      try {
        const planned = await planOnePhase({ phase, site, limit, state, reapplyRoles, facts, agents, absent, signal })
        const { unreachable, planCalls, unsupported = [], awaits = [] } = planned
        const notices = [...planned.notices, ...awaits]
        const earlier = reports.findLast(({ steps }) => steps.some(({ outcome }) => outcome.kind === 'change'))?.phase
        const errors = [...planned.errors.map((error) => reportOf(error)), ...unsupported.map((reason) => reportOf(new HiveError('unsupported', reason)))]
        return { phase: phase.name, steps: afterEarlier(planned.planned, earlier), unreachable, planCalls, notices, errors, unknown: undefined }
      } catch (error) {
        // Facts that only hosts can tell are missing as long as these are.
        if (signal.aborted || !isUnreachable(error)) throw error
        const unknown = absent.size > 0 ? 'known once the hosts exist' : 'known once the hosts answer'
        return { phase: phase.name, steps: [], unreachable: [], planCalls: 0, notices: [], errors: [], unknown }
      }
    })()
    for (const message of report.notices) emit({ code: 'notice', message })
    for (const { message } of report.errors) emit({ code: 'warning', message })
    if (report.unknown !== undefined) emit({ code: 'notice', message: `${report.phase}: ${report.unknown}` })
    emit({ code: 'phase.planned', phase: report.phase, steps: report.steps, unreachable: report.unreachable, planCalls: report.planCalls })
    reports.push(report)
  }
  return reports
}

/** What cannot be looked at before earlier phases did their part (docker is not there yet) is not blocked, only not known. */
function afterEarlier(steps: readonly PlannedStep[], earlier: PhaseName | undefined): readonly PlannedStep[] {
  if (earlier === undefined) return steps
  return steps.map((step) => {
    if (step.outcome.kind !== 'blocked') return step
    const reason = `known once ${earlier} is done; now: ${step.outcome.reason}`
    return { ...step, outcome: { kind: 'change', reason, before: '', after: '', disruption: Disruption.UNSPECIFIED } }
  })
}

export interface DeployInput extends CommonInput {
  /** For people and journals: "deploy". */
  readonly command: string
  /** Hosts, volumes … that may be destroyed. */
  readonly allow: ReadonlySet<string>
  /** Names of hosts that were made anew by other means. */
  readonly replaced?: ReadonlySet<string>
  /** Default true: a service is done when its tasks run. */
  readonly awaitTasks?: boolean
  readonly patience?: Patience
}

export interface DeployResult {
  readonly runId: string
  readonly ok: boolean
  readonly changed: number
  readonly errors: readonly ErrorReport[]
  /** Hosts that were left out because they do not answer. */
  readonly unreachable: readonly string[]
}

/**
 * Carries out the phases, one after the other; a phase with errors is the last one. Rejects with HiveError 'locked' when another
 * coordinator is at work; what fails later is in the result, as in the event `run.finished`.
 */
export async function deployPhases(input: DeployInput): Promise<DeployResult> {
  const { site, agents, command, now } = input
  const started = now()
  return exclusively({ site, agents, purpose: command, signal: input.signal, now }, async (lock, signal) => {
    const runId = newRunId(started)
    const journal = openJournal(site.contextDir, runId)
    const emit = (event: HiveEvent): void => {
      journal.write(event, now())
      input.emit(event)
    }
    const window = new MaintenanceWindow({ site, agents, id: runId, title: command, emit })
    try {
      emit({ code: 'run.started', runId, command, stage: site.stage })
      const result = await new Deploy({ ...input, emit, signal }, runId, lock, window).run()
      emit({ code: 'run.finished', runId, ok: result.ok, changed: result.changed, milliseconds: now().getTime() - started.getTime(), errors: result.errors })
      return result
    } finally {
      await window.close()
      journal.close()
    }
  })
}

class Deploy {
  readonly #input: DeployInput
  readonly #runId: string
  readonly #lock: SiteLock
  readonly #window: MaintenanceWindow
  readonly #errors: ErrorReport[] = []
  readonly #unreachable = new Set<string>()
  #changed = 0

  constructor(input: DeployInput, runId: string, lock: SiteLock, window: MaintenanceWindow) {
    this.#input = input
    this.#runId = runId
    this.#lock = lock
    this.#window = window
  }

  async run(): Promise<DeployResult> {
    const { phases, emit, signal, now, agents, site } = this.#input
    try {
      await attachToActiveRuns(await reachableClients(site, agents, signal), emit, signal, this.#input.patience)
      for (const phase of phases) {
        const name = phase === 'build-infra' ? phase : phase.name
        const started = now().getTime()
        const before = this.#changed
        emit({ code: 'phase.started', phase: name })
        try {
          await (phase === 'build-infra' ? this.#buildInfrastructure() : this.#runPhase(phase))
        } finally {
          const ok = this.#errors.length === 0 && !signal.aborted
          emit({ code: 'phase.finished', phase: name, ok, changed: this.#changed - before, milliseconds: now().getTime() - started })
        }
        if (this.#errors.length > 0) break
        signal.throwIfAborted()
        const outside = phase === 'build-infra' && phases.length > 1 ? agents.whyNotDial() : undefined
        if (outside !== undefined)
          throw new HiveError('unreachable', `the hosts are made, but cannot be reached from here: ${outside}`, { hint: 'run the command again' })
      }
    } catch (error) {
      this.#errors.push(reportOf(signal.aborted ? this.#whyAborted() : error))
    }
    for (const host of this.#unreachable) agents.forget(host)
    const unreachable = site.hosts.map(({ name }) => name).filter((name) => this.#unreachable.has(name))
    return { runId: this.#runId, ok: this.#errors.length === 0, changed: this.#changed, errors: this.#errors, unreachable }
  }

  #whyAborted(): HiveError {
    const reason: unknown = this.#lock.lost.aborted ? this.#lock.lost.reason : undefined
    return reason instanceof HiveError
      ? reason
      : new HiveError('cancelled', 'cancelled: agents were asked to stop what had begun', { hint: 'run it again to finish the job' })
  }

  async #buildInfrastructure(): Promise<void> {
    const { infrastructure, emit, signal, agents, site, replaced } = this.#input
    if (replaced !== undefined && replaced.size > 0) await infrastructure.replaced?.(replaced, emit, signal)
    const { steps, notices } = await infrastructure.plan(signal)
    for (const message of notices) emit({ code: 'notice', message })
    emit({ code: 'phase.planned', phase: 'build-infra', steps, unreachable: [], planCalls: 0 })
    if (steps.every(({ outcome }) => outcome.kind === 'ok')) return
    const blockedSteps = steps.flatMap(({ outcome, host, stepId, title }) =>
      outcome.kind === 'blocked' ? [reportOf(new HiveError('blocked', `${title}: ${outcome.reason}`, { hint: outcome.hint || undefined, host, stepId }))] : [],
    )
    const refused = [...blockedSteps, ...(infrastructure.unanswered?.(this.#input.allow) ?? []).map((error) => reportOf(error))]
    if (refused.length > 0) {
      this.#errors.push(...refused)
      return
    }
    await this.#tellZabbix(steps)
    const failure = await this.#apply()
    for (const { name } of site.hosts) agents.forget(name)
    const clients = await reachableClients(site, agents, signal)
    await this.#lock.extend(clients, signal)
    if (failure === undefined) return
    const away = new Set(site.hosts.map(({ name }) => name).filter((name) => !clients.some(({ host }) => host === name)))
    // Only for a site that was there before: one that is being made is made whole.
    if (away.size === 0 || ![...away].every((name) => agents.enrolled(name))) throw failure
    const unsafe = whyNotSafe(site.hosts, away)
    if (unsafe !== undefined) throw unsafe
    emit({ code: 'warning', message: `${failure.message}; the other hosts go on without` })
    this.#leaveOut([...away])
  }

  /** Answers the error where hosts could not be reached; any other is thrown. */
  async #apply(): Promise<HiveError | undefined> {
    const { infrastructure, emit, signal } = this.#input
    try {
      this.#changed += await infrastructure.apply(emit, signal)
      return undefined
    } catch (error) {
      if (isUnreachable(error) && !signal.aborted) return error as HiveError
      throw error
    }
  }

  async #runPhase(phase: Phase): Promise<void> {
    const { site, limit, state, agents, emit, signal, refreshImages, reapplyRoles, awaitTasks = true, allow, patience } = this.#input
    const facts = createFactSource({ site, limit, state, refreshImages, agents, signal, absent: new Set() })
    const whole = await planOnePhase({ phase, site, limit, state, reapplyRoles, awaitTasks, allow, facts, agents, absent: new Set(), signal })
    const after = leaveOutAfterRepository(whole, site.hosts)
    const { phase: planned, away, warnings } = await leaveOutMissingImages(after.phase, { site, agents, facts, signal })
    for (const message of planned.notices) emit({ code: 'notice', message })
    const { unreachable, planCalls } = planned
    emit({ code: 'phase.planned', phase: phase.name, steps: planned.planned, unreachable, planCalls })
    if (!this.#mayBegin(planned, allow)) return
    this.#leaveOut(unreachable)
    if (away !== undefined) this.#leaveOut([away])
    for (const message of [...after.warnings, ...warnings]) emit({ code: 'warning', message })
    if (planned.planned.every(({ outcome }) => outcome.kind === 'ok')) return
    await this.#tellZabbix(planned.planned)
    const { changed, errors } = await runSteps({
      phase: phase.name,
      steps: planned.steps,
      planned: planned.planned,
      unreachable: new Set(unreachable),
      blobs: planned.blobs,
      agents,
      bind: joinTokenBinder(planned.steps, managersOf(site.hosts), agents),
      deployId: this.#runId,
      owner: localIdentity(),
      emit,
      signal,
      ...(patience === undefined ? {} : { patience }),
    })
    this.#changed += changed
    this.#errors.push(...errors)
  }

  /** Before what restarts something; of services, Zabbix knows by the swarm as a whole. */
  async #tellZabbix(steps: readonly PlannedStep[]): Promise<void> {
    const { site, signal } = this.#input
    const disturbed = steps.flatMap(({ outcome, host }) => (outcome.kind === 'change' && outcome.disruption !== Disruption.UNSPECIFIED ? [host] : []))
    if (disturbed.length > 0) await this.#window.cover([...new Set([...disturbed, swarmHostName(site)])], signal)
  }

  #leaveOut(hosts: readonly string[]): void {
    for (const host of hosts) {
      if (!this.#unreachable.has(host)) this.#input.emit({ code: 'warning', message: `${host} does not answer and is left out` })
      this.#unreachable.add(host)
    }
  }

  #mayBegin(planned: PlannedPhase, allow: ReadonlySet<string>): boolean {
    const { site, limit } = this.#input
    const inScope = site.hosts.filter(({ name }) => limit.hosts === undefined || limit.hosts.has(name))
    const unsafe = planned.unreachable.length === 0 ? undefined : whyNotSafe(inScope, new Set(planned.unreachable))
    this.#errors.push(...(unsafe === undefined ? [] : [reportOf(unsafe)]), ...obstacles(planned, allow))
    return this.#errors.length === 0
  }
}
