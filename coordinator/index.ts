/** The coordinator as a library: a stage, opened, and what can be done with it. It prints nothing; `emit` is told what happens. */
import { HiveError } from '../proto/errors.ts'
import { findAgentPackages } from './bootstrap/agent-packages.ts'
import { applyInfra, type InfraPlan, planInfra, unanswered } from './bootstrap/build-infra.ts'
import { sshDialer } from './bootstrap/dial-by-ssh.ts'
import { type AgentStatus, listAgents, type UpgradeResult, upgradeAgents } from './bootstrap/upgrade-agents.ts'
import { type Dialer, directly } from './client/dialer.ts'
import { isUnreachable } from './client/errors.ts'
import { SiteAgents } from './client/site-agents.ts'
import { outsideStageNetwork } from './client/stage-network.ts'
import { consult } from './doctor/examine.ts'
import type { Finding } from './doctor/finding.ts'
import { type Emit, type PhaseName, phaseNames } from './events.ts'
import { loadSite } from './inventory/load.ts'
import type { Site } from './inventory/site.ts'
import { buildImages } from './phases/build-images.ts'
import { buildNetworks } from './phases/build-networks.ts'
import { buildVolumes } from './phases/build-volumes.ts'
import { deployServices } from './phases/deploy-services.ts'
import { initializeServices } from './phases/initialize-services.ts'
import type { Limit, Phase } from './phases/phase.ts'
import { setupHosts } from './phases/setup-hosts.ts'
import { StagePki } from './pki/stage-pki.ts'
import { providerFor } from './providers/index.ts'
import type { Provider, ProviderContext } from './providers/provider.ts'
import { attachToActiveRuns } from './run/attach.ts'
import { deleteVolume, removable } from './run/delete-volume.ts'
import { type DeployResult, deployPhases, type Infrastructure, type PhaseReport, planPhases } from './run/deploy.ts'
import { exclusively, reachableClients } from './run/exclusive.ts'
import { openStageState, type StageState } from './run/stage-state.ts'
import { type StageStatus, stageStatus } from './run/status.ts'
import { version } from './version.ts'

export type { AgentStatus, UpgradeResult } from './bootstrap/upgrade-agents.ts'
export { carryOut } from './doctor/carry-out.ts'
export { type Finding, type Repair, type StateName, states } from './doctor/finding.ts'
export { operationsOf } from './doctor/operations.ts'
export type { DeployResult, PhaseReport } from './run/deploy.ts'
export type { HostStatus, StageStatus } from './run/status.ts'

export interface OpenOptions {
  readonly root: string
  /** Else the one set, else private. */
  readonly stage?: string | undefined
  readonly inventoryPath?: string | undefined
  readonly contextDir?: string | undefined
  /** Allocations and generated passwords are kept. */
  readonly writes: boolean
  readonly emit: Emit
  readonly signal: AbortSignal
}

export interface PlanOptions {
  /** In whatever order; they are carried out in theirs. Default: all. */
  readonly phases?: readonly PhaseName[] | undefined
  readonly limit?: Limit | undefined
  /** Ask registries anew what moving tags mean. */
  readonly refreshImages?: boolean | undefined
  readonly reapplyRoles?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

export interface DeployOptions extends PlanOptions {
  /** For people, locks and journals. Default "deploy". */
  readonly command?: string | undefined
  /** Names of hosts, volumes … that may be destroyed. */
  readonly allow?: ReadonlySet<string> | undefined
  /** false: services are created and changed, and nobody waits until their tasks run. Default true. */
  readonly awaitTasks?: boolean | undefined
}

export interface UpgradeOptions {
  /** Default: all. */
  readonly hosts?: Site['hosts'] | undefined
  /** Also agents that are newer. Default false. */
  readonly allowDowngrade?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

const everything: Limit = { hosts: undefined, services: undefined, volumes: undefined }

const agentPhases: Readonly<Record<Exclude<PhaseName, 'build-infra'>, Phase>> = {
  'setup-hosts': setupHosts as Phase,
  'build-images': buildImages as Phase,
  'build-networks': buildNetworks as Phase,
  'build-volumes': buildVolumes as Phase,
  'deploy-services': deployServices as Phase,
  'initialize-services': initializeServices as Phase,
}

/** Loads the inventory and what belongs to the stage; asks nobody. Throws InventoryError, HiveError. */
export async function openStage(options: OpenOptions): Promise<Stage> {
  const { root, stage, inventoryPath, contextDir, writes } = options
  const site = await loadSite({ root, stage, inventoryPath, contextDir, createPasswords: writes, persist: writes })
  return new Stage(site, options)
}

export class Stage {
  readonly site: Site
  readonly pki: StagePki
  readonly agents: SiteAgents
  readonly state: StageState
  readonly #options: OpenOptions
  #provider: Provider | undefined
  #dialer: Dialer | undefined

