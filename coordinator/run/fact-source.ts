/** What phases may ask of the site's agents before they make their steps. Each question is asked once a command. */
import { HiveError } from '../../proto/errors.ts'
import type { AgentClient } from '../client/agent-client.ts'
import type { SiteAgents } from '../client/site-agents.ts'
import type { Site } from '../inventory/site.ts'
import { authFor } from '../phases/deploy-services/images.ts'
import type { FactSource, HostImages, Limit, RunningTask } from '../phases/phase.ts'
import { managersOf } from '../phases/swarm-role.ts'
import type { StageState } from './stage-state.ts'

export interface FactSourceOptions {
  readonly site: Site
  readonly limit: Limit
  readonly state: StageState
  readonly refreshImages: boolean
  readonly agents: Pick<SiteAgents, 'reach' | 'askAll'>
  readonly signal: AbortSignal
  /** Hosts that do not exist yet. Where those that could tell are all among them, nothing is there: no digest, no task. */
  readonly absent: ReadonlySet<string>
}

/** Milliseconds: registries far away are slow. */
const resolveDeadline = 60_000

export function createFactSource({ site, limit, state, refreshImages, agents, signal, absent }: FactSourceOptions): FactSource {
  const resolving = new Map<string, Promise<string>>()
  let registry: Promise<ReadonlyMap<string, string> | undefined> | undefined
  let hostImages: Promise<readonly HostImages[]> | undefined
  let tasks: Promise<ReadonlyMap<string, RunningTask>> | undefined

  /** The first of these hosts that answers; undefined where none exists yet. */
  const ask = async (hosts: readonly string[], what: string): Promise<AgentClient | undefined> => {
    let failure: HiveError | undefined
    const existing = hosts.filter((host) => !absent.has(host))
    if (existing.length === 0) return undefined
    for (const host of existing) {
      const reached = await agents.reach(host, signal)
      if ('client' in reached) return reached.client
      failure ??= reached.error
    }
    throw new HiveError('unreachable', `no host answers that could tell ${what}`, { host: existing[0], cause: failure })
  }
  const inOrder = (first: (host: Site['hosts'][number]) => boolean): readonly string[] =>
    [...site.hosts.filter(first), ...site.hosts.filter((host) => !first(host))].map(({ name }) => name)

  const resolve = async (reference: string): Promise<string> => {
    const client = await ask(
      inOrder(({ isRepository }) => isRepository),
      `what ${reference} is`,
    )
    if (client === undefined) return ''
    const { digest } = await client.image.resolve({ reference, auth: authFor(reference, site) }, { deadline: resolveDeadline, signal })
    return digest
  }

  const listTasks = async (): Promise<ReadonlyMap<string, RunningTask>> => {
    const found = new Map<string, RunningTask>()
    const client = await ask(managersOf(site.hosts), 'where services run')
    if (client === undefined) return found
    const answer = await client.service.tasks({ service: '', runningOnly: true }, { signal }).catch((error: unknown) => {
      // A docker that is in no swarm yet, or not there yet.
      if (error instanceof HiveError && ['blocked', 'conflict', 'not-found', 'unsupported', 'command-failed', 'internal'].includes(error.code))
        return { tasks: [] }
      throw error
    })
    for (const host of site.hosts) {
      for (const task of answer.tasks) {
        if ((task.node !== host.shortName && task.node !== host.name) || task.containerId === '' || task.state !== 'running' || found.has(task.service))
          continue
        found.set(task.service, { host: host.name, containerId: task.containerId })
      }
    }
    return found
  }

  const listRegistry = async (): Promise<ReadonlyMap<string, string> | undefined> => {
    const host = site.hosts.find(({ isRepository }) => isRepository)?.name
    if (host === undefined || absent.has(host)) return undefined
    const reached = await agents.reach(host, signal)
    if ('error' in reached) return undefined
    const answer = await reached.client.registry.list({ tagsOnly: true }, { signal }).catch((error: unknown) => {
      // Not set up yet, an agent that does not know the question, a disk that can't be read: a build will tell.
      if (error instanceof HiveError && error.code !== 'cancelled') return undefined
      throw error
    })
    return answer === undefined
      ? undefined
      : new Map(answer.manifests.flatMap(({ repository, digest, tags }) => tags.map((tag) => [`${repository}:${tag}`, digest])))
  }

  const listHostImages = async (): Promise<readonly HostImages[]> => {
    const hosts = site.hosts.map(({ name }) => name).filter((name) => !absent.has(name))
    const asked = await agents.askAll(hosts, (client) => client.image.list({}, { signal }), signal)
    return [...asked].flatMap(([host, given]) => ('answer' in given ? [{ host, images: given.answer.images }] : []))
  }

  return {
    site,
    limit,
    state,
    refreshImages,
    resolveImage(reference) {
      const known = resolving.get(reference) ?? resolve(reference)
      resolving.set(reference, known)
      return known
    },
    registryTags() {
      registry ??= listRegistry()
      return registry
    },
    imagesOnHosts() {
      hostImages ??= listHostImages()
      return hostImages
    },
    async runningTask(service) {
      tasks ??= listTasks()
      return (await tasks).get(service)
    },
  }
}
