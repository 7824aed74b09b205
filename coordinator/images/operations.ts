/** What an operator does with a stage's images: look, go back, go forward, take old ones away, bring lost ones back. */
import type { ServiceInfo } from '#gen/hive/v1/docker.ts'
import type { PruneRegistryResponse, RegistryUsage } from '#gen/hive/v1/registry.ts'
import { HiveError } from '../../proto/errors.ts'
import { siteArchives } from '../ansible/archives.ts'
import { contentTags } from '../ansible/content-tag.ts'
import type { AgentClient } from '../client/agent-client.ts'
import { fromCallFailure } from '../client/errors.ts'
import type { SiteAgents } from '../client/site-agents.ts'
import type { Site } from '../inventory/site.ts'
import { type HeldImage, heldImage, holdImage, pinBefore, pinOf } from '../phases/deploy-services/images.ts'
import { deployServices } from '../phases/deploy-services.ts'
import type { Phase } from '../phases/phase.ts'
import { managersOf } from '../phases/swarm-role.ts'
import { exclusively } from '../run/exclusive.ts'
import type { StageState } from '../run/stage-state.ts'
import { type ImageRow, imageTable } from './image-table.ts'
import { imagesNamed, lostImages } from './lost-images.ts'
import { namedReferences } from './named-references.ts'
import { previousBuild, type Target } from './previous-build.ts'
import { pushLostImage } from './push-lost-image.ts'

export interface ImagesInput {
  readonly site: Site
  readonly agents: SiteAgents
  readonly state: StageState
  readonly signal: AbortSignal
}

export interface ImageListing {
  readonly rows: readonly ImageRow[]
  /** Services that are held at an image, by name. */
  readonly held: Readonly<Record<string, string>>
  /** undefined: the registry could not be asked. */
  readonly usage: RegistryUsage | undefined
  /** The registry's host. */
  readonly host: string
  /** What could not be asked, and why. */
  readonly problems: readonly string[]
}

/** Milliseconds: a large registry is read from a slow disk. */
const readDeadline = 120_000
/** Milliseconds: garbage of hundreds of gigabytes. */
const pruneDeadline = 4 * 3_600_000

/** What can be asked is told, with what could not. */
export async function listImages({ site, agents, state, signal }: ImagesInput): Promise<ImageListing> {
  const repository = repositoryOf(site)
  const problems: string[] = []
  const told = <T>(answer: T | HiveError, otherwise: T): T => {
    if (!(answer instanceof HiveError)) return answer
    problems.push(answer.message)
    return otherwise
  }
  const [registry, services, hosts] = await Promise.all([
    withClient(agents, repository, signal, (client) => client.registry.list({ tagsOnly: false }, { signal, deadline: readDeadline })),
    servicesOfSwarm(site, agents, signal).catch((error: unknown) => fromCallFailure(error, '', signal)),
    agents.askAll(
      site.hosts.map(({ name }) => name),
      (client) => client.image.list({}, { signal }),
      signal,
    ),
  ])
  const images = new Map([...hosts].flatMap(([host, given]) => ('answer' in given ? [[host, given.answer.images] as const] : [])))
  problems.push(...[...hosts].flatMap(([host, given]) => ('error' in given && host !== repository ? [`${host}: ${given.error.message}`] : [])))
  const { manifests, usage } = told(registry, { manifests: [], usage: undefined })
  const held = site.services.flatMap(({ name }) => {
    const image = heldImage(name, state)
    return image === undefined ? [] : [[name, image.reference] as const]
  })
  return {
    rows: imageTable({ server: serverOf(site), manifests, hosts: images, services: told(services, []) }),
    held: Object.fromEntries(held),
    usage,
    host: repository,
    problems,
  }
}

/** `dryRun`: nothing is taken away, and nobody is kept from work. Rejects with HiveError 'locked' beside another coordinator. */
export async function pruneImages({
  keep,
  dryRun,
  ...input
}: ImagesInput & { readonly keep: number; readonly dryRun: boolean }): Promise<PruneRegistryResponse> {
  const { site, agents } = input
  const used = [...(await usedReferences(input))]
  const ask = async (signal: AbortSignal): Promise<PruneRegistryResponse> => {
    const answer = await withClient(agents, repositoryOf(site), signal, (client) =>
      client.registry.prune({ keep, used, dryRun }, { signal, deadline: pruneDeadline }),
    )
    if (answer instanceof HiveError) throw answer
    return answer
  }
  if (dryRun) return ask(input.signal)
  return exclusively({ site, agents, purpose: 'images prune', signal: input.signal, now: () => new Date() }, (_lock, signal) => ask(signal))
}

