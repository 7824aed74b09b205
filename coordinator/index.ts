/** The coordinator as a library: a stage, opened, and what can be done with it. It prints nothing; `emit` is told what happens. */
import type { PruneRegistryResponse } from '#gen/hive/v1/registry.ts'
import { HiveError } from '../proto/errors.ts'
import { findAgentPackages } from './bootstrap/agent-packages.ts'
import { applyInfra, type InfraPlan, planInfra, unanswered } from './bootstrap/build-infra.ts'
import { sshDialer } from './bootstrap/dial-by-ssh.ts'
import { forgetReplaced } from './bootstrap/replace-hosts.ts'
import { rollingOrder } from './bootstrap/roll-agents.ts'
import { type AgentStatus, listAgents, type UpgradeResult, upgradeAgents } from './bootstrap/upgrade-agents.ts'
import { type Dialer, directly } from './client/dialer.ts'
import { isUnreachable } from './client/errors.ts'
import { SiteAgents } from './client/site-agents.ts'
import { outsideStageNetwork } from './client/stage-network.ts'
import { consult } from './doctor/examine.ts'
import { consultWhole } from './doctor/examine-whole.ts'
import type { Finding } from './doctor/finding.ts'
import type { Drift } from './drift/drift.ts'
import { lookForDrift } from './drift/look-for-drift.ts'
import type { Drilled } from './drill/failover.ts'
import { type DrillOptions, drill, endDrill } from './drill/stage-drill.ts'
import { type Emit, type PhaseName, phaseNames } from './events.ts'
import type { SitePicture } from './guard/picture.ts'
import { drain, kernelUpdate, lookAt, reboot, remove, type UpdateOptions, undrain, update, type WorkOptions } from './hosts/host-work.ts'
import type { Rebooted } from './hosts/reboot.ts'
import type { ReplacementPlan } from './hosts/replace.ts'
import { add, planOf, type ReplacementInput, replace } from './hosts/replace-work.ts'
import { pendingOn, type Updated } from './hosts/update.ts'
import { bringBack, holdingAt, type ImageListing, listImages, pruneImages, rollbackTarget } from './images/operations.ts'
import type { Target } from './images/previous-build.ts'
import { loadSite } from './inventory/load.ts'
import type { Host, Site } from './inventory/site.ts'
import { buildImages } from './phases/build-images.ts'
import { buildNetworks } from './phases/build-networks.ts'
import { buildVolumes } from './phases/build-volumes.ts'
import { type HeldImage, heldImage } from './phases/deploy-services/images.ts'
import { deployServices } from './phases/deploy-services.ts'
import { initializeServices } from './phases/initialize-services.ts'
import type { Limit, Phase } from './phases/phase.ts'
import { setupHosts } from './phases/setup-hosts.ts'
import { StagePki } from './pki/stage-pki.ts'
import { providerFor } from './providers/index.ts'
import type { HostPower, Provider, ProviderContext } from './providers/provider.ts'
import { rebalanceStage } from './rebalance/by-agents.ts'
import type { Rebalanced } from './rebalance/rebalance.ts'
import { attachToActiveRuns } from './run/attach.ts'
import { deleteVolume, removable } from './run/delete-volume.ts'
import { type DeployResult, deployPhases, type Infrastructure, type PhaseReport, planPhases } from './run/deploy.ts'
import { exclusively, reachableClients } from './run/exclusive.ts'
import { newRunId } from './run/journal.ts'
import { openStageState, type StageState } from './run/stage-state.ts'
import { type StageStatus, stageStatus } from './run/status.ts'
import type { Diagnosis, Wanted } from './swarm/diagnose.ts'
import { diagnoseStage, recoverStage } from './swarm/swarm-work.ts'
import { type CertificateList, listCertificates } from './trust/list.ts'
import { type Rotated, rotateAuthority } from './trust/rotate-ca.ts'
import { orThrow, type Renewed, type Revoked, type RevokeOptions, renewCertificates, revokeCertificates, spreadTrust } from './trust/stage-trust.ts'
import { version } from './version.ts'
import { MaintenanceWindow } from './zabbix/maintenance.ts'
import { swarmHostName } from './zabbix/names.ts'

export type { AgentStatus, UpgradeResult } from './bootstrap/upgrade-agents.ts'
export { carryOut } from './doctor/carry-out.ts'
export { type Finding, type Repair, rankOf, type StateName, states } from './doctor/finding.ts'
export { operationsOf } from './doctor/operations.ts'
export type { ImageRow } from './images/image-table.ts'
export type { ImageListing } from './images/operations.ts'
export type { DeployResult, PhaseReport } from './run/deploy.ts'
export type { HostStatus, StageStatus } from './run/status.ts'
export type { Diagnosis } from './swarm/diagnose.ts'
export type { CertificateList } from './trust/list.ts'

