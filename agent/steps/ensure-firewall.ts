import type { EnsureFirewall } from '#gen/hive/v1/steps_network.ts'
import { daemonInfo } from '../adapters/docker/swarm.ts'
import { exclusiveKey, keepSettings, lookAtFirewall, putInPlace, readSettings, settingsFit, shutOut } from '../adapters/network/firewall.ts'
import { blocked, change, type Executor, okWith } from './executor.ts'

/**
 * The rules first, the file that the agent keeps them by last: an agent that ends between the two, or is killed by it, finds the file of before and
 * puts its rules back (agent/watchers/firewall-keeper.ts).
 */
export const ensureFirewall: Executor<EnsureFirewall> = {
  exclusive: () => exclusiveKey,

  async check(spec, context) {
    const looks = await lookAtFirewall(spec, context.signal)
    if (looks.length === 0 && !spec.absent) return blocked('this host has no iptables', 'the package iptables is one of those that setup-hosts installs')
    const out = await shutOut(spec)
    if (out.length > 0)
      return blocked(`${out.join(', ')} would be shut out, and is connected now`, 'add them to hive_ssh_source_ips or hive_agent_source_ips, or let them leave')
    const differences = [...looks.flatMap((look) => look.differences), ...((await settingsFit(spec)) ? [] : ['the agent keeps other rules'])]
    if (differences.length === 0) return okWith(await withoutDocker(looks, context.signal))
    const before = await readSettings().catch(() => undefined)
    return change(differences.join('; '), before === undefined ? 'off' : summary(before), spec.absent ? 'off' : summary(spec))
  },

  async apply(spec, context) {
    await putInPlace(spec, { signal: context.signal, log: (line) => context.log(line) })
    await keepSettings(spec)
  },
}

/** A firewall that others reload takes docker's chains along. */
async function withoutDocker(looks: Awaited<ReturnType<typeof lookAtFirewall>>, signal: AbortSignal): Promise<readonly string[]> {
  if (looks.some(({ family, present }) => family === 4 && present.dockerIsThere)) return []
  const runs = await daemonInfo({ signal, timeout: 5_000 }).then(
    () => true,
    () => false,
  )
  return runs ? ["docker's chains are gone from iptables: published ports do not work until `systemctl restart docker`"] : []
}

const summary = ({
  hosts,
  cluster,
  sshSources,
  agentSources,
  internalFrom,
}: Pick<EnsureFirewall, 'hosts' | 'cluster' | 'sshSources' | 'agentSources' | 'internalFrom'>): string =>
  [
    `from ${hosts.join(', ')}: ${cluster.map(({ protocol, ports }) => `${ports.join(', ')}/${protocol}`).join(', ') || 'nothing'}`,
    `ssh from ${sshSources.join(', ') || 'everywhere'}`,
    `agent from ${agentSources.join(', ') || 'everywhere'}`,
    `published ports from ${internalFrom} on are internal`,
  ].join('; ')
