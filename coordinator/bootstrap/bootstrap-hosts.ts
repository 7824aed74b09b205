/** The bootstrap: the only work over ssh. Puts the agent on all hosts that do not answer with this one already. */
import type { SiteAgents } from '../client/site-agents.ts'
import { allOrErrors } from '../providers/all-or-errors.ts'
import { type Answers, agentNeeds } from './agent-needs.ts'
import { type BringInput, bringAgent } from './bring-agent.ts'
import { upgradeOneByOne } from './roll-agents.ts'
import { writeSshConfig } from './ssh-config.ts'

export interface BootstrapInput extends BringInput {
  readonly agents: SiteAgents
  readonly answers: Answers
}

/**
 * Idempotent, resumable: first agents on all hosts where none answers, in parallel; then what runs is upgraded, one host at a time.
 * Agents that are newer stay. Writes CONTEXT_DIR/ssh_config and known_hosts. Answers how many agents it installed or upgraded. Throws
 * one error that names every host that failed.
 */
export async function bootstrapHosts(input: BootstrapInput): Promise<number> {
  const { site, provider, pki, packages, agents, answers } = input
  await pki.ensureCa()
  const needs = await agentNeeds(site.hosts, packages, answers)
  const targets = new Map(site.hosts.map(({ name }) => [name, provider.sshTarget(site, name)]))
  const writeConfig = (): void => writeSshConfig(site.contextDir, [...targets.values()])
  writeConfig()
  const withNeed = (wanted: string) => site.hosts.flatMap((host) => (needs.get(host.name)?.need === wanted ? [host] : []))
  const [installs, upgrades] = [withNeed('install'), withNeed('upgrade')]
  const installed = await allOrErrors(installs, async (host) => {
    targets.set(host.name, await bringAgent(input, host, { need: 'install', version: '' }))
    agents.forget(host.name)
  }).catch((error: unknown) => ({ error }))
  // A host that is away does not keep the others from their upgrade.
  if (upgrades.length > 0) for (const [name, target] of (await upgradeOneByOne({ ...input, hosts: upgrades, needs })).targets) targets.set(name, target)
  writeConfig()
  if (installed !== undefined) throw installed.error
  return installs.length + upgrades.length
}
