/** What a dashboard shows of a stage, asked again and again. */
import type { TaskInfo } from '#gen/hive/v1/docker.ts'
import { reportOf } from '../client/errors.ts'
import { answering, type SiteAgents } from '../client/site-agents.ts'
import type { Finding } from '../doctor/finding.ts'
import type { Site } from '../inventory/site.ts'
import { managersOf } from '../phases/swarm-role.ts'
import type { HostPower } from '../providers/provider.ts'
import type { StageState } from '../run/stage-state.ts'
import { type PowerSource, type StageStatus, stageStatus } from '../run/status.ts'

export interface DoctorFacts {
  readonly at: Date
  readonly findings: readonly Finding[]
  /** Why it could not tell. */
  readonly error: string | undefined
}

export interface StageFacts {
  readonly at: Date
  readonly status: StageStatus
  /** Of all services; undefined where no manager answers. */
  readonly tasks: readonly TaskInfo[] | undefined
  /** undefined: it has not answered yet. */
  readonly doctor: DoctorFacts | undefined
}

/** Milliseconds. */
const taskDeadline = 5_000
/** The doctor reads more of the hosts' storage than their agents have at hand. */
const doctorInterval = 60_000
/** A provider may be an account elsewhere that counts what it is asked. */
const powerInterval = 30_000

export interface FactsInput {
  readonly site: Site
  readonly state: StageState
  readonly agents: SiteAgents
  readonly provider: PowerSource
  /** The doctor's look at the whole stage. */
  readonly consult: (signal: AbortSignal) => Promise<readonly Finding[]>
}

/** Answers what asks once. It takes some 10 s at most, and rejects for its signal alone. The doctor's answer comes with one of the next. */
export function askingFacts({ site, state, agents, provider, consult }: FactsInput): (signal: AbortSignal) => Promise<StageFacts> {
  const rested = restedPower(provider)
  let doctor: DoctorFacts | undefined
  let consulting = false
  let consulted = Number.NEGATIVE_INFINITY
  const consultNow = async (signal: AbortSignal): Promise<void> => {
    if (consulting || performance.now() < consulted + doctorInterval) return
    consulting = true
    try {
      doctor = { at: new Date(), findings: await consult(signal), error: undefined }
    } catch (error) {
      doctor = { at: new Date(), findings: [], error: reportOf(error).message }
    } finally {
      consulted = performance.now()
      consulting = false
    }
  }
  return async (signal) => {
    // A host that was there may be gone, and the other way round.
    for (const { name } of site.hosts) agents.forget(name)
    // What Zabbix has open is among what the doctor finds.
    const [status, tasks] = await Promise.all([stageStatus({ site, state, agents, provider: rested, alerts: false, signal }), askTasks(site, agents, signal)])
    const silent = consultNow(signal)
    // Where it is quick, its first answer is with this one.
    if (doctor === undefined) await Promise.race([silent, new Promise((resolve) => setTimeout(resolve, 500))])
    return { at: new Date(), status, tasks, doctor }
  }
}

async function askTasks({ hosts }: Site, agents: SiteAgents, signal: AbortSignal): Promise<readonly TaskInfo[] | undefined> {
  const asking = managersOf(hosts).map((name) => answering(agents, name, signal))
  const manager = await Promise.any(asking).catch(() => undefined)
  if (manager === undefined) return undefined
  return manager.service.tasks({ service: '', runningOnly: false }, { deadline: taskDeadline, signal }).then(
    ({ tasks }) => tasks,
    () => undefined,
  )
}

function restedPower(provider: PowerSource): PowerSource {
  let last: { readonly at: number; readonly power: ReadonlyMap<string, HostPower> } | undefined
  return {
    name: provider.name,
    async status(context) {
      if (last !== undefined && performance.now() < last.at + powerInterval) return last.power
      const power = await provider.status(context)
      last = { at: performance.now(), power }
      return power
    },
  }
}
