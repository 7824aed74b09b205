/** Planned work on hosts of a stage: under its lock, told to Zabbix, on the agents. */
import type { SiteAgents } from '../client/site-agents.ts'
import type { Emit } from '../events.ts'
import { lookAtSite } from '../guard/look.ts'
import type { SitePicture } from '../guard/picture.ts'
import { mirrorsHere } from '../inventory/mirrored-volumes.ts'
import type { Host, Site } from '../inventory/site.ts'
import { exclusively } from '../run/exclusive.ts'
import { newRunId } from '../run/journal.ts'
import { MaintenanceWindow } from '../zabbix/maintenance.ts'
import { swarmHostName } from '../zabbix/names.ts'
import { realClock } from './await-progress.ts'
import { drainHost, undrainHost } from './drain.ts'
import { leaveSwarm } from './leave-swarm.ts'
import { agentOperations } from './operations.ts'
import { type Rebooted, rebootOneByOne } from './reboot.ts'
import { type KernelUpdate, type Updated, updateOneByOne } from './update.ts'

export interface HostWorkInput {
  readonly site: Site
  readonly agents: SiteAgents
  readonly emit: Emit
  readonly signal: AbortSignal
}

export interface WorkOptions {
  /** Services that may be interrupted. */
  readonly allowed: ReadonlySet<string>
  /** Full names of hosts that are taken out whatever the guard says. */
  readonly forced: ReadonlySet<string>
  /** A no is waited out as long as something moves. */
  readonly wait: boolean
}

export interface UpdateOptions extends WorkOptions {
  readonly restart: 'needed' | 'never'
  /** Kernels and DRBD's module, too. */
  readonly kernel: boolean
}

/** Milliseconds without progress: a server's start with memory tests, a database that ends slowly. */
const patience = 900_000

/** What the guard decides from. Never rejects but for the signal. */
export const lookAt = ({ site, agents, signal }: HostWorkInput): Promise<SitePicture> => lookAtSite({ site, agents, signal })

/** Rejects with HiveError 'locked' when another coordinator is at work, and as `drainHost`. */
export const drain = (input: HostWorkInput, host: string, options: WorkOptions): Promise<void> =>
  planned(input, 'host drain', [host], (common) => drainHost({ ...common, ...options }, host))

/** Answers false where it was no member. Rejects with HiveError 'locked' when another coordinator is at work, and as `leaveSwarm`. */
export const remove = (input: HostWorkInput, host: string, options: WorkOptions): Promise<boolean> =>
  planned(input, 'host remove', [host], (common) => leaveSwarm({ ...common, ...options }, host))

/** Rejects with HiveError 'locked' when another coordinator is at work, and where no manager does it. */
export const undrain = (input: HostWorkInput, host: string): Promise<void> =>
  exclusively({ ...input, purpose: 'host undrain', now: () => new Date() }, (_lock, signal) => undrainHost(agentOperations({ ...input, signal }), host))

/** Rejects with HiveError 'locked' when another coordinator is at work, and as `rebootOneByOne`. */
export const reboot = (input: HostWorkInput, hosts: readonly Host[], options: WorkOptions): Promise<Rebooted> =>
  planned(
    input,
    'host reboot',
    hosts.map(({ name }) => name),
    (common, run) => rebootOneByOne({ ...common, ...options, hosts, run, reason: 'hivecoord host reboot' }),
  )

/** Rejects with HiveError 'locked' when another coordinator is at work, and as `updateOneByOne`. */
export const update = (input: HostWorkInput, hosts: readonly Host[], options: UpdateOptions): Promise<Updated> =>
  planned(
    input,
    'host update',
    hosts.map(({ name }) => name),
    (common, run) =>
      updateOneByOne({ ...common, ...options, kernel: kernelUpdate(input.site, options), hosts, run, agents: input.agents, reason: 'hivecoord host update' }),
  )

/** undefined: kernels stay as they are. */
export const kernelUpdate = (site: Site, { kernel }: Pick<UpdateOptions, 'kernel'>): KernelUpdate | undefined =>
  kernel ? { mirroring: new Set(mirrorsHere(site) ? site.hosts.filter(({ isHive }) => isHive).map(({ name }) => name) : []) } : undefined

export type Common = Omit<Parameters<typeof drainHost>[0], keyof WorkOptions>

/** The window ends after the work, whatever came of it. Rejects with HiveError 'locked' when another coordinator is at work. */
export function planned<T>(input: HostWorkInput, purpose: string, hosts: readonly string[], work: (common: Common, run: string) => Promise<T>): Promise<T> {
  return exclusively({ ...input, purpose, now: () => new Date() }, async (_lock, signal) => {
    const run = newRunId(new Date())
    const window = new MaintenanceWindow({ ...input, id: run, title: purpose })
    const operationsWith = (other: AbortSignal) => agentOperations({ ...input, signal: other })
    try {
      // Of services, Zabbix knows by the swarm as a whole.
      await window.cover([...hosts, swarmHostName(input.site)], signal)
      return await work({ operations: operationsWith(signal), operationsWith, patience, clock: realClock, emit: input.emit, signal }, run)
    } finally {
      await window.close()
    }
  })
}
