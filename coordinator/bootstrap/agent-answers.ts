/** Asks agents over gRPC which binary they run. */
import { AgentClient } from '../client/agent-client.ts'
import { outsideStageNetwork } from '../client/stage-network.ts'
import type { Site } from '../inventory/site.ts'
import type { Credentials } from '../pki/stage-pki.ts'
import type { Answers } from './bootstrap-hosts.ts'

/** Milliseconds; an agent on a host that is on answers in some ten. */
const deadline = 3_000

export interface AnswersOptions {
  readonly site: Site
  readonly credentials: () => Promise<Credentials>
  /** Hosts that never got a certificate are not asked. */
  readonly enrolled: (host: string) => boolean
}

/** From outside the stage's network nobody answers. */
export function agentAnswers({ site, credentials, enrolled }: AnswersOptions): Answers {
  let known: Promise<Credentials> | undefined
  return async (host) => {
    if (!enrolled(host.name) || outsideStageNetwork(site.contextDir, site.effectiveProvider) !== undefined) return undefined
    known ??= credentials()
    const client = new AgentClient({ host: host.name, address: host.address, port: host.settings.agentPort }, await known)
    try {
      return { binarySha256: (await client.connect(deadline)).binarySha256 }
    } catch {
      return undefined
    } finally {
      client.channel.close()
    }
  }
}
