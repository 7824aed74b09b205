/** What the inventory, tag mappings and other stages call by name in the site's registry: nobody may take it away. */
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Site } from '../inventory/site.ts'
import { readTextIfPresent } from '../run/atomic-file.ts'

/**
 * References of this stage's inventory, of all stages' tag mappings, and of what other stages pinned, sorted. What this stage's services run
 * is asked from the swarm instead, and what the next deploy would run is among the newest builds. Damaged files of stages name nothing.
 */
export function namedReferences(site: Pick<Site, 'contextDir' | 'services' | 'images' | 'registry'>): readonly string[] {
  const own = site.services.flatMap((service) => [service.mappedReference ?? [], service.image.kind === 'reference' ? service.image.reference : []].flat())
  const bases = site.images.flatMap((image) => [image.from, image.pullFrom ?? []].flat())
  const server = `${site.registry.host}:${site.registry.port}/`
  const all = [...own, ...bases, ...site.registry.pulledFrom, ...ofStages(site.contextDir)]
  return [...new Set(all.filter((reference) => reference.startsWith(server)))].sort()
}

/** Folders of stages lie side by side. */
function ofStages(contextDir: string): readonly string[] {
  const around = dirname(contextDir)
  const others = foldersIn(around)
    .map((name) => join(around, name))
    .filter((folder) => folder !== contextDir)
  const mappings = [contextDir, ...others].flatMap((folder) => Object.values(jsonIn(join(folder, 'tag-mapping.json'))))
  const pins = others.flatMap((folder) =>
    Object.entries(jsonIn(join(folder, 'state.json'))).map(([key, value]) => (key.startsWith('image-') ? pinned(key, value) : '')),
  )
  return [...mappings, ...pins].filter((reference) => typeof reference === 'string')
}

/** state.json: "image-digest REFERENCE" → digest, "image-held SERVICE" → {reference, digest} (phases/deploy-services/images.ts). */
function pinned(key: string, value: unknown): string {
  if (typeof value === 'string') return `${key.slice(key.indexOf(' ') + 1).replace(/:[^:/]*$/, '')}@${value}`
  const reference: unknown = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)['reference'] : undefined
  return typeof reference === 'string' ? reference : ''
}

function jsonIn(path: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(readTextIfPresent(path) ?? '{}')
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

function foldersIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
  } catch {
    return []
  }
}
