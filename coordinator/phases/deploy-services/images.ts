/** Which image a service runs, under which reference and at which digest. */
import type { RegistryAuth } from '#gen/hive/v1/steps_docker.ts'
import { HiveError } from '../../../proto/errors.ts'
import type { Service, Site } from '../../inventory/site.ts'
import type { StageState } from '../../run/stage-state.ts'
import type { FactSource } from '../phase.ts'

export interface ServiceImage {
  /** REPOSITORY:TAG, or REPOSITORY@DIGEST where the inventory says so. */
  readonly reference: string
  /** "": the tag never moves, or the registry could not be asked yet. */
  readonly digest: string
}

/** A base image that the site ships, under the name that inventories use for it. */
export interface ShippedImage {
  readonly name: string
  readonly registryReference: string
  /** Of the archive that it comes from. */
  readonly contentTag: string
}

export interface ImageSources {
  /** Tags derived from what images are built of, by image name. */
  readonly contentTags: ReadonlyMap<string, string>
  readonly shipped: readonly ShippedImage[]
}

interface Origin {
  readonly reference: string
  /** Of an image that the site ships: the tag of the archive's content. */
  readonly contentTag?: string
  /**
   * fixed: the tag is made of the content. pinned: what the registry had the first time stays, until images are
   * refreshed. current: the site's own registry decides, each time.
   */
  readonly version: 'fixed' | 'pinned' | 'current'
}

/** The service's image before any registry was asked. Throws HiveError 'internal' for a built image without tag. */
export function originOf(service: Service, site: Site, sources: ImageSources): Origin {
  if (service.mappedReference !== undefined) return external(service.mappedReference, site, sources)
  if (service.image.kind === 'reference') return external(service.image.reference, site, sources)
  const { image: name } = service.image
  const image = site.images.find((candidate) => candidate.name === name)
  if (image === undefined) throw new HiveError('internal', `service ${service.name}: the site has no image ${name}`)
  if (image.pullFrom !== undefined) return external(image.pullFrom, site, sources)
  return built(image.repository, name, sources)
}

function built(repository: string, name: string, sources: ImageSources): Origin {
  const tag = sources.contentTags.get(name)
  if (tag === undefined) throw new HiveError('internal', `no content tag was computed for ${name}`)
  return { reference: `${repository}:${tag}`, version: 'fixed' }
}

function external(written: string, site: Site, sources: ImageSources): Origin {
  const reference = withTag(written)
  if (reference.includes('@')) return { reference, version: 'fixed' }
  const shipped = sources.shipped.find((archive) => familiar(withTag(archive.name)) === familiar(reference) || archive.registryReference === reference)
  if (shipped !== undefined) return { reference: shipped.registryReference, version: 'current', contentTag: shipped.contentTag }
  // A service may name an image that is built for another one; what is built carries its content's tag.
  const own = site.images.find((image) => image.pullFrom === undefined && reference === `${image.repository}:latest`)
  return own === undefined ? { reference, version: 'pinned' } : built(own.repository, own.name, sources)
}

export function withTag(reference: string): string {
  if (reference.includes('@')) return reference
  return reference.lastIndexOf(':') > reference.lastIndexOf('/') ? reference : `${reference}:latest`
}

const familiar = (reference: string): string => reference.replace(/^(docker\.io|index\.docker\.io)\//, '').replace(/^library\//, '')

const pinKey = (reference: string): string => `image-digest ${reference}`
const contentKey = (reference: string): string => `image-content ${reference}`
const beforeKey = (reference: string): string => `image-before ${reference}`
const heldKey = (service: string): string => `image-held ${service}`

/** The digest that a reference is pinned to; "" where it never was. */
export const pinOf = (reference: string, state: Pick<StageState, 'get'>): string => textOf(state.get(pinKey(reference)))

/** The digest that it was pinned to before that; "" where it never changed. */
export const pinBefore = (reference: string, state: Pick<StageState, 'get'>): string => textOf(state.get(beforeKey(reference)))

/** The content tag of the archive that the pinned digest was shipped from; "" where that is not known. */
export const contentOfPin = (reference: string, state: Pick<StageState, 'get'>): string => textOf(state.get(contentKey(reference)))

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

/** An image that a service is held at, whatever the inventory says, until it is let go. */
export interface HeldImage extends ServiceImage {
  /** ISO. */
  readonly since: string
}

export function heldImage(service: string, state: Pick<StageState, 'get'>): HeldImage | undefined {
  const value = state.get(heldKey(service)) as Partial<HeldImage> | undefined
  if (typeof value?.reference !== 'string') return undefined
  return { reference: value.reference, digest: textOf(value.digest), since: textOf(value.since) }
}

export const holdImage = (service: string, image: HeldImage | undefined, state: Pick<StageState, 'set'>): void => state.set(heldKey(service), image)

/** Asks registries where needed, and remembers what is pinned. A registry that cannot be asked leaves the last pin, or "". */
export async function resolve(origin: Origin, source: FactSource): Promise<ServiceImage> {
  const { reference, version } = origin
  if (version === 'fixed') return { reference, digest: '' }
  const pin = source.state.get(pinKey(reference))
  const known = typeof pin === 'string' ? pin : ''
  if (version === 'pinned' && known !== '' && !source.refreshImages) return { reference, digest: known }
  const digest = await source.resolveImage(reference).catch((error: unknown) => {
    // Before the hosts are there nobody can ask; and a registry that refuses one image keeps no other service from being deployed.
    if (error instanceof HiveError && error.code !== 'cancelled') return ''
    throw error
  })
  if (digest === '') return { reference, digest: known }
  if (digest !== known && known !== '') source.state.set(beforeKey(reference), known)
  if (digest !== known) source.state.set(pinKey(reference), digest)
  if (origin.contentTag !== undefined) await rememberContent(reference, digest, origin.contentTag, source)
  return { reference, digest }
}

/** From which archive this digest was shipped: a registry that lost it can get it back from hosts without being given another digest. */
async function rememberContent(reference: string, digest: string, contentTag: string, { site, state, registryTags }: FactSource): Promise<void> {
  if (state.get(contentKey(reference)) === contentTag) return
  const path = reference.slice(`${site.registry.host}:${site.registry.port}/`.length, reference.lastIndexOf(':'))
  if ((await registryTags())?.get(`${path}:${contentTag}`) === digest) state.set(contentKey(reference), contentTag)
}

/** Who to be at the reference's registry; undefined: nobody. */
export function authFor(reference: string, site: Site): RegistryAuth | undefined {
  const first = reference.split('/')[0] ?? ''
  const server = reference.includes('/') && (/[.:]/.test(first) || first === 'localhost') ? first : 'docker.io'
  const own = `${site.registry.host}:${site.registry.port}`
  if (server === own) return { server: own, user: site.registry.user, password: site.registry.password }
  const external = site.externalRegistries.find((registry) => serverName(registry.server) === server)
  return external === undefined ? undefined : { server: external.server, user: external.user, password: external.password }
}

/** Without scheme and path, as references name it; docker's own registry has several names. */
function serverName(server: string): string {
  const host = server.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
  return ['index.docker.io', 'registry-1.docker.io', ''].includes(host) ? 'docker.io' : host
}
