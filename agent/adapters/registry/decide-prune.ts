/**
 * Which builds of the site's images go. Only what hive itself pushed is considered: manifests of its own repositories that have no other
 * tags than those made of content. Of these stay
 *  - what something refers to, by tag or by digest,
 *  - the newest builds of each image,
 *  - what an index that stays is made of,
 *  - what was pushed a moment ago and has no tag yet: it may be part of a push that goes on.
 */
import { parseReference } from '../docker/images.ts'
import type { StoredManifest } from './storage.ts'

export interface PruneRules {
  /** The newest builds of each image that stay. */
  readonly keep: number
  /** References by whatever name of the registry, or digests alone. */
  readonly used: readonly string[]
  /** Paths of repositories that are hive's own, beside image_*. */
  readonly repositories: readonly string[]
  readonly now: Date
}

export interface Verdict {
  readonly manifest: StoredManifest
  readonly removed: boolean
  readonly why: string
}

/** As coordinator/ansible/content-tag.ts makes them. */
const contentTag = /^[0-9a-f]{12}$/

/** Milliseconds for which a manifest without a tag may be part of a push. */
const pushTime = 60 * 60_000

/** In an order in which they can be deleted: an index before what it is made of. */
export function decidePrune(manifests: readonly StoredManifest[], { keep, used, repositories, now }: PruneRules): readonly Verdict[] {
  const isUsed = usedBy(used)
  const own = new Set(repositories)
  const byRepository = Map.groupBy(
    manifests.filter(({ repository }) => own.has(repository) || isImageOfService(repository)),
    ({ repository }) => repository,
  )
  return [...byRepository.values()].flatMap((all) => {
    const inIndex = new Set(all.flatMap(({ children }) => children))
    const builds = all.filter(({ digest, tags }) => tags.length > 0 || !inIndex.has(digest)).sort(newestFirst)
    const verdicts = builds.map((manifest, index): Verdict => {
      const name = manifest.tags.find((tag) => !contentTag.test(tag))
      if (isUsed(manifest)) return { manifest, removed: false, why: 'in use' }
      if (name !== undefined) return { manifest, removed: false, why: `tag ${name}` }
      if (index < keep) return { manifest, removed: false, why: `among the ${keep} newest` }
      if (manifest.tags.length === 0 && now.getTime() - manifest.pushed.getTime() < pushTime) return { manifest, removed: false, why: 'just pushed' }
      return { manifest, removed: true, why: manifest.tags.length === 0 ? 'has no tag' : 'an old build' }
    })
    const staying = new Set(verdicts.filter(({ removed }) => !removed).flatMap(({ manifest }) => [manifest.digest, ...manifest.children]))
    const parts = all.filter((manifest) => !builds.includes(manifest))
    return [
      ...verdicts,
      ...parts.map((manifest): Verdict => {
        const stays = staying.has(manifest.digest) || isUsed(manifest)
        return { manifest, removed: !stays, why: stays ? 'part of one that stays' : 'part of an old build' }
      }),
    ]
  })
}

const isImageOfService = (repository: string): boolean => /^image_[^/]+$/.test(repository)

const newestFirst = (a: StoredManifest, b: StoredManifest): number =>
  (b.built ?? b.pushed).getTime() - (a.built ?? a.pushed).getTime() || b.pushed.getTime() - a.pushed.getTime() || (a.digest < b.digest ? -1 : 1)

/** The registry has several names (host name, address), so that only the path is compared. */
function usedBy(references: readonly string[]): (manifest: StoredManifest) => boolean {
  const digests = new Set<string>()
  const tags = new Set<string>()
  for (const reference of references) {
    if (/^sha256:[0-9a-f]{64}$/.test(reference)) {
      digests.add(reference)
      continue
    }
    const { repository, tag, digest } = parseReference(reference)
    if (digest !== '') digests.add(digest)
    if (tag !== '') tags.add(`${repository.slice(repository.indexOf('/') + 1)}:${tag}`)
  }
  return ({ repository, digest, tags: own }) => digests.has(digest) || own.some((tag) => tags.has(`${repository}:${tag}`))
}
