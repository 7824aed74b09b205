/** Certificates of agents, made anew over the connection there is: the key is made on the host, nothing restarts. */
import { X509Certificate } from 'node:crypto'
import { HiveError } from '../../proto/errors.ts'
import { plainSerial } from '../../proto/pem.ts'
import type { AgentClient } from '../client/agent-client.ts'
import type { SiteAgents } from '../client/site-agents.ts'
import type { Host } from '../inventory/site.ts'
import type { StagePki } from '../pki/stage-pki.ts'

/** Milliseconds for one question. */
export const deadline = 20_000

export type NamedHost = Pick<Host, 'name' | 'shortName' | 'address'>

export const namesOf = ({ name, shortName, address }: NamedHost) => ({ name, dns: [name, shortName], addresses: [address] })

/**
 * A new key and certificate for the host's agent, seen in use by a connection made anew. Killed anywhere, the agent has a key with its
 * certificate; again makes another one. Answers the new serial. Throws HiveError 'not-converged' where the old one is still shown.
 */
export async function reissue(host: NamedHost, client: AgentClient, agents: Pick<SiteAgents, 'anew'>, pki: StagePki, signal: AbortSignal): Promise<string> {
  const options = { signal, deadline }
  const { pem } = await client.hostService.createCertificateRequest({}, options)
  const certificatePem = await pki.signHostCertificate(pem, namesOf(host))
  await client.hostService.installCertificate({ certificatePem, caPem: pki.caPem }, options)
  const wanted = plainSerial(new X509Certificate(certificatePem).serialNumber)
  const fresh = await agents.anew(host.name)
  try {
    await fresh.connect(deadline, signal)
    const shown = plainSerial(new X509Certificate((await fresh.trust.get({}, options)).certificatePem).serialNumber)
    if (shown !== wanted)
      throw new HiveError('not-converged', `${host.name} shows another certificate than the one that it was given`, { host: host.name, hint: 'do it again' })
  } finally {
    fresh.close()
  }
  return wanted
}
