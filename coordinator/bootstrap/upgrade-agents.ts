/** `agent upgrade` and `agent list`: the agents of a stage that stands. */
import type { InfoResponse } from '#gen/hive/v1/host.ts'
import { type VersionSkew, versionSkew } from '../../proto/version-skew.ts'
import { reportOf } from '../client/errors.ts'
import type { SiteAgents } from '../client/site-agents.ts'
import type { Emit, ErrorReport } from '../events.ts'
import type { Host, Site } from '../inventory/site.ts'
import type { StagePki } from '../pki/stage-pki.ts'
import type { Provider } from '../providers/provider.ts'
import { exclusively } from '../run/exclusive.ts'
import { newRunId } from '../run/journal.ts'
import { MaintenanceWindow } from '../zabbix/maintenance.ts'
import { type NeedOf, needOf } from './agent-needs.ts'
import type { AgentPackages } from './agent-packages.ts'
import { upgradeOneByOne } from './roll-agents.ts'

export interface UpgradeInput {
  readonly site: Site
  readonly provider: Provider
  readonly pki: StagePki
  readonly agents: SiteAgents
  readonly packages: AgentPackages
  /** In the inventory's order. */
  readonly hosts: readonly Host[]
  /** Also agents that are newer become this hivecoord's. */
  readonly allowDowngrade: boolean
  readonly emit: Emit
  readonly signal: AbortSignal
}

export interface UpgradeResult {
  /** What the agents are brought to. */
  readonly version: string
  /** Hosts by what became of them; upgraded in the order in which they were. */
  readonly upgraded: readonly string[]
  readonly same: readonly string[]
  /** Left as they are: newer than this hivecoord's. */
  readonly newer: readonly string[]
  /** Left out: they do not answer. */
  readonly unreachable: readonly string[]
}

/** Throws HiveError 'locked' when another coordinator is at work, and the error at which it stopped. Nothing to do: asks each agent once. */
export async function upgradeAgents(input: UpgradeInput): Promise<UpgradeResult> {
  const { site, agents, packages, hosts, allowDowngrade, signal } = input
  const reached = await agents.reachAll(
    hosts.map(({ name }) => name),
    signal,
  )
  const found = hosts.map((host): { host: Host; need: NeedOf | undefined } => {
    const answer = reached.get(host.name)
    return { host, need: needOf(answer !== undefined && 'info' in answer ? answer.info : undefined, packages) }
  })
  const withNeed = (...wanted: readonly (NeedOf['need'] | undefined)[]): readonly Host[] =>
    found.filter(({ need }) => wanted.includes(need?.need)).map(({ host }) => host)
  const names = (list: readonly Host[]): readonly string[] => list.map(({ name }) => name)
  const todo = allowDowngrade ? withNeed('upgrade', 'newer', 'too-new') : withNeed('upgrade')
  const needs = new Map(found.flatMap(({ host, need }) => (need === undefined ? [] : [[host.name, need] as const])))
  const rolled =
    todo.length === 0
      ? { upgraded: [] }
      : await exclusively({ site, agents, purpose: 'agent upgrade', signal, now: () => new Date() }, async (_lock, held) => {
          const window = new MaintenanceWindow({ site, agents, id: newRunId(new Date()), title: 'agent upgrade', emit: input.emit })
          try {
            await window.cover(names(todo), held)
            return await upgradeOneByOne({ ...input, hosts: todo, needs, signal: held })
          } finally {
            await window.close()
          }
        })
  return {
    version: packages.version,
    upgraded: rolled.upgraded,
    same: names(withNeed(undefined)),
    newer: allowDowngrade ? [] : names(withNeed('newer', 'too-new')),
    unreachable: names(withNeed('install')),
  }
}

export interface AgentStatus {
  readonly host: string
  /** Undefined where it does not answer. */
  readonly info: InfoResponse | undefined
  /** Beside this hivecoord. */
  readonly skew: VersionSkew | undefined
  /** Why it does not answer. */
  readonly error: ErrorReport | undefined
}

/** All at once; never rejects but for `signal`. */
export async function listAgents(site: Pick<Site, 'hosts'>, agents: SiteAgents, version: string, signal: AbortSignal): Promise<readonly AgentStatus[]> {
  const reached = await agents.reachAll(
    site.hosts.map(({ name }) => name),
    signal,
  )
  return [...reached].map(([host, answer]) =>
    'error' in answer
      ? { host, info: undefined, skew: undefined, error: reportOf(answer.error, host) }
      : { host, info: answer.info, skew: versionSkew(version, answer.info.version), error: undefined },
  )
}
