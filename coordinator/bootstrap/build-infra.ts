/** Phase build-infra: hosts by the stage's provider, then an agent on each. */
import type { SiteAgents } from '../client/site-agents.ts'
import type { Emit, PlannedStep } from '../events.ts'
import type { Site } from '../inventory/site.ts'
import type { StagePki } from '../pki/stage-pki.ts'
import { isPlanOnly } from '../providers/plan-only.ts'
import type { HostPower, Provider, ProviderAction } from '../providers/provider.ts'
import { agentAnswers } from './agent-answers.ts'
import { type AgentPackages, findAgentPackages } from './agent-packages.ts'
import { type Answers, agentNeeds, bootstrapHosts } from './bootstrap-hosts.ts'
import { ensureStageKey } from './stage-key.ts'

export interface InfraInput {
  readonly site: Site
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
  readonly notices: readonly string[]
}

const answersOf = ({ agents, answers }: InfraInput): Answers => answers ?? agentAnswers(agents)

const plannedAction = ({ host, id, title, reason, before, after, disruption }: ProviderAction): PlannedStep => ({
  phase: 'build-infra',
  host,
  stepId: id,
  title,
  outcome: { kind: 'change', reason, before, after, disruption },
})

/** Read only. Throws HiveError where the provider can't work on this machine. */
export async function planInfra(input: InfraInput): Promise<InfraPlan> {
  const { site, provider, signal } = input
  const notices: string[] = []
  // What the provider remarks belongs into the plan, not beside it.
  const emit: Emit = (event) => (event.code === 'notice' ? notices.push(event.message) : input.emit(event))
  const context = { site, emit, signal }
  const steps = (await provider.plan(context)).map(plannedAction)
  if (isPlanOnly(provider)) return { steps: [...steps, provider.blocked(site)], notices }
  const power = await provider.status(context)
  const packages = input.packages ?? (await findAgentPackages())
  const on = site.hosts.filter(({ name }) => mayAnswer(power.get(name)))
  const needs = await agentNeeds(on, packages.binarySha256, answersOf(input))
  for (const host of site.hosts) {
    const off = !on.includes(host)
    const need = off ? (power.get(host.name) === 'absent' || !input.pki.exists || !input.pki.enrolled(host.name) ? 'install' : undefined) : needs.get(host.name)
    if (need === undefined) continue
    steps.push({
      phase: 'build-infra',
      host: host.name,
      stepId: `bootstrap/agent@${host.name}`,
      title: need === 'install' ? 'Install the agent' : 'Upgrade the agent',
      outcome: {
        kind: 'change',
        reason: need === 'install' ? (off ? 'the host has none yet' : 'none answers') : 'another version runs',
        before: need === 'install' ? 'no agent' : 'another agent',
        after: `agent ${packages.binarySha256.slice(0, 12)}`,
        disruption: 0,
      },
    })
  }
  return { steps, notices }
}

const mayAnswer = (power: HostPower | undefined): boolean => power === 'running' || power === 'unknown'

/** Idempotent: finishes what an interrupted one began. Answers how many things it changed. Throws HiveError. */
export async function applyInfra(input: InfraInput): Promise<number> {
  const { site, provider, pki, emit, signal } = input
  const context = { site, emit, signal }
  const actions = await provider.plan(context)
  if (!isPlanOnly(provider)) await ensureStageKey(site.contextDir, site.name)
  // Also without actions: the provider makes sure that all hosts answer ssh.
  await provider.apply(context, actions)
  const packages = input.packages ?? (await findAgentPackages())
  const installed = await bootstrapHosts({ site, provider, pki, packages, emit, signal, answers: answersOf(input) })
  return actions.length + installed
}
