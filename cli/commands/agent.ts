/** `hivecoord agent`: which agents the hosts run, and bringing them to this hivecoord's version. */
import type { Command } from 'commander'
import pc from 'picocolors'
import type { AgentStatus } from '../../coordinator/index.ts'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { leftOutExitCode } from '../exit-codes.ts'
import { columns, count, shortHost } from '../render/format.ts'
import { registerAgentPackage } from './agent-package.ts'
import { findHost } from './find-host.ts'

export function registerAgent(program: Command, app: () => App): void {
  const agent = program.command('agent').description('the agents of the hosts, and their packages')
  registerAgentPackage(agent, app)
  agent
    .command('list')
    .description('show which agent each host runs, how it was installed, and until when its certificate is valid')
    .action(async () => {
      const { open, renderer, signal } = app()
      const stage = await open()
      const list = await stage.listAgents(signal)
      renderer.result(list.map(asJson), columns(list.map(asRow)))
    })
  agent
    .command('upgrade')
    .description("bring agents to this hivecoord's version, one host at a time, each verified before the next")
    .argument('[hosts...]', 'default: all')
    .option('--allow-downgrade', 'also agents that are newer')
    .action(async (names: string[], options: { allowDowngrade?: boolean }) => {
      const { open, renderer, signal } = app()
      const stage = await open()
      const chosen = new Set(names.map((name) => findHost(stage.site, name).name))
      const hosts = stage.site.hosts.filter(({ name }) => chosen.size === 0 || chosen.has(name))
      const result = await stage.upgradeAgents({ hosts, allowDowngrade: options.allowDowngrade === true, signal })
      const { version, upgraded, newer, unreachable } = result
      const list = (hostNames: readonly string[]): string => hostNames.map(shortHost).join(', ')
      renderer.result(
        result,
        [
          upgraded.length === 0 ? 'nothing to upgrade' : `${count(upgraded.length, 'agent')} upgraded to ${version}: ${list(upgraded)}`,
          ...(newer.length === 0 ? [] : [`newer than ${version}, and left as they are: ${list(newer)}`]),
          ...(unreachable.length === 0 ? [] : [pc.yellow(`${count(unreachable.length, 'host')} did not answer and were left out: ${list(unreachable)}`)]),
        ].join('\n'),
      )
      if (chosen.size > 0 && unreachable.length === hosts.length)
        throw new HiveError('unreachable', `${list(unreachable)} did not answer`, { hint: 'build-infra puts agents where none answers' })
      if (unreachable.length > 0) process.exitCode = leftOutExitCode
    })
}

const asJson = ({ host, info, skew, error }: AgentStatus): unknown =>
  info === undefined
    ? { host, error }
    : { host, version: info.version, skew, binarySha256: info.binarySha256, package: info.package, certificateExpires: info.certificateExpires }

function asRow({ host, info, skew, error }: AgentStatus): readonly string[] {
  if (info === undefined) return [shortHost(host), pc.red(error?.message ?? 'no answer')]
  const apart = skew === 'agent-older' || skew === 'agent-newer' ? pc.red('too far apart') : ''
  const expires = info.certificateExpires?.toISOString().slice(0, 10) ?? ''
  return [shortHost(host), info.version, info.binarySha256.slice(0, 12), info.package === '' ? 'no package' : info.package, `until ${expires}`, apart]
}
