/** Work that only one coordinator does at a time: the stage's lock on this machine and the lease of its agents. */
import type { SiteAgents } from '../client/site-agents.ts'
import type { Site } from '../inventory/site.ts'
import { acquireLocalLock } from './local-lock.ts'
import { newOwner } from './process-identity.ts'
import { SiteLock } from './site-lock.ts'

export interface ExclusiveInput {
  readonly site: Pick<Site, 'contextDir' | 'hosts'>
  readonly agents: SiteAgents
  /** For whoever is refused meanwhile: "deploy". */
  readonly purpose: string
  readonly signal: AbortSignal
  readonly now: () => Date
}

/**
 * Rejects with HiveError 'locked' when somebody else is at work. The signal that `work` gets is aborted with the caller's, and when
 * the lease is lost. Both locks are given back however it ends.
 */
export async function exclusively<T>(input: ExclusiveInput, work: (lock: SiteLock, signal: AbortSignal) => Promise<T>): Promise<T> {
  const { site, agents, purpose, now } = input
  const owner = newOwner()
  const local = acquireLocalLock(site.contextDir, owner, purpose, now())
  const lock = new SiteLock({ owner, purpose })
  const signal = AbortSignal.any([input.signal, lock.lost])
  try {
    await lock.acquire(await reachableClients(site, agents, signal), signal)
    return await work(lock, signal)
  } finally {
    await lock.release()
    local.release()
  }
}

/** Clients of the hosts that have an agent and answer. */
export async function reachableClients(site: Pick<Site, 'hosts'>, agents: SiteAgents, signal: AbortSignal) {
  const enrolled = site.hosts.map(({ name }) => name).filter((name) => agents.enrolled(name))
  const reached = await agents.reachAll(enrolled, signal)
  return [...reached.values()].flatMap((answer) => ('client' in answer ? [answer.client] : []))
}
