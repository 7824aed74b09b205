/** The certificate that an agent shows. */
import { X509Certificate } from 'node:crypto'
import { plainSerial } from '../../proto/pem.ts'
import type { SiteAgents } from '../client/site-agents.ts'
import { deadline } from './own-certificates.ts'

/** Its serial number; undefined: the agent does not answer. Rejects only for `signal`. */
export async function ownTrust(agents: Pick<SiteAgents, 'askAll'>, host: string, signal: AbortSignal): Promise<string | undefined> {
  const given = (await agents.askAll([host], (client) => client.trust.get({}, { signal, deadline }), signal)).get(host)
  return given === undefined || 'error' in given ? undefined : plainSerial(new X509Certificate(given.answer.certificatePem).serialNumber)
}
