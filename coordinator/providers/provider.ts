/** The shape of a provider: what makes a stage's hosts exist and reachable by ssh. One folder a provider. */
import type { Disruption } from '#gen/hive/v1/step.ts'
import type { Emit } from '../events.ts'
import type { Site } from '../inventory/site.ts'
import type { StageState } from '../run/stage-state.ts'

export interface ProviderAction {
  /** Unique in a plan; also the order hint: actions are applied by the provider itself, in parallel where it can. */
  readonly id: string
  readonly host: string // "" for what belongs to the whole stage
  readonly title: string
  readonly reason: string
  readonly before: string
  readonly after: string
  readonly disruption: Disruption
  /** It can't be carried out as things are; what to do instead. */
  readonly blocked?: { readonly hint: string }
  /** It is carried out only where the host is named with --allow. */
  readonly needsYes?: true
}

export type HostPower = 'running' | 'halted' | 'absent' | 'unknown'

/** How ssh reaches a host for the bootstrap and for `hivecoord ssh`. */
export interface SshTarget {
  readonly host: string
  readonly address: string
  readonly port: number
  readonly user: string
  /** The context folder's key, unless the provider has its own. */
  readonly identityFile: string
  /** First log-in only (prepared hosts with root_password). */
  readonly password: string | undefined
  /** The host is on this machine: nobody in between can keep what is said. */
  readonly sameMachine?: true
}

export interface ProviderContext {
  readonly site: Site
  /** What the stage remembers; plans get a view that keeps nothing. */
  readonly state: StageState
  readonly emit: Emit
  readonly signal: AbortSignal
}

export interface Provider {
  readonly name: string
  /** From outside only ssh reaches the hosts: connections to their agents go through it. */
  readonly agentsOverSsh?: true
  /** Read only: what build-infra would do. Empty: nothing. Throws HiveError 'unsupported' where this machine can't. */
  plan(context: ProviderContext): Promise<readonly ProviderAction[]>
  /** What needs this machine's own network (tools, base systems), and the network of the stage itself, before a command moves into it. */
  prepare?(context: ProviderContext): Promise<void>
  /**
   * Carries out `actions`, which `plan` answered. Idempotent; after it all hosts of the site run and answer ssh (or it throws, naming
   * each that does not).
   */
  apply(context: ProviderContext, actions: readonly ProviderAction[]): Promise<void>
  status(context: ProviderContext): Promise<ReadonlyMap<string, HostPower>>
  halt(context: ProviderContext): Promise<void>
  start(context: ProviderContext): Promise<void>
  /** Leaves nothing behind of this stage's hosts. Idempotent. */
  destroy(context: ProviderContext): Promise<void>
  /** Test and repair: a host's power cable and network cable. */
  power?(context: ProviderContext, host: string, action: 'off' | 'on'): Promise<void>
  cable?(context: ProviderContext, host: string, action: 'unplug' | 'plug'): Promise<void>
  /** The same: a host is gone with its disks, as after a fire. Nothing where it is gone already. */
  lose?(context: ProviderContext, host: string): Promise<void>
  /**
   * The host's machine goes with its own disk, so that `apply` makes another one under its name and address; a disk of its own for mirrored volumes may stay.
   * Nothing where it is gone already. Without it hosts are made by other means.
   */
  discard?(context: ProviderContext, host: string): Promise<void>
  sshTarget(site: Site, host: string): SshTarget
}