  constructor(site: Site, options: OpenOptions) {
    const { contextDir, effectiveProvider } = site
    this.site = site
    this.#options = options
    this.state = openStageState(contextDir)
    this.pki = new StagePki({ contextDir, siteName: site.name, givenCa: givenCa(site) })
    this.agents = new SiteAgents({
      hosts: site.hosts,
      credentials: () => this.pki.adminCredentials(),
      enrolled: (host) => this.pki.exists && this.pki.enrolled(host),
      dialer: () => this.#dial(),
      version,
      apart: ({ message, hint }) => options.emit({ code: 'warning', message: `${message}; ${hint}` }),
      whyNotDial: () => outsideStageNetwork(contextDir, effectiveProvider),
    })
  }

  /** Throws HiveError 'unsupported' for a provider that is not there. */
  get provider(): Provider {
    this.#provider ??= providerFor(this.site)
    return this.#provider
  }

  /**
   * Makes what hosts need before they are made, and the stage's network, so that a command can move into it. Idempotent; nothing
   * for providers that need nothing.
   */
  async prepare(signal = this.#options.signal): Promise<void> {
    await this.provider.prepare?.({ site: this.site, state: this.state, emit: this.#options.emit, signal })
  }

  /** What a deploy would change. Changes nothing, and needs neither hosts nor accounts to exist. */
  plan(options: PlanOptions = {}): Promise<readonly PhaseReport[]> {
    return planPhases(this.#common(options))
  }

  /** Rejects with HiveError 'locked' when another coordinator is at work; what fails later is in the result. */
  deploy(options: DeployOptions = {}): Promise<DeployResult> {
    return deployPhases({
      ...this.#common(options),
      command: options.command ?? 'deploy',
      allow: options.allow ?? new Set(),
      awaitTasks: options.awaitTasks ?? true,
    })
  }

  /** Throws the HiveError for which a mirrored volume would not be deleted, as far as the inventory tells. */
  checkDeletable(name: string): void {
    removable(this.site, name)
  }

  /** Removes a mirrored volume that the inventory has no more, with its data. Rejects as `checkDeletable` throws, and as `deploy` does. */
  deleteVolume(name: string, signal = this.#options.signal): Promise<DeployResult> {
    return deleteVolume(this.#common({ signal }), name)
  }

  status(signal = this.#options.signal): Promise<StageStatus> {
    return stageStatus({ site: this.site, state: this.state, agents: this.agents, provider: this.provider, signal })
  }

  /** What is wrong with the stage's mirrored volumes, or with this one, the gravest first; asks all hosts, changes nothing. */
  consult(volume?: string, signal = this.#options.signal): Promise<readonly Finding[]> {
    const { site, agents } = this
    return consult({ site, agents, volume, signal })
  }

  /** Stops all hosts; nothing is lost. */
  halt(signal = this.#options.signal): Promise<void> {
    return this.#withHosts('halt', signal, (context) => this.provider.halt(context))
  }

  start(signal = this.#options.signal): Promise<void> {
    return this.#withHosts('start', signal, (context) => this.provider.start(context))
  }

  /** Removes all hosts of the stage with what is on them. Idempotent. CA, keys and allocations stay. */
  destroy(signal = this.#options.signal): Promise<void> {
    return this.#withHosts('destroy', signal, async (context) => {
      await this.provider.destroy(context)
      for (const { name } of this.site.hosts) this.pki.forgetHost(name)
    })
  }

  /** Follows what agents still do to its end; answers how many runs there were. */
  async watchActive(signal = this.#options.signal): Promise<number> {
    return attachToActiveRuns(await reachableClients(this.site, this.agents, signal), this.#options.emit, signal)
  }

  /** Asks agents to stop what they still do; answers how many runs that were. */
  async cancelActive(signal = this.#options.signal): Promise<number> {
    const clients = await reachableClients(this.site, this.agents, signal)
    const counts = await Promise.all(
      clients.map(async ({ step }) => {
        const { runs } = await step.listRuns({ activeOnly: true, limit: 0 }, { signal })
        const answers = await Promise.all(runs.map(({ runId }) => step.cancelRun({ runId }, { signal })))
        return answers.filter(({ wasActive }) => wasActive).length
      }),
    ).catch((error: unknown) => {
      if (isUnreachable(error)) return []
      throw error
    })
    return counts.reduce((sum, count) => sum + count, 0)
  }

  /** Which agent each host runs. Never rejects but for `signal`. */
  listAgents(signal = this.#options.signal): Promise<readonly AgentStatus[]> {
    return listAgents(this.site, this.agents, version, signal)
  }

  /**
   * Agents that are older, or another build, become this coordinator's, one host at a time. Rejects with HiveError 'locked' when another
   * coordinator is at work, and with the error at which it stopped; doing it again goes on.
   */
  async upgradeAgents(options: UpgradeOptions = {}): Promise<UpgradeResult> {
    const { site, provider, pki, agents } = this
    const { hosts = site.hosts, allowDowngrade = false, signal = this.#options.signal } = options
    return upgradeAgents({ site, provider, pki, agents, packages: await findAgentPackages(), hosts, allowDowngrade, emit: this.#options.emit, signal })
  }

  close(): void {
    this.agents.close()
  }

  #common({ phases = phaseNames, limit = everything, refreshImages = false, reapplyRoles = false, signal }: PlanOptions) {
    const { site, agents, state } = this
    return {
      site,
      agents,
      state,
      limit,
      refreshImages,
      reapplyRoles,
      infrastructure: this.#infrastructure(),
      phases: phaseNames.filter((name) => phases.includes(name)).map((name) => (name === 'build-infra' ? name : agentPhases[name])),
      emit: this.#options.emit,
      signal: signal ?? this.#options.signal,
      now: () => new Date(),
    }
  }

  #infrastructure(): Infrastructure {
    const { site, state, pki, agents } = this
    let last: InfraPlan | undefined
    const plan = async (signal: AbortSignal): Promise<InfraPlan> => {
      last = await planInfra({ site, state, provider: this.provider, pki, agents, emit: this.#options.emit, signal })
      return last
    }
    return {
      absent: async (signal) => {
        try {
          const power = await this.provider.status({ site, state, emit: () => undefined, signal })
          return new Set([...power].filter(([, now]) => now === 'absent').map(([host]) => host))
        } catch (error) {
          // A provider that cannot be asked says nothing against a host.
          if (error instanceof HiveError) return new Set<string>()
          throw error
        }
      },
      plan,
      unanswered: (allow) => unanswered(last?.actions ?? [], allow),
      apply: async (emit, signal) => {
        const { actions } = last ?? (await plan(signal))
        last = undefined
        return applyInfra({ site, state, provider: this.provider, pki, agents, emit, signal }, actions)
      },
    }
  }

  #dial(): Dialer {
    const { site, provider } = this
    this.#dialer ??=
      provider.agentsOverSsh === true
        ? sshDialer({ contextDir: site.contextDir, target: (host) => provider.sshTarget(site, host), others: (host) => logInOf(site, host) })
        : directly
    return this.#dialer
  }

  /** The site lock makes sure that nobody deploys; it is given back before the hosts that hold it go. */
  #withHosts(purpose: string, signal: AbortSignal, work: (context: ProviderContext) => Promise<void>): Promise<void> {
    const { site, state, agents } = this
    return exclusively({ site, agents, purpose, signal, now: () => new Date() }, async (lock, held) => {
      await lock.release()
      await work({ site, state, emit: this.#options.emit, signal: held })
      for (const { name } of site.hosts) agents.forget(name)
    })
  }
}

/** How setup-hosts leaves the log-in. */
function logInOf({ hosts }: Site, name: string): { readonly user: string; readonly port: number } {
  const host = hosts.find((candidate) => candidate.name === name)
  if (host === undefined) throw new HiveError('not-found', `the site has no host ${name}`)
  return { user: host.settings.admin, port: host.settings.sshdPort }
}

/** hive_ca_cert and hive_ca_key, as any host of the stage sees them. */
function givenCa(site: Site) {
  const text = (variable: string): string | undefined => {
    const value = site.hosts[0] === undefined ? undefined : site.variable(site.hosts[0].name, variable)
    return typeof value === 'string' && value.trim() !== '' ? value : undefined
  }
  return { certificatePem: text('hive_ca_cert'), keyPem: text('hive_ca_key') }
}
