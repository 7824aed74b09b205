/** What the doctor asks of a host. */
import { DoctorServiceService, type HostProblem, type VolumeExamination } from '#gen/hive/v1/doctor.ts'
import { HiveError } from '../../proto/errors.ts'
import { examineVolumes } from '../adapters/drbd/examine.ts'
import { stuckCommands } from '../adapters/drbd/tools.ts'
import { requireDrbd9 } from '../adapters/drbd/version.ts'
import { hungProcesses } from '../adapters/hung-processes.ts'
import type { ServerContext } from './context.ts'
import { type ConditionSources, hostCondition } from './doctor/host-condition.ts'
import { type ServiceRegistration, service } from './service.ts'

export const doctorService = (context: ServerContext, sources: ConditionSources): ServiceRegistration =>
  service(DoctorServiceService, {
    async examine({ volume, whole, withoutVolumes }, { signal }) {
      const host = context.config.host
      const [stuck, { problems, volumes }] = await Promise.all([stuckProblems(), withoutVolumes ? nothing : mirroring(context, volume, signal)])
      // Last: it has the host's clock in it, which is compared with the caller's.
      const condition = whole ? await hostCondition(sources, signal) : undefined
      return { host, problems: [...stuck, ...problems], volumes, condition }
    },
  })

interface Mirroring {
  readonly problems: readonly HostProblem[]
  readonly volumes: VolumeExamination[]
}

const nothing: Mirroring = { problems: [], volumes: [] }

async function mirroring(context: ServerContext, volume: string, signal: AbortSignal): Promise<Mirroring> {
  const [module, drbd] = await Promise.all([moduleProblems(context, signal), drbd9()])
  return {
    problems: module.length > 0 ? module : drbd,
    volumes: drbd.length > 0 ? [] : [...(await examineVolumes(context.config.host, volume, signal))],
  }
}

/** Without DRBD 9, its tools answer other questions than the ones that are asked. */
const drbd9 = (): Promise<readonly HostProblem[]> =>
  requireDrbd9().then(
    () => [],
    (error: unknown) => {
      if (!(error instanceof HiveError)) throw error
      return [{ state: 'module', title: error.message, evidence: [...error.log], advice: error.hint ?? '' }]
    },
  )

/** What setup-hosts would change or be stopped by; what is not as good as new is told only where it matters for mirroring. */
async function moduleProblems(context: ServerContext, signal: AbortSignal): Promise<readonly HostProblem[]> {
  const outcome = await context.check({ spec: { kind: { $case: 'ensureDrbdModule', value: { downloadUrl: '', kernelVersion: '' } } } }, signal)
  switch (outcome.kind) {
    case 'ok':
      return 'notice' in outcome && typeof outcome.notice === 'string' && outcome.notice !== ''
        ? [{ state: 'module', title: outcome.notice, evidence: [], advice: '' }]
        : []
    case 'change':
      return [{ state: 'module', title: outcome.reason, evidence: [], advice: 'hivecoord setup-hosts sets it right' }]
    case 'blocked':
      return [{ state: 'module', title: outcome.reason, evidence: [], advice: outcome.hint ?? '' }]
  }
}

/** Killed by this agent and still there, and others' that have hung for long. */
async function stuckProblems(): Promise<readonly HostProblem[]> {
  const own = stuckCommands().map(({ argv, since }) => `since ${since.toISOString()}: ${argv.join(' ')}`)
  const others = (await hungProcesses()).map(({ pid, command, age }) => `${command} (process ${pid}), started ${age} s ago, in state D`)
  const evidence = [...own, ...others]
  if (evidence.length === 0) return []
  return [
    {
      state: 'stuck-commands',
      title: `${evidence.length} storage command${evidence.length === 1 ? '' : 's'} hang in the kernel`,
      evidence,
      advice: 'look at the disks and at journalctl -k; commands in state D end with a reboot only: drain the host first',
    },
  ]
}
