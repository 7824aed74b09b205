/** Replacing a host of a stage, and adding one: what hosts/replace.ts decides, carried out with the stage's provider, trust and phases. */
import { HiveError } from '../../proto/errors.ts'
import { plainSerial } from '../../proto/pem.ts'
import { forgetMachine } from '../bootstrap/replace-hosts.ts'
import type { SiteAgents } from '../client/site-agents.ts'
import { type Emit, type PhaseName, phaseNames } from '../events.ts'
import { lookAtSite } from '../guard/look.ts'
import type { Host, Site } from '../inventory/site.ts'
import type { Limit } from '../phases/phase.ts'
import { managersOf } from '../phases/swarm-role.ts'
import type { StagePki } from '../pki/stage-pki.ts'
import type { HostPower, Provider } from '../providers/provider.ts'
import type { DeployResult, PhaseReport } from '../run/deploy.ts'
import { exclusively } from '../run/exclusive.ts'
import type { StageState } from '../run/stage-state.ts'
import { ownTrust } from '../trust/own-trust.ts'
import { realClock } from './await-progress.ts'
import type { WorkOptions } from './host-work.ts'
import { agentOperations } from './operations.ts'
import {
  awaitReplaced,
  beginning,
  begunIn,
  giveUpMachine,
  inherit,
  notReplaced,
  partAlready,
  planReplacement,
  type ReplacementFacts,
  type ReplacementPlan,
  refuse,
} from './replace.ts'

interface PhasesOf {
  readonly phases?: readonly PhaseName[]
  readonly limit?: Limit
}

export interface ReplacementInput {
  readonly site: Site
  readonly state: StageState
  readonly agents: SiteAgents
  readonly pki: StagePki
  readonly provider: Provider
  readonly power: (signal: AbortSignal) => Promise<ReadonlyMap<string, HostPower>>
  readonly deploy: (options: PhasesOf & { readonly command: string; readonly replaced: ReadonlySet<string> }) => Promise<DeployResult>
  /** A registry that was made anew, too, gets back what hosts have. */
  readonly restoreImages: () => Promise<DeployResult>
  readonly plan: (options: PhasesOf) => Promise<readonly PhaseReport[]>
  readonly emit: Emit
  readonly signal: AbortSignal
}

/** Milliseconds without progress: copies of large volumes move all the time. */
const patience = 900_000

/** Never rejects but for the signal. */
export const planOf = async (input: ReplacementInput, host: Host, allowed: ReadonlySet<string>): Promise<ReplacementPlan> =>
  planReplacement(await factsOf(input, host), allowed)

export async function replace(input: ReplacementInput, host: Host, options: WorkOptions & { readonly given: ReadonlySet<string> }): Promise<void> {
  const { site, state, agents, pki, provider, emit, signal } = input
  const purpose = `host replace ${host.shortName}`
  refuse(await planOf(input, host, options.allowed), options)
  const alone = underLock(input, purpose)
  const operationsWith = (other: AbortSignal) => agentOperations({ site, agents, emit, signal: other })
  const { discard } = provider
  await alone((held) =>
    giveUpMachine({
      ...options,
      host,
      state,
      facts: () => factsOf({ ...input, signal: held }, host),
      operations: operationsWith(held),
      operationsWith,
      work: {
        certificates: () => certificatesOf(pki, host),
        discard: discard === undefined ? undefined : () => discard.call(provider, { site, state, emit, signal: held }, host.name),
        forget: () => forgetMachine({ site, provider, pki, agents }, host),
      },
      patience,
      clock: realClock,
      emit,
      signal: held,
      now: () => new Date(),
    }),
  )
  // The new one is told apart by its agent; as long as that does not answer, keys of another attempt are forgotten, too.
  agents.forget(host.name)
  const replaced = 'client' in (await agents.reach(host.name, signal)) ? new Set<string>() : new Set([host.name])
  if (host.isRepository) succeeded(await input.deploy({ command: purpose, replaced }), host)
  else {
    succeeded(await input.deploy({ command: purpose, replaced, phases: ['build-infra', 'setup-hosts'], limit: only(baseOf(site, host)) }), host)
    const images = await hasRegistry(input)
    if (images) succeeded(await input.restoreImages(), host)
    else emit({ code: 'warning', message: `the repository server does not answer: ${host.name} gets its images with the next deploy after that` })
    const phases = ['build-volumes', ...(images ? (['deploy-services'] as const) : [])] as const
    succeeded(await input.deploy({ command: purpose, replaced: new Set(), phases, limit: only([host.name]) }), host)
  }
  await seeThrough(input, host, purpose)
}

/**
 * A host of the inventory that is no part of the site yet: a whole deploy, since the others have to know it, and then it is looked at until it is whole.
 * Rejects with 'blocked' where it is one already, and with the error at which it stopped; again goes on.
 */
