import { HiveError } from '../../proto/errors.ts'
import type { Host, Site } from '../inventory/site.ts'

/** The host of this inventory name. Throws HiveError 'not-found'. */
export function hostNamed(site: Pick<Site, 'hosts' | 'stage'>, name: string): Host {
  const host = site.hosts.find((candidate) => candidate.name === name)
  if (host === undefined) throw new HiveError('not-found', `there is no host ${name} in stage ${site.stage}`)
  return host
}
