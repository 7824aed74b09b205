/**
 * Every image that this stage builds is in the site's registry, under the tag derived from its content. Base images
 * that the site ships come first; images are built on the repository server, in a container, by the site's roles. What the
 * registry has lost and a host still has is pushed from there instead: the same content, and the same digest.
 */
import type { Step } from '#gen/hive/v1/step.ts'
import type { EnsureArchivedImage } from '#gen/hive/v1/steps_docker.ts'
import { HiveError } from '../../proto/errors.ts'
import { type Archive, type ArchivedReference, archiveBlob, archivedImage, siteArchives } from '../ansible/archives.ts'
import { ansibleContent } from '../ansible/content.ts'
import { buildOrder, builtBase, contentTags } from '../ansible/content-tag.ts'
import { missingRoles } from '../ansible/missing-roles.ts'
import { type LostImage, lostImages, type WantedImage } from '../images/lost-images.ts'
import { pushLostImage, pushStepId } from '../images/push-lost-image.ts'
import { authFor, contentOfPin, heldImage, pinOf } from './deploy-services/images.ts'
import { type Blob, type FactSource, type Image, type Phase, type PhaseInput, type PhaseSteps, type Site, step, stepId } from './phase.ts'

const phase = 'build-images'

/** Builds at a time on one host: each is a package installation, which two cores can take twice. */
const lanes = 2

/** As long as a build may take. */
const buildSeconds = 2400

export interface BuildFacts {
  readonly lost: readonly LostImage[]
}

export const buildImages: Phase<BuildFacts> = {
  name: phase,

  async gather(source: FactSource) {
    const tags = await source.registryTags()
    if (tags === undefined) return { lost: [] }
    const { host, port } = source.site.registry
    const wanted = await wantedOfRegistry(source)
    if (wanted.every(({ repository, tag }) => tags.has(`${repository.slice(`${host}:${port}/`.length)}:${tag}`))) return { lost: [] }
    const hosts = (await source.imagesOnHosts()).filter((one) => source.limit.hosts?.has(one.host) !== false)
    return { lost: lostImages(wanted, tags, hosts) }
  },

  async steps({ site, limit, facts }: PhaseInput<BuildFacts>): Promise<PhaseSteps> {
    const images = wantedImages(site, limit.services)
    const archives = await siteArchives(site)
    const repository = site.hosts.find((host) => host.isRepository)
    const shipped = wantedArchives(site, archives, images, limit.services)
    const { lost } = facts
    if (
      (images.length === 0 && shipped.length === 0 && lost.length === 0) ||
      (repository !== undefined && limit.hosts !== undefined && !limit.hosts.has(repository.name))
    )
      return { steps: [], blobs: new Map(), notices: [] }
    if (repository === undefined) throw new HiveError('internal', 'the stage has no repository server')
    const steps: Step[] = []
    const blobs = new Map<string, Blob>()
    const unsupported: string[] = []
    for (const image of lost) steps.push(pushLostImage(image, site))
    const pushOf = (repository: string, tag: string): readonly string[] =>
      lost.filter((image) => image.repository === repository && image.tag === tag).map(pushStepId)
    for (const { archive, reference } of shipped) {
      steps.push(archiveStep(site, repository.name, archive, reference, pushOf(repositoryOf(reference), reference.contentTag)))
      blobs.set(archive.sha256, archiveBlob(archive))
    }
    const tags = await contentTags(site)
    for (const [index, image] of images.entries()) {
      unsupported.push(...(await missingRoles(site, image.name, image.roles)))
      const { content, blob } = await ansibleContent(site, image.roles)
      blobs.set(blob.sha256, blob)
      const base = builtBase(site.images, image.from)
      const archived = archivedImage(archives, image.from)
      const needs = [
        ...pushOf(image.repository, tags.get(image.name) ?? ''),
        ...(base === undefined || !images.includes(base) ? [] : [stepId(phase, base.name, repository.name)]),
        ...(archived === undefined ? [] : [stepId(phase, archiveStepName(archived), repository.name)]),
      ]
      const baseTag = base === undefined ? undefined : tags.get(base.name)
      const own = base !== undefined && baseTag !== undefined ? `${base.repository}:${baseTag}` : base?.pullFrom
      const from = own ?? (archived === undefined ? image.from : contentReference(archived))
      const value = {
        ...definition(site, image),
        from,
        contentTag: tags.get(image.name) ?? '',
        content,
        lane: index % lanes,
        // Always given: without it the registry of the base image would be shown the site's own password.
        fromAuth: authFor(from, site) ?? { server: '', user: '', password: '' },
      }
      const title = `build ${image.name} from ${image.from} (${image.roles.join(', ')})`
      steps.push(step(phase, image.name, repository.name, title, 'buildImage', value, { needs, timeoutSeconds: buildSeconds }))
    }
    return { steps, blobs: new Map([[repository.name, [...blobs.values()]]]), notices: [], unsupported }
  },
}

/** With those that they are made from. */
function wantedImages(site: Site, services: ReadonlySet<string> | undefined): readonly Image[] {
  const ordered = buildOrder(site)
  if (services === undefined) return ordered
  const wanted = new Set<Image>()
  const want = (image: Image | undefined): void => {
    if (image === undefined || wanted.has(image)) return
    wanted.add(image)
    want(builtBase(ordered, image.from))
  }
  for (const image of ordered) if (services.has(image.service)) want(image)
  return ordered.filter((image) => wanted.has(image))
}

