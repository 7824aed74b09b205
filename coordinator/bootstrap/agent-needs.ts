/** What each host's agent needs to become the one that this hivecoord has. */
import { compareVersions, versionSkew } from '../../proto/version-skew.ts'
import type { Host } from '../inventory/site.ts'
import type { AgentPackages } from './agent-packages.ts'

export interface AgentAnswer {
  readonly version: string
  readonly binarySha256: string
  /** Of the agent's certificate. */
  readonly certificateExpires?: Date | undefined
}

/** Asks a host's agent which one it is; undefined where it does not answer, or may not be asked from here. */
export type Answers = (host: Host) => Promise<AgentAnswer | undefined>

/**
 * `install`: none answers. `upgrade`: it is older, or another build of the same version. `newer`: it is newer, and works with this one;
 * `too-new`: it does not. No agent is made older unless somebody says so.
 */
export type AgentNeed = 'install' | 'upgrade' | 'newer' | 'too-new'

export interface NeedOf {
  readonly need: AgentNeed
  /** What runs now, "" where none answers. */
  readonly version: string
}

/** Undefined where it is the same already. */
export function needOf(answer: AgentAnswer | undefined, wanted: Pick<AgentPackages, 'version' | 'binarySha256'>): NeedOf | undefined {
  if (answer === undefined) return { need: 'install', version: '' }
  const { version } = answer
  if (answer.binarySha256 === wanted.binarySha256) return undefined
  if (versionSkew(wanted.version, version) === 'agent-newer') return { need: 'too-new', version }
  return { need: compareVersions(version, wanted.version) > 0 ? 'newer' : 'upgrade', version }
}

/** All hosts at once; those that have the same agent already are left out. */
export async function agentNeeds(
  hosts: readonly Host[],
  wanted: Pick<AgentPackages, 'version' | 'binarySha256'>,
  answers: Answers,
): Promise<ReadonlyMap<string, NeedOf>> {
  const asked = await Promise.all(hosts.map(async (host) => [host.name, needOf(await answers(host), wanted)] as const))
  return new Map(asked.flatMap(([name, need]) => (need === undefined ? [] : [[name, need] as const])))
}
