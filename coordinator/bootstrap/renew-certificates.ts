/** Agents whose certificate has less than a third of its life left get a new one with the next deploy: over their connection, without a restart. */
import type { SiteAgents } from '../client/site-agents.ts'
import type { Emit, PlannedStep } from '../events.ts'
import type { Host } from '../inventory/site.ts'
import type { StagePki } from '../pki/stage-pki.ts'
import { allOrErrors } from '../providers/all-or-errors.ts'
import { reissue } from '../trust/own-certificates.ts'
import type { Answers } from './agent-needs.ts'
import { tellStep } from './told-step.ts'

const title = "Renew the agent's certificate"
const stepIdOf = (host: string): string => `bootstrap/certificate@${host}`
const reasonOf = (expires: Date): string => `it ends on ${expires.toISOString().slice(0, 10)}`

export interface DueHost {
  readonly host: Host
  readonly expires: Date
}

/** Of the hosts that answer. */
export async function renewalsDue(hosts: readonly Host[], answers: Answers, pki: Pick<StagePki, 'exists' | 'renewalDue'>): Promise<readonly DueHost[]> {
  if (!pki.exists) return []
  const asked = await Promise.all(hosts.map(async (host) => ({ host, expires: (await answers(host))?.certificateExpires })))
  return asked.flatMap(({ host, expires }) => (expires !== undefined && pki.renewalDue(expires) ? [{ host, expires }] : []))
}

export const plannedRenewal = ({ host, expires }: DueHost): PlannedStep => ({
  phase: 'build-infra',
  host: host.name,
  stepId: stepIdOf(host.name),
  title,
  outcome: {
    kind: 'change',
    reason: reasonOf(expires),
    before: `until ${expires.toISOString().slice(0, 10)}`,
    after: 'a new key and certificate',
    disruption: 0,
  },
})

export interface RenewInput {
  readonly agents: SiteAgents
  readonly pki: StagePki
  readonly emit: Emit
  readonly signal: AbortSignal
}

/** All at once. Throws one error that names every host that failed. */
export async function renewCertificates({ agents, pki, emit, signal }: RenewInput, due: readonly DueHost[]): Promise<void> {
  await allOrErrors(due, async ({ host, expires }) => {
    const told = { host: host.name, stepId: stepIdOf(host.name), title, reason: reasonOf(expires) }
    await tellStep(emit, told, async () => reissue(host, await agents.client(host.name), agents, pki, signal))
  })
}
