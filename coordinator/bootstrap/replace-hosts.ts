/** Hosts that are other machines than before, under the same name and address: what was known of the old ones is forgotten. */
import type { SiteAgents } from '../client/site-agents.ts'
import type { Emit } from '../events.ts'
import type { Host, Site } from '../inventory/site.ts'
import type { StagePki } from '../pki/stage-pki.ts'
import type { Provider } from '../providers/provider.ts'
import { forgetHostKeys, nameInKnownHosts } from './known-hosts.ts'

export interface ReplaceInput {
  readonly site: Site
  readonly provider: Pick<Provider, 'sshTarget'>
  readonly pki: Pick<StagePki, 'forgetHost'>
  readonly agents: Pick<SiteAgents, 'reach' | 'forget'>
  readonly emit: Emit
  readonly signal: AbortSignal
}

const firstSshPort = 22

/**
 * The recorded ssh key and the certificate of each named host. One whose agent answers with its certificate is no other machine: nothing of it
 * is forgotten, so that naming it again after an interruption does no harm.
 */
export async function forgetReplaced(input: ReplaceInput, names: ReadonlySet<string>): Promise<void> {
  const { site, agents, emit, signal } = input
  for (const host of site.hosts.filter(({ name }) => names.has(name))) {
    if ('client' in (await agents.reach(host.name, signal))) {
      emit({ code: 'notice', message: `${host.name} answers as the host that it was: nothing of it is forgotten` })
      continue
    }
    await forgetMachine(input, host)
    emit({
      code: 'notice',
      message: `${host.name}: its ssh key is forgotten and its certificate revoked, whoever answers at ${host.address} is taken for the new host`,
    })
  }
}

/** The same of one host, whoever answers. */
export async function forgetMachine(input: Omit<ReplaceInput, 'emit' | 'signal'>, host: Host): Promise<void> {
  const { site, pki, agents } = input
  await forgetHostKeys(site.contextDir, recordedNames(input, host))
  pki.forgetHost(host.name, 'the host was replaced')
  agents.forget(host.name)
}

/** By the provider's address and the inventory's, at the first port and the one that setup-hosts gives. */
function recordedNames({ site, provider }: Pick<ReplaceInput, 'site' | 'provider'>, host: Host): readonly string[] {
  const target = provider.sshTarget(site, host.name)
  const ports = [firstSshPort, host.settings.sshdPort, target.port]
  return [target.address, host.address].flatMap((address) => ports.map((port) => nameInKnownHosts(address, port)))
}