export async function add(input: ReplacementInput, host: Host): Promise<void> {
  const { state } = input
  const purpose = `host add ${host.shortName}`
  if (begunIn(state, host.name) === undefined) {
    const refusal = partAlready(await factsOf(input, host))
    if (refusal !== undefined) throw refusal
    state.set(beginning(host.name), { since: new Date().toISOString(), certificates: [], availability: 'active', machineGone: true })
  }
  succeeded(await input.deploy({ command: purpose, replaced: new Set() }), host, purpose)
  await seeThrough(input, host, purpose)
}

/** It gets back what it had, and is waited for until nothing is missing. */
async function seeThrough(input: ReplacementInput, host: Host, purpose: string): Promise<void> {
  const { site, state, agents, emit } = input
  await underLock(
    input,
    purpose,
  )(async (held) => {
    await inherit({ host, state, operations: agentOperations({ site, agents, emit, signal: held }) })
    await awaitReplaced({ host, state, patience, clock: realClock, emit, signal: held, see: () => seeAs({ ...input, signal: held }, host) })
  })
}

const underLock =
  ({ site, agents, signal }: ReplacementInput, purpose: string) =>
  <T>(work: (held: AbortSignal) => Promise<T>): Promise<T> =>
    exclusively({ site, agents, purpose, signal, now: () => new Date() }, (_lock, held) => work(held))

/** Phases that ask for images. */
const ofImages: ReadonlySet<PhaseName> = new Set(['build-images', 'deploy-services', 'initialize-services'])

async function hasRegistry({ site, agents, signal }: ReplacementInput): Promise<boolean> {
  const repository = site.hosts.find(({ isRepository }) => isRepository)
  if (repository === undefined) return true
  agents.forget(repository.name)
  return 'client' in (await agents.reach(repository.name, signal))
}

const only = (hosts: readonly string[]): Limit => ({ hosts: new Set(hosts), services: undefined, volumes: undefined })

/** With the host the server that watches it, and a manager that gives it a part in the swarm. */
function baseOf({ hosts }: Site, host: Host): readonly string[] {
  const manager = managersOf(hosts).find((name) => name !== host.name)
  const repository = hosts.find(({ isRepository }) => isRepository)?.name
  return [...new Set([host.name, ...(manager === undefined ? [] : [manager]), ...(repository === undefined ? [] : [repository])])]
}

async function factsOf({ site, agents, state, provider, power, signal }: ReplacementInput, host: Host): Promise<ReplacementFacts> {
  agents.forget(host.name)
  const [picture, powers] = await Promise.all([lookAtSite({ site, agents, signal }), power(signal)])
  return { picture, host, power: powers.get(host.name) ?? 'unknown', makes: provider.discard !== undefined, begun: begunIn(state, host.name) }
}

const certificatesOf = (pki: StagePki, host: Host): readonly string[] =>
  pki.exists ? pki.everIssued().flatMap(({ name, role, serial }) => (name === host.name && role === 'hive:agent' ? [plainSerial(serial)] : [])) : []

function succeeded({ ok, errors, unreachable }: DeployResult, host: Host, command = `host replace ${host.shortName}`): void {
  const [error] = errors
  const again = `hivecoord ${command} goes on`
  if (!ok)
    throw new HiveError('command-failed', error?.message ?? 'the deploy failed', {
      host: error?.host ?? host.name,
      stepId: error?.stepId,
      hint: `${error?.hint === undefined ? '' : `${error.hint}; `}${again}`,
      log: error?.log ?? [],
    })
  if (unreachable.includes(host.name)) throw new HiveError('unreachable', `${host.name} does not answer`, { host: host.name, hint: again })
}

async function seeAs(input: ReplacementInput, host: Host) {
  const { site, agents, signal } = input
  const [picture, certificate] = await Promise.all([lookAtSite({ site, agents, signal }), ownTrust(agents, host.name, signal)])
  const begun = begunIn(input.state, host.name)
  const early = begun === undefined ? [] : notReplaced({ picture, certificate, open: [] }, host, begun)
  const phases = (await hasRegistry(input)) ? phaseNames : phaseNames.filter((phase) => !ofImages.has(phase))
  const reports = early.length > 0 ? [] : await input.plan({ phases, limit: only([host.name]) })
  const open = reports.flatMap(({ phase, steps, errors, unknown, unreachable }) => [
    ...steps.flatMap(({ title, outcome, host: at }) => (outcome.kind === 'ok' || at !== host.name ? [] : [`${title}: ${outcome.reason}`])),
    ...errors.map(({ message }) => `${phase}: ${message}`),
    ...unreachable.map((name) => `${name} does not answer`),
    ...(unknown === undefined ? [] : [`${phase}: ${unknown}`]),
  ])
  return { picture, certificate, open }
}
