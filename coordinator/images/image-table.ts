/** The images of a stage as an operator thinks of them: builds in the registry and what services run, with who has and who uses them. Pure. */
import type { ServiceInfo } from '#gen/hive/v1/docker.ts'
import type { RegistryManifest } from '#gen/hive/v1/registry.ts'

export interface ImageRow {
  /** Without the name of the site's own registry. */
  readonly image: string
  readonly tags: readonly string[]
  /** "": not known. */
  readonly digest: string
  readonly bytes: number
  readonly built: Date | undefined
  /** Services that run it now, and those that docker itself would take back to it. */
  readonly services: readonly string[]
  readonly before: readonly string[]
  /** Inventory names. */
  readonly hosts: readonly string[]
  /** It is in the site's registry. */
  readonly inRegistry: boolean
}

export interface KnownImage {
  readonly tags: readonly string[]
  readonly digests: readonly string[]
  readonly size: bigint
  readonly created?: Date | undefined
}

export interface TableInput {
  /** HOST:PORT */
  readonly server: string
  readonly manifests: readonly RegistryManifest[]
  readonly hosts: ReadonlyMap<string, readonly KnownImage[]>
  readonly services: readonly Pick<ServiceInfo, 'name' | 'image' | 'previousImage'>[]
}

/** By image, the newest first; images of other registries, as far as services run them, come last. */
export function imageTable({ server, manifests, hosts, services }: TableInput): readonly ImageRow[] {
  const parts = new Set(manifests.flatMap(({ children }) => children))
  const own = manifests
    .filter(({ digest, tags }) => tags.length > 0 || !parts.has(digest))
    .map((manifest): ImageRow => {
      const repository = `${server}/${manifest.repository}`
      const names = [...manifest.tags.map((tag) => `${repository}:${tag}`), `${repository}@${manifest.digest}`]
      return {
        image: manifest.repository,
        tags: manifest.tags,
        digest: manifest.digest,
        bytes: Number(manifest.size),
        built: manifest.built ?? manifest.pushed,
        ...usersOf(names, services),
        hosts: havingOf(names, hosts),
        inRegistry: true,
      }
    })
    .sort((a, b) => (a.image === b.image ? (b.built?.getTime() ?? 0) - (a.built?.getTime() ?? 0) : a.image < b.image ? -1 : 1))
  const shown = new Set(own.flatMap(({ services: users }) => users))
  const others = [...new Set(services.filter(({ name }) => !shown.has(name)).map(({ image }) => image))].sort()
  return [...own, ...others.map((reference) => elsewhere(reference, server, hosts, services))]
}

function elsewhere(reference: string, server: string, hosts: TableInput['hosts'], services: TableInput['services']): ImageRow {
  const { name, tag, digest } = partsOf(reference)
  const found = [...hosts.values()].flat().find((image) => isCalled(image, reference))
  return {
    image: name.startsWith(`${server}/`) ? name.slice(server.length + 1) : name,
    tags: tag === '' ? [] : [tag],
    digest: digest !== '' ? digest : (found?.digests.find((known) => known.startsWith(`${name}@`))?.slice(name.length + 1) ?? ''),
    bytes: Number(found?.size ?? 0n),
    built: found?.created,
    ...usersOf([reference], services),
    hosts: havingOf([reference], hosts),
    inRegistry: false,
  }
}

const usersOf = (names: readonly string[], services: TableInput['services']) => ({
  services: services.filter(({ image }) => names.some((name) => isSame(image, name))).map(({ name }) => name),
  before: services.filter(({ image, previousImage }) => previousImage !== image && names.some((name) => isSame(previousImage, name))).map(({ name }) => name),
})

const havingOf = (names: readonly string[], hosts: TableInput['hosts']): readonly string[] =>
  [...hosts].filter(([, images]) => images.some((image) => names.some((name) => isCalled(image, name)))).map(([host]) => host)

/** Whether an image of a host is the one that a reference (with a digest, or by its tag) names. */
export const isCalled = ({ tags, digests }: KnownImage, name: string): boolean => {
  const { name: repository, tag, digest } = partsOf(name)
  return digest === '' ? tags.includes(`${repository}:${tag}`) : digests.includes(`${repository}@${digest}`)
}

/** Docker's own command line writes a digest behind the tag. */
function isSame(reference: string, name: string): boolean {
  if (reference === '') return false
  const [a, b] = [partsOf(reference), partsOf(name)]
  if (a.name !== b.name) return false
  return a.digest !== '' && b.digest !== '' ? a.digest === b.digest : a.tag !== '' && a.tag === b.tag
}

function partsOf(reference: string): { readonly name: string; readonly tag: string; readonly digest: string } {
  const at = reference.indexOf('@')
  const rest = at < 0 ? reference : reference.slice(0, at)
  const colon = rest.lastIndexOf(':')
  const tagged = colon > rest.lastIndexOf('/')
  return {
    name: tagged ? rest.slice(0, colon) : rest,
    tag: tagged ? rest.slice(colon + 1) : at < 0 ? 'latest' : '',
    digest: at < 0 ? '' : reference.slice(at + 1),
  }
}