/** All that the stage refers to, beside what its services run (the registry's host asks for that itself). */
async function usedReferences({ site, state }: Pick<ImagesInput, 'site' | 'state'>): Promise<readonly string[]> {
  const [tags, archives] = await Promise.all([contentTags(site), siteArchives(site)])
  const next = site.images.flatMap(({ name, repository }) => (tags.has(name) ? [`${repository}:${tags.get(name)}`] : []))
  const shipped = archives.flatMap(({ references }) =>
    references.flatMap(({ registryReference, contentTag }) => [registryReference, registryReference.replace(/:[^:/]*$/, `:${contentTag}`)]),
  )
  const pins = [...shipped, ...namedReferences(site)].map((reference) => pinOf(reference, state)).filter((digest) => digest !== '')
  const held = site.services.flatMap(({ name }) => heldImage(name, state) ?? []).flatMap(({ reference, digest }) => [reference, digest])
  return [...new Set([...next, ...shipped, ...namedReferences(site), ...pins, ...held])].filter((reference) => reference !== '')
}

/** Where a service goes back to: a build of the registry, or an earlier digest of an image of another one. Throws HiveError 'not-found'. */
export async function rollbackTarget(
  { site, agents, state, signal }: ImagesInput,
  name: string,
  to: string | undefined,
): Promise<Target & { readonly digest: string }> {
  const service = site.services.find((candidate) => candidate.name === name && candidate.stages.includes(site.stage))
  if (service === undefined)
    throw new HiveError('not-found', `stage ${site.stage} has no service ${name}`, { hint: `it has ${site.services.map((known) => known.name).join(', ')}` })
  const running = (await servicesOfSwarm(site, agents, signal)).find((candidate) => candidate.name === name)
  if (running === undefined) throw new HiveError('not-found', `${name} is not deployed: there is nothing to go back from`, { hint: 'see `hivecoord status`' })
  const image = running.image.replace(/(:[^:/@]+)@.*$/, '$1')
  if (!image.startsWith(`${serverOf(site)}/`)) return earlierDigest(image, to, state)
  const registry = await withClient(agents, repositoryOf(site), signal, (client) =>
    client.registry.list({ tagsOnly: false }, { signal, deadline: readDeadline }),
  )
  if (registry instanceof HiveError) throw registry
  const repository = image.replace(/@.*$/, '').replace(/:[^:/]*$/, '')
  return { ...previousBuild(repository, registry.manifests, image, to), digest: '' }
}

function earlierDigest(reference: string, to: string | undefined, state: StageState): Target & { readonly digest: string } {
  if (to !== undefined && !/^sha256:[0-9a-f]{64}$/.test(to))
    throw new HiveError('invalid-input', `${to} is no version of ${reference}`, {
      hint: 'this image is not built here: write --to sha256:… with all 64 digits',
    })
  const digest = to ?? pinBefore(reference, state)
  if (digest === '') throw new HiveError('not-found', `no other version of ${reference} was deployed from here`, { hint: 'name one with --to sha256:…' })
  return { reference, digest, built: undefined }
}

/** deploy-services, with the service held at this image from then on; undefined: it follows the inventory again. */
export const holdingAt = (service: string, image: HeldImage | undefined): Phase =>
  ({
    ...deployServices,
    // Whoever carries a phase out holds the stage's lock; a plan keeps what is set to itself.
    gather: async (source) => {
      holdImage(service, image, source.state)
      return await deployServices.gather?.(source)
    },
  }) as Phase

/** Everything that hosts have under names of the registry, and the registry has not. */
export const bringBack: Phase = {
  name: 'build-images',
  gather: async ({ site, registryTags, imagesOnHosts }) => {
    const tags = await registryTags()
    if (tags === undefined)
      throw new HiveError('unreachable', `the registry on ${repositoryOf(site)} can't be asked what it has`, { hint: '`hivecoord setup-hosts` sets it up' })
    const hosts = (await imagesOnHosts()).filter(({ host }) => host !== repositoryOf(site))
    return lostImages(imagesNamed(serverOf(site), hosts), tags, hosts)
  },
  steps: ({ site, facts }) => ({ steps: (facts as ReturnType<typeof lostImages>).map((lost) => pushLostImage(lost, site)), blobs: new Map(), notices: [] }),
}

const serverOf = ({ registry }: Site): string => `${registry.host}:${registry.port}`

function repositoryOf(site: Site): string {
  const host = site.hosts.find(({ isRepository }) => isRepository)
  if (host === undefined) throw new HiveError('internal', 'the stage has no repository server')
  return host.name
}

/** An error is an answer. Rejects only for `signal`. */
async function withClient<T>(agents: SiteAgents, host: string, signal: AbortSignal, ask: (client: AgentClient) => Promise<T>): Promise<T | HiveError> {
  const asked = (await agents.askAll([host], ask, signal)).get(host)
  if (asked === undefined) throw new HiveError('internal', `${host} was not asked`)
  return 'error' in asked ? asked.error : asked.answer
}

/** As the first manager that answers tells. */
async function servicesOfSwarm(site: Site, agents: SiteAgents, signal: AbortSignal): Promise<readonly ServiceInfo[]> {
  for (const name of managersOf(site.hosts)) {
    const reached = await agents.reach(name, signal)
    if ('client' in reached) return (await reached.client.service.list({}, { signal })).services
  }
  throw new HiveError('unreachable', `no manager of stage ${site.stage}'s swarm answers`, { hint: 'see `hivecoord status`' })
}
