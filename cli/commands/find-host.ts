/** Hosts as people name them. */

import type { Host, Site } from '../../coordinator/inventory/site.ts'
import { HiveError } from '../../proto/errors.ts'

/** By inventory name or its first label. Throws HiveError 'not-found' with the names there are. */
export function findHost(site: Site, name: string): Host {
  const found = site.hosts.find((host) => host.name === name || host.shortName === name)
  if (found !== undefined) return found
  throw new HiveError('not-found', `stage ${site.stage} has no host ${name}`, { hint: `it has ${site.hosts.map((host) => host.shortName).join(', ')}` })
}
