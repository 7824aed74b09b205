/**
 * Packages of a running site's hosts, brought up to date one host at a time, as hosts are restarted (reboot.ts).
 *
 * - All hosts first learn what their package sources have. Hosts with nothing new, that need no restart, are left alone.
 * - A host is updated by its agent while it is drained, as a step: a coordinator that dies does not end it.
 * - It restarts where that is needed, and only then.
 */
import type { Step } from '#gen/hive/v1/step.ts'
import type { EnsureUpdated } from '#gen/hive/v1/steps_host.ts'
import { HiveError } from '../../proto/errors.ts'
import type { SiteAgents } from '../client/site-agents.ts'
import type { Host } from '../inventory/site.ts'
import { step } from '../phases/phase.ts'
import { localIdentity } from '../pki/stage-pki.ts'
import { planPhase } from '../run/planner.ts'
import { runSteps } from '../run/run-steps.ts'
import { isUnderWay, markOf } from './marks.ts'
import { type Rebooted, type RebootInput, rebootOneByOne } from './reboot.ts'

export interface UpdateInput extends RebootInput {
  readonly agents: Pick<SiteAgents, 'reach' | 'client' | 'forget'>
  /** Kernels and DRBD's module, too; undefined: they stay as they are. */
  readonly kernel?: KernelUpdate | undefined
}

export interface KernelUpdate {
  /** Inventory names of hosts whose volumes need DRBD. */
  readonly mirroring: ReadonlySet<string>
}

export interface Updated extends Rebooted {
  /** Nothing was to be done there. */
  readonly same: readonly string[]
}

const phase = 'setup-hosts'
/** Seconds: a kernel and all of a distribution over a slow line. */
const timeout = 3600

const packagesOnly: EnsureUpdated = { listsOnly: false, kernel: false, kernelVersion: '', needsDrbd: false, drbdDownloadUrl: '' }

const listsOf = ({ name }: Host): Step => ({
  ...step(phase, 'package-lists', name, 'what the package sources have', 'ensureUpdated', { ...packagesOnly, listsOnly: true }),
  timeoutSeconds: timeout,
})

function updateOf({ name, settings }: Host, kernel: KernelUpdate | undefined): Step {
  const { kernelVersion = '', drbdDownloadUrl = '' } = settings
  const needsDrbd = kernel?.mirroring.has(name) === true
  const spec = kernel === undefined ? packagesOnly : { listsOnly: false, kernel: true, kernelVersion, needsDrbd, drbdDownloadUrl }
  const title = kernel === undefined ? 'packages up to date' : 'packages and kernel up to date'
  return { ...step(phase, 'packages-updated', name, title, 'ensureUpdated', spec), timeoutSeconds: timeout }
}

/** Packages that are to be updated, by host, as far as their lists tell. Rejects with the first host's error. */
export async function pendingOn(input: Pick<UpdateInput, 'hosts' | 'agents' | 'kernel' | 'signal'>): Promise<ReadonlyMap<string, string>> {
  const steps = input.hosts.map((host) => updateOf(host, input.kernel))
  const { planned, unreachable, errors } = await planPhase({ phase, steps, agents: input.agents, absent: new Set(), signal: input.signal })
  const [failed] = errors
  if (failed !== undefined) throw failed
  if (unreachable[0] !== undefined) throw unanswered(unreachable)
  return new Map(
    planned.flatMap(({ host, outcome }): [string, string][] => {
      if (outcome.kind === 'blocked') throw new HiveError('blocked', outcome.reason, { host, hint: outcome.hint })
      return outcome.kind === 'change' ? [[host, outcome.after]] : []
    }),
  )
}

/** Rejects as `rebootOneByOne`, and before any host is drained where one does not answer or can't tell what is new. */
export async function updateOneByOne(input: UpdateInput): Promise<Updated> {
  const { hosts, operations, kernel, restart = 'needed' } = input
  const { nodes = [] } = await operations.look()
  // One whose turn it was may be on its way: what a killed command began there is ended first.
  const begun = hosts.filter((host) => isUnderWay(markOf(nodes, host)))
  const others = hosts.filter((host) => !begun.includes(host))
  await carryOut(input, others.map(listsOf))
  const pending = await pendingOn({ ...input, hosts: others })
  const chosen = [...begun]
  for (const host of others) {
    const needed = restart === 'needed' && (await operations.restartAdvice(host.name)).reasons.length > 0
    if (pending.has(host.name) || needed) chosen.push(host)
  }
  const done = await rebootOneByOne({
    ...input,
    hosts: chosen,
    restart,
    command: kernel === undefined ? 'host update' : 'host update --kernel',
    work: (host) => carryOut(input, [updateOf(host, kernel)]),
  })
  return { ...done, same: hosts.filter((host) => !chosen.includes(host)).map(({ name }) => name) }
}

const unanswered = (hosts: readonly string[]): HiveError =>
  new HiveError('unreachable', `${hosts.join(', ')} did not answer`, { host: hosts[0], hint: 'hivecoord status' })

/** Rejects with the first error. */
async function carryOut({ agents, run, emit, signal }: UpdateInput, steps: readonly Step[]): Promise<void> {
  const { planned, unreachable, errors: unplanned } = await planPhase({ phase, steps, agents, absent: new Set(), signal })
  const [failed] = unplanned
  if (failed !== undefined) throw failed
  if (unreachable[0] !== undefined) throw unanswered(unreachable)
  const blobs = new Map()
  const bind = async (one: Step): Promise<Step> => one
  const { errors } = await runSteps({
    phase,
    steps,
    planned,
    unreachable: new Set(),
    blobs,
    agents,
    bind,
    deployId: run,
    owner: localIdentity(),
    emit,
    signal,
  })
  signal.throwIfAborted()
  const [error] = errors
  if (error !== undefined) throw new HiveError('command-failed', error.message, { hint: error.hint, host: error.host, stepId: error.stepId, log: error.log })
}
