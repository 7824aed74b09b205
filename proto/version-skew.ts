/**
 * Versions of coordinator and agent. What is one minor version apart, or less, works together, in both directions: fields of messages are
 * only added, and whoever gets one that it does not know leaves it alone.
 */

/** `compatible`: not the same, and near enough. The others: too far apart, by the agent's side. */
export type VersionSkew = 'same' | 'compatible' | 'agent-older' | 'agent-newer'

type Version = readonly [major: number, minor: number, patch: number]

/** Undefined for what is no version: programs that run from their source tell one of their own ("0.0.0-source"). */
function parse(text: string): Version | undefined {
  const found = /^(\d+)\.(\d+)\.(\d+)(?:[-+~].*)?$/.exec(text)
  return found === null || text.endsWith('-source') ? undefined : [Number(found[1]), Number(found[2]), Number(found[3])]
}

/** Something unversioned is taken for what it is compared with. */
export function versionSkew(coordinator: string, agent: string): VersionSkew {
  const [own, other] = [parse(coordinator), parse(agent)]
  if (coordinator === agent || own === undefined || other === undefined) return 'same'
  if (own[0] === other[0] && Math.abs(own[1] - other[1]) <= 1) return 'compatible'
  return compareVersions(agent, coordinator) < 0 ? 'agent-older' : 'agent-newer'
}

/** Below 0: `a` is older. A pre-release comes before its release; of two pre-releases neither is older. */
export function compareVersions(a: string, b: string): number {
  const [first, second] = [parse(a), parse(b)]
  if (first === undefined || second === undefined) return 0
  const [major, minor, patch] = [first[0] - second[0], first[1] - second[1], first[2] - second[2]]
  return major || minor || patch || Number(isPreRelease(b)) - Number(isPreRelease(a))
}

const isPreRelease = (version: string): boolean => /^[\d.]+[-~]/.test(version)
