/** Which build a service goes back to. Pure. */
import type { RegistryManifest } from '#gen/hive/v1/registry.ts'
import { HiveError } from '../../proto/errors.ts'

export interface Target {
  /** REPOSITORY:TAG, or REPOSITORY@DIGEST for a build that has no tag of its own. */
  readonly reference: string
  readonly built: Date | undefined
}

const contentTag = /^[0-9a-f]{12}$/

const builtAt = ({ built, pushed }: RegistryManifest): number => (built ?? pushed)?.getTime() ?? 0

/**
 * Of the builds that the registry has of this repository (REGISTRY/PATH): the one named by `to` (a tag, or a digest or its beginning), else
 * the newest that is older than the one that runs (`running`: its reference). Throws HiveError 'not-found' with the builds there are.
 */
export function previousBuild(repository: string, manifests: readonly RegistryManifest[], running: string, to: string | undefined): Target {
  const path = repository.slice(repository.indexOf('/') + 1)
  const parts = new Set(manifests.flatMap(({ children }) => children))
  const builds = manifests
    .filter((manifest) => manifest.repository === path && (manifest.tags.length > 0 || !parts.has(manifest.digest)))
    .sort((a, b) => builtAt(b) - builtAt(a))
  const names = builds.map(nameOf).join(', ')
  if (to !== undefined) {
    const found = builds.filter(({ tags, digest }) => tags.includes(to) || digest === to || (/^sha256:[0-9a-f]{6,}$/.test(to) && digest.startsWith(to)))
    if (found.length === 1 && found[0] !== undefined) return targetOf(repository, found[0])
    throw new HiveError('not-found', `the registry has ${found.length === 0 ? 'no' : 'more than one'} build ${to} of ${path}`, {
      hint: names === '' ? `it has none of ${path} at all` : `it has, the newest first: ${names}`,
    })
  }
  const current = builds.find(({ tags, digest }) => tags.some((tag) => running === `${repository}:${tag}`) || running.endsWith(`@${digest}`))
  const before = current === undefined ? undefined : builds.find((build) => builtAt(build) < builtAt(current))
  if (before !== undefined) return targetOf(repository, before)
  const why = current === undefined ? `what runs (${running}) is not in the registry` : `the registry has no older build of ${path} than the one that runs`
  throw new HiveError('not-found', `${why}: there is nothing to go back to by itself`, {
    hint: names === '' ? '`hivecoord images restore` brings back what hosts have' : `name one with --to: ${names}`,
  })
}

const nameOf = ({ tags, digest }: RegistryManifest): string => tags.find((tag) => contentTag.test(tag)) ?? tags[0] ?? digest.slice(0, 19)

/** By the tag of its content, which never moves; other tags do. */
const targetOf = (repository: string, { tags, digest, built }: RegistryManifest): Target => {
  const tag = tags.find((candidate) => contentTag.test(candidate))
  return { reference: tag === undefined ? `${repository}@${digest}` : `${repository}:${tag}`, built }
}
