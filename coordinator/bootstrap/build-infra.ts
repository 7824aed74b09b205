/** Phase build-infra: hosts by the stage's provider, then an agent on each. */
import { HiveError } from '../../proto/errors.ts'
import type { SiteAgents } from '../client/site-agents.ts'
import type { Emit, PlannedStep } from '../events.ts'
import type { Site } from '../inventory/site.ts'
import type { StagePki } from '../pki/stage-pki.ts'
import { isPlanOnly } from '../providers/plan-only.ts'
import type { HostPower, Provider, ProviderAction } from '../providers/provider.ts'
import { overlayState, type StageState } from '../run/stage-state.ts'
import { tellAll } from '../trust/revoke.ts'
import { agentAnswers } from './agent-answers.ts'
import { type Answers, agentNeeds, type NeedOf } from './agent-needs.ts'
import { type AgentPackages, findAgentPackages } from './agent-packages.ts'
import { bootstrapHosts } from './bootstrap-hosts.ts'
import { reasonOf, titleOf } from './bring-agent.ts'
import { plannedRenewal, renewalsDue, renewCertificates } from './renew-certificates.ts'
import { ensureStageKey } from './stage-key.ts'

export interface InfraInput {
  readonly site: Site
  readonly state: StageState
  readonly provider: Provider
  readonly pki: StagePki
  readonly agents: SiteAgents
  readonly emit: Emit
  readonly signal: AbortSignal
  /** Default: the one of this checkout or installation. */
  readonly packages?: AgentPackages | undefined
  /** Default: asked over gRPC. */
  readonly answers?: Answers | undefined
}

export interface InfraPlan {
  readonly steps: readonly PlannedStep[]
  /** The provider's part of the steps. */
  readonly actions: readonly ProviderAction[]
  readonly notices: readonly string[]
}

const answersOf = ({ agents, answers }: InfraInput): Answers => answers ?? agentAnswers(agents)

/** Each host is asked once. */
function remembered(answers: Answers): Answers {
  const known = new Map<string, ReturnType<Answers>>()
  return (host) => {
    const asked = known.get(host.name) ?? answers(host)
    known.set(host.name, asked)
    return asked
  }
}

const plannedAction = ({ host, id, title, reason, before, after, disruption, blocked }: ProviderAction): PlannedStep => ({
  phase: 'build-infra',
  host,
  stepId: id,
  title,
  outcome: blocked === undefined ? { kind: 'change', reason, before, after, disruption } : { kind: 'blocked', reason, hint: blocked.hint },
})

/** Read only. Throws HiveError where the provider can't work on this machine. */
export async function planInfra(input: InfraInput): Promise<InfraPlan> {
  const { site, state, provider, signal } = input
  const notices: string[] = []
  // What the provider remarks belongs into the plan, not beside it.
  const emit: Emit = (event) => (event.code === 'notice' ? notices.push(event.message) : input.emit(event))
  const context = { site, state: overlayState(state), emit, signal }
  const actions = await provider.plan(context)
  const steps = actions.map(plannedAction)
  if (isPlanOnly(provider)) return { steps: [...steps, provider.blocked(site)], actions, notices }
  const power = await provider.status(context)
  const packages = input.packages ?? (await findAgentPackages())
  const on = site.hosts.filter(({ name }) => mayAnswer(power.get(name)))
  const answers = remembered(answersOf(input))
  const needs = await agentNeeds(on, packages, answers)
  for (const host of site.hosts) {
    const off = !on.includes(host)
    const none = off && (power.get(host.name) === 'absent' || !input.pki.exists || !input.pki.enrolled(host.name))
    const need: NeedOf | undefined = none ? { need: 'install', version: '' } : needs.get(host.name)
    if (need === undefined) continue
    if (need.need === 'newer') notices.push(`${host.name} runs agent ${need.version}, newer than this hivecoord's ${packages.version}: it stays`)
    else steps.push(plannedAgent(host.name, need, packages, none))
  }
  const exchange = input.pki.authorities.rotation?.state ?? 'done'
  if (exchange !== 'done') notices.push(`the CA is being exchanged (${exchange}): hivecoord cert rotate --ca goes on with it`)
  for (const due of await renewalsDue(on, answers, input.pki)) steps.push(plannedRenewal(due))
  return { steps, actions, notices }
}

function plannedAgent(host: string, { need, version }: NeedOf, wanted: AgentPackages, off: boolean): PlannedStep {
  const step = { phase: 'build-infra', host, stepId: `bootstrap/agent@${host}`, title: titleOf(need) } as const
  if (need === 'too-new') {
    const hint = `use hivecoord ${version}; or hivecoord agent upgrade --allow-downgrade brings the agents to ${wanted.version}`
    return { ...step, outcome: { kind: 'blocked', reason: `agent ${version} runs, too new for this hivecoord's ${wanted.version}`, hint } }
  }
  const fresh = need === 'install'
  return {
    ...step,
    outcome: {
      kind: 'change',
      reason: off ? 'the host has none yet' : reasonOf(need, version, wanted.version),
      before: fresh ? 'no agent' : `agent ${version}`,
      after: `agent ${wanted.version} (${wanted.binarySha256.slice(0, 12)})`,
      disruption: 0,
    },
  }
}

const mayAnswer = (power: HostPower | undefined): boolean => power === 'running' || power === 'unknown'

/** What only a yes on the command line lets happen, as errors; none where `allow` has all of it. */
export function unanswered(actions: readonly ProviderAction[], allow: ReadonlySet<string>): readonly HiveError[] {
  return actions
    .filter(({ needsYes, host }) => needsYes === true && ![host, host.split('.')[0] ?? host].some((name) => allow.has(name)))
    .map(
      ({ title, reason, host, id }) =>
        new HiveError('blocked', `${title}: ${reason}`, { hint: `to allow it, name it: --allow ${host.split('.')[0]}`, host, stepId: id }),
    )
}

/**
 * Idempotent: finishes what an interrupted one began. `actions`: what planInfra said of the provider. Answers how many things it
 * changed. Throws HiveError.
 */
export async function applyInfra(input: InfraInput, actions: readonly ProviderAction[]): Promise<number> {
  const { site, state, provider, pki, emit, signal } = input
  const context = { site, state, emit, signal }
  if (!isPlanOnly(provider)) await ensureStageKey(site.contextDir, site.name)
  // Also without actions: the provider makes sure that all hosts answer ssh.
  await provider.apply(context, actions)
  const packages = input.packages ?? (await findAgentPackages())
  const installed = await bootstrapHosts({ site, provider, pki, packages, agents: input.agents, emit, signal, answers: answersOf(input) })
  const due = await renewalsDue(site.hosts, answersOf(input), pki)
  await renewCertificates(input, due)
  // A new host, and the others where one was replaced. Who does not answer hears of it in setup-hosts.
  if (pki.revoked().length > 0) await tellAll(site.hosts, input.agents, pki, signal)
  return actions.length + installed + due.length
}
