/** Which provider carries out a stage. */
import { HiveError } from '../../proto/errors.ts'
import type { Site } from '../inventory/site.ts'
import { awsProvider } from './aws/provider.ts'
import { nspawnProvider } from './nspawn/provider.ts'
import { planOnlyProvider } from './plan-only.ts'
import { preparedProvider } from './prepared/provider.ts'
import type { Provider } from './provider.ts'

const planOnly = ['azure', 'gcp', 'openstack', 'kickstart']

/** Throws HiveError 'invalid-input' for a name that no provider has. */
export function providerFor(site: Pick<Site, 'effectiveProvider'>): Provider {
  const name = site.effectiveProvider
  if (name === 'nspawn') return nspawnProvider
  if (name === 'prepared') return preparedProvider
  if (name === 'aws') return awsProvider()
  if (planOnly.includes(name)) return planOnlyProvider(name)
  throw new HiveError('invalid-input', `there is no provider ${name}`, { hint: `one of nspawn, prepared, aws, ${planOnly.join(', ')}` })
}
