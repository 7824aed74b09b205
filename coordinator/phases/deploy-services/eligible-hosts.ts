/** Which hosts may come to run a service, as far as its placement constraints can be decided beforehand. */
import type { Host, Service, Site } from '../../inventory/site.ts'
import { swarmRole } from '../swarm-role.ts'

/** Hosts that swarm may choose. A constraint that depends on what only shows at run time excludes nobody. */
export const eligibleHosts = (service: Service, site: Site): readonly Host[] =>
  site.hosts.filter((host) => host.isHive && service.constraints.every((constraint) => admits(constraint, host, site)))

function admits(constraint: string, host: Host, site: Site): boolean {
  const parts = /^\s*([\w.-]+)\s*(==|!=)\s*(.*?)\s*$/.exec(constraint)
  if (parts === null) return true
  const [, attribute = '', operator, value = ''] = parts
  const actual = attributeOf(attribute, host, site)
  if (actual === undefined) return true
  // Docker compares without regard to case.
  return (actual.toLowerCase() === value.toLowerCase()) === (operator === '==')
}

/** undefined: not known here. Labels of groups are set by setup-hosts; others come and go with what runs where. */
function attributeOf(attribute: string, host: Host, site: Site): string | undefined {
  if (attribute === 'node.hostname') return host.shortName
  if (attribute === 'node.role') return swarmRole(host)
  const label = /^node\.labels\.(.+)$/.exec(attribute)?.[1]
  if (label === undefined || !site.groups.has(label)) return undefined
  return host.groups.includes(label) ? 'true' : ''
}
