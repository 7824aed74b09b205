/** One host's agent brought to this hivecoord's, told as a step. */
import type { Emit } from '../events.ts'
import type { Host, Site } from '../inventory/site.ts'
import type { Provider, SshTarget } from '../providers/provider.ts'
import type { NeedOf } from './agent-needs.ts'
import type { AgentPackages } from './agent-packages.ts'
import { type HostSigner, installAgent } from './install-agent.ts'
import { tellStep } from './told-step.ts'
import { workingTarget } from './working-target.ts'

export interface BringInput {
  readonly site: Site
  readonly provider: Provider
  readonly pki: HostSigner
  readonly packages: AgentPackages
  readonly emit: Emit
  readonly signal: AbortSignal
}

/** Milliseconds in which a host that is still booting for the first time comes to answer ssh. */
const newHostPatience = 120_000
/** The same for a host that had an agent: it is more likely cut off than booting, and the others wait for this answer. */
const knownHostPatience = 10_000

/** Answers how ssh got in. `verify`: belongs to the step, after the installation. */
export async function bringAgent(
  { site, provider, pki, packages, emit, signal }: BringInput,
  host: Host,
  { need, version }: NeedOf,
  verify: () => Promise<void> = async () => undefined,
): Promise<SshTarget> {
  const stepId = `bootstrap/agent@${host.name}`
  const told = { host: host.name, stepId, title: titleOf(need), reason: reasonOf(need, version, packages.version) }
  return tellStep(emit, told, async () => {
    const patience = pki.enrolled?.(host.name) === true ? knownHostPatience : newHostPatience
    const target = await workingTarget(host, provider.sshTarget(site, host.name), site.contextDir, signal, patience)
    const say = (line: string): void => emit({ code: 'step.log', phase: 'build-infra', host: host.name, stepId, line })
    await installAgent({ host, target, contextDir: site.contextDir, pki, packages, answers: need !== 'install', signal, say })
    await verify()
    return target
  })
}

export const titleOf = (need: NeedOf['need']): string => (need === 'install' ? 'Install the agent' : 'Upgrade the agent')

/** "0.1.0 runs", "another build of 0.2.0 runs". */
export const reasonOf = (need: NeedOf['need'], version: string, wanted: string): string => {
  if (need === 'install') return 'none answers'
  return version === wanted ? `another build of ${version} runs` : `${version} runs`
}