export interface OpenOptions {
  readonly root: string
  /** Else the one set, else private. */
  readonly stage?: string | undefined
  readonly inventoryPath?: string | undefined
  readonly contextDir?: string | undefined
  /** Allocations and generated passwords are kept. */
  readonly writes: boolean
  /** The command sets the registry up as it is read: one that has no password of its own gets it. */
  readonly setsUpRegistry?: boolean | undefined
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
  /** Full names of hosts that were made anew by other means; build-infra must be among the phases. */
  readonly replaced?: ReadonlySet<string> | undefined
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

export interface RotateOptions {
  /** Full names of hosts that are not waited for. */
  readonly leaveOut: ReadonlySet<string>
  /** Bearers whose certificates may stop working. */
  readonly leaveBehind: ReadonlySet<string>
  /** Also where it was done less than a day ago. */
  readonly again: boolean
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
  const { root, stage, inventoryPath, contextDir, writes, setsUpRegistry } = options
  const site = await loadSite({ root, stage, inventoryPath, contextDir, createPasswords: writes, persist: writes, setsUpRegistry })
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
    if ((options.replaced?.size ?? 0) > 0 && options.phases?.includes('build-infra') === false)
      return Promise.reject(
        new HiveError('invalid-input', 'a replaced host gets its agent in build-infra, which is not among the phases', {
          hint: 'deploy, or build-infra, with --replace',
        }),
      )
    return deployPhases({
      ...this.#common(options),
      command: options.command ?? 'deploy',
      allow: options.allow ?? new Set(),
      replaced: options.replaced ?? new Set(),
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

  /** The stage's images: who has them and who uses them. */
  listImages(signal = this.#options.signal): Promise<ImageListing> {
    const { site, agents, state } = this
    return listImages({ site, agents, state, signal })
  }

  /** Takes old builds away from the registry. `keep` 0: as many stay as the inventory says. Rejects as `deploy` does. */
  pruneImages({ keep, dryRun }: { readonly keep: number; readonly dryRun: boolean }, signal = this.#options.signal): Promise<PruneRegistryResponse> {
    const { site, agents, state } = this
    return pruneImages({ site, agents, state, signal, keep, dryRun })
  }

  /** Takes a service back to an earlier image, where it stays until `forward`. Rejects with HiveError 'not-found' where there is none, and as `deploy` does. */
  async rollBack(service: string, to: string | undefined, signal = this.#options.signal): Promise<{ readonly target: Target; readonly result: DeployResult }> {
    const { site, agents, state } = this
    const target = await rollbackTarget({ site, agents, state, signal }, service, to)
    const image = { reference: target.reference, digest: target.digest, since: new Date().toISOString() }
    return { target, result: await this.#deployHeld(service, image, `images rollback ${service}`, signal) }
  }

  /** Lets a service follow the inventory again. Rejects with HiveError 'not-found' where it does already, and as `deploy` does. */
  async forward(service: string, signal = this.#options.signal): Promise<DeployResult> {
    if (heldImage(service, this.state) === undefined)
      throw new HiveError('not-found', `${service} is not held at an image: it follows the inventory`, {
        hint: '`hivecoord deploy` runs what the inventory says',
      })
    return await this.#deployHeld(service, undefined, `images forward ${service}`, signal)
  }

  #deployHeld(service: string, image: HeldImage | undefined, command: string, signal: AbortSignal): Promise<DeployResult> {
    const limit = { ...everything, services: new Set([service]) }
    return deployPhases({ ...this.#common({ limit, signal }), phases: [holdingAt(service, image), initializeServices as Phase], command, allow: new Set() })
  }

  /** The registry gets back what it lost and hosts have. Rejects as `deploy` does. */
  restoreImages(signal = this.#options.signal): Promise<DeployResult> {
    return deployPhases({ ...this.#common({ signal }), phases: [bringBack], command: 'images restore', allow: new Set() })
  }

  /** `alerts`: also what Zabbix has open. */
  status(signal = this.#options.signal, { alerts = false } = {}): Promise<StageStatus> {
    return stageStatus({ site: this.site, state: this.state, agents: this.agents, provider: this.provider, alerts, signal })
  }

  /** What is wrong with the stage, or with this mirrored volume, the gravest first; asks all hosts, changes nothing. */
  consult(volume?: string, signal = this.#options.signal): Promise<readonly Finding[]> {
    const { site, agents, state, provider, pki } = this
    if (volume !== undefined) return consult({ site, agents, volume, signal })
    return consultWhole({ site, agents, state, provider, pki, signal })
  }

  /** What differs from the inventory on the hosts, and what it does not know; kept in the context folder. Changes nothing else. Rejects as `plan` does. */
  lookForDrift(signal = this.#options.signal): Promise<Drift> {
    const { site, agents, pki } = this
    return lookForDrift({ site, agents, pki, signal, plan: () => this.plan({ signal }), now: () => new Date() })
  }

  /** What the guard (guard/weigh-loss.ts) decides from. Never rejects but for `signal`. */
  lookAtHosts(signal = this.#options.signal): Promise<SitePicture> {
    return lookAt(this.#hostWork(signal))
  }

  /** Moves a host's tasks away. Rejects with HiveError 'blocked' where that is not safe, 'locked', and 'not-converged'. */
  drainHost(host: string, options: WorkOptions, signal = this.#options.signal): Promise<void> {
    return drain(this.#hostWork(signal), host, options)
  }

  /** Lets a host take tasks. Rejects with HiveError 'locked'. */
  undrainHost(host: string, signal = this.#options.signal): Promise<void> {
    return undrain(this.#hostWork(signal), host)
  }

  /** Takes a host out of the swarm for good; false: it was no member. Rejects as `drainHost` does. */
  removeHost(host: string, options: WorkOptions, signal = this.#options.signal): Promise<boolean> {
    return remove(this.#hostWork(signal), host, options)
  }

  /** Restarts hosts one at a time, see hosts/reboot.ts. Rejects with HiveError 'locked', and with the error at which it stopped. */
  rebootHosts(hosts: Site['hosts'], options: WorkOptions, signal = this.#options.signal): Promise<Rebooted> {
    return reboot(this.#hostWork(signal), hosts, options)
  }

  /** Brings packages of hosts up to date, see hosts/update.ts. Rejects with HiveError 'locked', and with the error at which it stopped. */
  updateHosts(hosts: Site['hosts'], options: UpdateOptions, signal = this.#options.signal): Promise<Updated> {
    return update(this.#hostWork(signal), hosts, options)
  }

  /** Spreads crowded services again, see rebalance/decide.ts; `named`: only these. Rejects with HiveError 'locked', and with the error at which it stopped. */
  rebalance(named: ReadonlySet<string>, signal = this.#options.signal): Promise<Rebalanced> {
    return rebalanceStage(this.#hostWork(signal), named)
  }

  /** Takes the host under a service away, measures, and lets it come back, see drill/failover.ts. Rejects as `drillFailover` does, and with 'locked'. */
  drillFailover(options: DrillOptions, signal = this.#options.signal): Promise<Drilled> {
    return drill({ ...this.#hostWork(signal), power: this.powerSwitch }, options)
  }

  /** Puts back what a drill that was killed took away; answers the hosts. */
  undoDrill(signal = this.#options.signal): Promise<readonly string[]> {
    return endDrill({ ...this.#hostWork(signal), power: this.powerSwitch })
  }

  /** undefined: the stage's provider switches no host's power. */
  get powerSwitch(): ((host: string, action: 'off' | 'on', signal: AbortSignal) => Promise<void>) | undefined {
    const { provider, site, state } = this
    const power = provider.power?.bind(provider)
    return power === undefined ? undefined : (host, action, signal) => power({ site, state, emit: this.#options.emit, signal }, host, action)
  }

  /** Packages that are older than what the hosts know of their sources, by host. Rejects where a host does not answer. */
  pendingUpdates(hosts: Site['hosts'], options: Pick<UpdateOptions, 'kernel'>, signal = this.#options.signal): Promise<ReadonlyMap<string, string>> {
    return pendingOn({ hosts, agents: this.agents, kernel: kernelUpdate(this.site, options), signal })
  }

  /** In which order `rebootHosts` would take them now. */
  async rebootOrder(hosts: Site['hosts'], signal = this.#options.signal): Promise<readonly string[]> {
    const { nodes } = await this.lookAtHosts(signal)
    return rollingOrder(hosts, nodes).map(({ name }) => name)
  }

  /** What all hosts say of a swarm that may have lost its majority, and what `recoverSwarm` would do. Changes nothing. Never rejects but for `signal`. */
  diagnoseSwarm(wanted: Wanted, signal = this.#options.signal): Promise<Diagnosis> {
    return diagnoseStage(this.#recovery(signal), wanted)
  }

  /** Makes a swarm whole that has lost its majority for good. Rejects as `recoverSwarm` does, and with 'locked' when another coordinator is at work. */
  recoverSwarm(wanted: Wanted & { readonly from: string }, signal = this.#options.signal): Promise<readonly string[]> {
    return recoverStage(this.#recovery(signal), wanted)
  }

  #recovery(signal: AbortSignal) {
    const { site, state, agents } = this
    const emit = this.#options.emit
    return { site, state, agents, emit, signal, power: (asked: AbortSignal) => this.#power(asked) }
  }

  /** A provider that can't be asked says nothing. */
  async #power(signal: AbortSignal): Promise<ReadonlyMap<string, HostPower>> {
    const { site, state } = this
    try {
      return await this.provider.status({ site, state, emit: () => undefined, signal })
    } catch (error) {
      if (error instanceof HiveError && !signal.aborted) return new Map()
      throw error
    }
  }

  /** What `replaceHost` would do, and what speaks against it. Changes nothing. */
  planReplacement(host: Host, allowed: ReadonlySet<string>, signal = this.#options.signal): Promise<ReplacementPlan> {
    return planOf(this.#replacement(signal), host, allowed)
  }

  /** Another machine takes the host's place, see hosts/replace.ts. Rejects with 'blocked', 'locked', and with the error at which it stopped; again goes on. */
  replaceHost(host: Host, options: WorkOptions & { readonly given: ReadonlySet<string> }, signal = this.#options.signal): Promise<void> {
    return replace(this.#replacement(signal), host, options)
  }

  /** A host of the inventory becomes part of the site: a deploy that ends when the host is whole. Rejects as `replaceHost` does. */
  addHost(host: Host, signal = this.#options.signal): Promise<void> {
    return add(this.#replacement(signal), host)
  }

  #replacement(signal: AbortSignal): ReplacementInput {
    const { site, state, agents, pki, provider } = this
    return {
      site,
      state,
      agents,
      pki,
      provider,
      emit: this.#options.emit,
      signal,
      power: (asked) => this.#power(asked),
      deploy: (options) => this.deploy({ ...options, signal }),
      restoreImages: () => this.restoreImages(signal),
      plan: (options) => planPhases({ ...this.#common({ ...options, signal }), emit: () => undefined }),
    }
  }

  #hostWork(signal: AbortSignal) {
    return { site: this.site, agents: this.agents, emit: this.#options.emit, signal }
  }

  /** Stops all hosts; nothing is lost. */
  halt(signal = this.#options.signal): Promise<void> {
    const { site, agents } = this
    return this.#withHosts(
      'halt',
      signal,
      (context) => this.provider.halt(context),
      async (held) => {
        // Its server goes with them; where it is another site's, or is back first, the lease still holds.
        const window = new MaintenanceWindow({ site, agents, id: newRunId(new Date()), title: 'halt', emit: this.#options.emit })
        await window.cover([...site.hosts.map(({ name }) => name), swarmHostName(site)], held)
      },
    )
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

  /** The stage's certificates, and what its hosts say of theirs. */
  listCertificates(signal = this.#options.signal): Promise<CertificateList> {
    return listCertificates(this.site.hosts, this.agents, this.pki, signal)
  }

  /** Recorded, and told to all hosts; those that did not answer are named, and hear of it with the next deploy. Rejects as `revokeCertificates` does. */
  revokeCertificates(options: RevokeOptions, signal = this.#options.signal): Promise<Revoked> {
    return revokeCertificates({ ...this.#trust(), signal }, options)
  }

  /** New certificates for these hosts' agents; undefined: for those for which it is time. Rejects as `renewCertificates` does. */
  renewCertificates(hosts: Site['hosts'] | undefined, signal = this.#options.signal): Promise<Renewed> {
    return renewCertificates({ ...this.#trust(), signal }, hosts)
  }

  /** Exchanges the CA, or goes on with it. Rejects as `rotateAuthority` does, and with 'locked' when another coordinator is at work. */
  rotateCa(options: RotateOptions, signal = this.#options.signal): Promise<Rotated> {
    const { site, pki, agents } = this
    const { leaveOut } = options
    const purpose = 'cert rotate --ca'
    return rotateAuthority({
      ...options,
      hosts: site.hosts,
      pki,
      agents,
      connect: (host, credentials) => agents.as(host, credentials),
      alone: (work) => exclusively({ site, agents, purpose, signal, now: () => new Date() }, (_lock, held) => work(held)),
      spread: async () => orThrow(await deployPhases({ ...this.#common({ signal }), phases: [spreadTrust], command: purpose, allow: new Set() }), leaveOut),
      emit: this.#options.emit,
      now: () => new Date(),
    })
  }

  #trust() {
    const { site, pki, agents } = this
    return { site, pki, agents, emit: this.#options.emit }
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
      absent: async (signal) => new Set([...(await this.#power(signal))].filter(([, now]) => now === 'absent').map(([host]) => host)),
      plan,
      replaced: (hosts, emit, signal) => forgetReplaced({ site, provider: this.provider, pki, agents, emit, signal }, hosts),
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
  #withHosts(
    purpose: string,
    signal: AbortSignal,
    work: (context: ProviderContext) => Promise<void>,
    before: (signal: AbortSignal) => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    const { site, state, agents } = this
    return exclusively({ site, agents, purpose, signal, now: () => new Date() }, async (lock, held) => {
      await before(held)
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
