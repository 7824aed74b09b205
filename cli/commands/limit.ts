/** `--limit NAME,…`: hosts, services and volumes by name, whatever they are. */

import type { Site } from '../../coordinator/inventory/site.ts'
import type { Limit } from '../../coordinator/phases/phase.ts'
import { HiveError } from '../../proto/errors.ts'

/** A kind that is not named is not limited. Throws HiveError 'invalid-input' for a name that is none of them. */
export function parseLimit(site: Site, text: string | undefined): Limit {
  if (text === undefined) return { hosts: undefined, services: undefined, volumes: undefined }
  const hosts = new Set<string>()
  const services = new Set<string>()
  const volumes = new Set<string>()
  const unknown: string[] = []
  for (const name of text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')) {
    const host = site.hosts.find((h) => h.name === name || h.shortName === name)
    if (host !== undefined) hosts.add(host.name)
    else if (site.services.some((s) => s.name === name)) services.add(name)
    else if (site.volumes.some((v) => v.name === name)) volumes.add(name)
    else unknown.push(name)
  }
  if (unknown.length > 0)
    throw new HiveError('invalid-input', `--limit names what stage ${site.stage} does not have: ${unknown.join(', ')}`, {
      hint: 'name hosts, services or volumes as `hivecoord inventory` shows them',
    })
  const given = (set: ReadonlySet<string>): ReadonlySet<string> | undefined => (set.size === 0 ? undefined : set)
  return { hosts: given(hosts), services: given(services), volumes: given(volumes) }
}

/** Names that are separated by commas. */
export const splitNames = (text: string | undefined): readonly string[] => (text ?? '').split(',').flatMap((part) => (part.trim() === '' ? [] : [part.trim()]))

/** Services that `--allow` names. Throws HiveError 'invalid-input' for one that the stage does not have. */
export function allowedServices(site: Site, text: string | undefined): ReadonlySet<string> {
  const allowed = splitNames(text)
  const unknown = allowed.find((name) => !site.services.some((service) => service.name === name))
  if (unknown !== undefined) throw new HiveError('invalid-input', `--allow names ${unknown}, which is no service of stage ${site.stage}`)
  return new Set(allowed)
}
