/** Images that the registry has lost and a host still has: who pushes what, so that nothing is built anew. Pure. */
import type { HostImages } from '../phases/phase.ts'

export interface WantedImage {
  /** REGISTRY/PATH */
  readonly repository: string
  readonly tag: string
  /** Names under which a host may have it, the best first: REPOSITORY:TAG, REPOSITORY@DIGEST. */
  readonly names: readonly string[]
}

export interface LostImage {
  readonly host: string
  /** The name under which the host has it. */
  readonly source: string
  readonly repository: string
  readonly tag: string
  /** What the host knows it by; "": it was never pulled or pushed there. */
  readonly digest: string
}

/** Those of the wanted that are missing and can be had, shared out among the hosts that have them. */
export function lostImages(wanted: readonly WantedImage[], tags: ReadonlyMap<string, string>, hosts: readonly HostImages[]): readonly LostImage[] {
  const load = new Map<string, number>()
  return wanted
    .filter(({ repository, tag }) => !tags.has(`${pathOf(repository)}:${tag}`))
    .flatMap(({ repository, tag, names }) => {
      const having = names.flatMap((source) =>
        hosts.flatMap(({ host, images }) => images.filter((image) => isCalled(image, source)).map((image) => ({ host, source, image }))),
      )
      const best = having.sort((a, b) => names.indexOf(a.source) - names.indexOf(b.source) || (load.get(a.host) ?? 0) - (load.get(b.host) ?? 0))[0]
      if (best === undefined) return []
      load.set(best.host, (load.get(best.host) ?? 0) + 1)
      const digest = best.image.digests.find((known) => known.startsWith(`${repository}@`))?.slice(repository.length + 1) ?? ''
      return [{ host: best.host, source: best.source, repository, tag, digest }]
    })
}

/** Everything that hosts have under names of this registry. */
export function imagesNamed(server: string, hosts: readonly HostImages[]): readonly WantedImage[] {
  const names = new Set(hosts.flatMap(({ images }) => images.flatMap(({ tags }) => tags)).filter((name) => name.startsWith(`${server}/`)))
  return [...names].sort().map((name) => ({ repository: name.slice(0, name.lastIndexOf(':')), tag: name.slice(name.lastIndexOf(':') + 1), names: [name] }))
}

const isCalled = ({ tags, digests }: HostImages['images'][number], name: string): boolean => tags.includes(name) || digests.includes(name)

/** Without the registry's own name. */
const pathOf = (repository: string): string => repository.slice(repository.indexOf('/') + 1)