interface Shipped {
  readonly archive: Archive
  readonly reference: ArchivedReference
}

/** Archives that an image or a service of this stage is made from; others may lie in the folder. */
function wantedArchives(site: Site, archives: readonly Archive[], images: readonly Image[], limited: ReadonlySet<string> | undefined): readonly Shipped[] {
  const services = site.services.filter((service) => service.stages.includes(site.stage) && (limited === undefined || limited.has(service.name)))
  const used = [...images.map((image) => image.from), ...services.flatMap((service) => (service.image.kind === 'reference' ? [service.image.reference] : []))]
  const wanted = new Set(used.flatMap((reference) => archivedImage(archives, reference) ?? []))
  return archives.flatMap((archive) => archive.references.filter((reference) => wanted.has(reference)).map((reference) => ({ archive, reference })))
}

const archiveStepName = (reference: ArchivedReference): string => `base-${reference.name}`

const repositoryOf = ({ registryReference }: ArchivedReference): string => registryReference.slice(0, registryReference.lastIndexOf(':'))

const contentReference = (reference: ArchivedReference): string => `${repositoryOf(reference)}:${reference.contentTag}`

/** What the registry is to have after this phase: builds, archives, and what services name in it by a tag. */
async function wantedOfRegistry({ site, limit, state }: FactSource): Promise<readonly WantedImage[]> {
  const [tags, archives] = [await contentTags(site), await siteArchives(site)]
  const images = wantedImages(site, limit.services)
  const built = images.map(({ name, repository }): WantedImage => {
    const tag = tags.get(name) ?? ''
    return { repository, tag, names: [`${repository}:${tag}`] }
  })
  // Hosts have them by the digest that they were deployed at; it is the archive's as long as that one is the same.
  const shipped = wantedArchives(site, archives, images, limit.services).flatMap(({ reference }): readonly WantedImage[] => {
    const { registryReference, contentTag } = reference
    if (contentOfPin(registryReference, state) !== contentTag) return []
    const repository = repositoryOf(reference)
    return [{ repository, tag: contentTag, names: [`${repository}@${pinOf(registryReference, state)}`] }]
  })
  return [...built, ...shipped, ...namedByServices(site, limit.services, state, [...built, ...shipped])]
}

/** Images of this registry that somebody else pushed, older builds that services are held at. */
function namedByServices(
  site: Site,
  limited: ReadonlySet<string> | undefined,
  state: FactSource['state'],
  known: readonly WantedImage[],
): readonly WantedImage[] {
  const server = `${site.registry.host}:${site.registry.port}/`
  const made = new Set([...known.map(({ repository }) => repository), ...site.images.map(({ repository }) => repository)])
  const references = site.services
    .filter((service) => service.stages.includes(site.stage) && limited?.has(service.name) !== false)
    .flatMap((service) => {
      const held = heldImage(service.name, state)?.reference ?? service.mappedReference
      if (held !== undefined) return [held]
      return service.image.kind === 'reference' && !made.has(service.image.reference.replace(/:[^:/]*$/, '')) ? [service.image.reference] : []
    })
  return [...new Set(references)].flatMap((reference) => {
    const { repository, tag } = /^(?<repository>.+):(?<tag>[^:/@]+)$/.exec(reference)?.groups ?? {}
    return repository === undefined || tag === undefined || !reference.startsWith(server) ? [] : [{ repository, tag, names: [reference] }]
  })
}

const siteAuth = ({ registry }: Site) => ({ server: `${registry.host}:${registry.port}`, user: registry.user, password: registry.password })

function archiveStep(site: Site, host: string, archive: Archive, reference: ArchivedReference, needs: readonly string[]): Step {
  const value: EnsureArchivedImage = {
    blobSha256: archive.sha256,
    size: BigInt(archive.size),
    reference: reference.registryReference,
    contentTag: reference.contentTag,
    rootFilesystem: archive.rootFilesystem,
    sourceReference: reference.name,
    auth: siteAuth(site),
    name: archive.path.slice(archive.path.lastIndexOf('/') + 1),
  }
  return step(phase, archiveStepName(reference), host, `ship base image ${reference.name}`, 'ensureArchivedImage', value, { needs, timeoutSeconds: 1200 })
}

function definition(site: Site, image: Image) {
  return {
    name: image.name,
    service: image.service,
    roles: [...image.roles],
    environment: { ...image.environment },
    user: image.user ?? '',
    workingDir: image.workingDir ?? '',
    stopSignal: image.stopSignal ?? '',
    expose: [...image.expose],
    privileged: image.privileged,
    standalone: image.standalone,
    entrypoint: [...(image.entrypoint ?? [])],
    command: [...(image.command ?? [])],
    hasEntrypoint: image.entrypoint !== undefined,
    hasCommand: image.command !== undefined,
    repository: image.repository,
    auth: siteAuth(site),
    extraHosts: Object.fromEntries(site.hosts.map((host) => [host.name, host.address])),
  }
}
