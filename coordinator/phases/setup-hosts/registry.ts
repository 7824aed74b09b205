/** The site's private registry. */
import type { Step } from '#gen/hive/v1/step.ts'
import { Disruption } from '#gen/hive/v1/step.ts'
import type { Host, Site } from '../../inventory/site.ts'
import { hostStep } from './host-step.ts'

/** Where the agent has its certificate, which bears the host's names and addresses. */
const pki = '/etc/hive-agent/pki'

export const registry = (site: Site, host: Host): Step => {
  const { port, user, password } = site.registry
  const value = { port, user, password, certificatePath: `${pki}/cert.pem`, keyPath: `${pki}/key.pem`, image: 'registry:2' }
  return hostStep(host, 'registry', `registry on port ${port}`, 'ensureRegistry', value, { after: ['packages', 'addon'], disruption: Disruption.RESTART })
}
