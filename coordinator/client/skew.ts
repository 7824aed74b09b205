/** What an agent of another version may be asked. */
import type { InfoResponse } from '#gen/hive/v1/host.ts'
import { HiveError } from '../../proto/errors.ts'
import { rules } from '../../proto/roles.ts'
import { versionSkew } from '../../proto/version-skew.ts'

/** Why this coordinator and the agent do not work together; undefined where they do. */
export function whyNotTogether(coordinator: string, { host, version }: Pick<InfoResponse, 'host' | 'version'>): HiveError | undefined {
  const skew = versionSkew(coordinator, version)
  switch (skew) {
    case 'same':
    case 'compatible':
      return undefined
    case 'agent-older':
    case 'agent-newer':
      return new HiveError('conflict', `${host} runs agent ${version}, and this hivecoord is ${coordinator}: more than one minor version apart`, {
        host,
        hint:
          skew === 'agent-older'
            ? `hivecoord agent upgrade brings the agents to ${coordinator}`
            : `use hivecoord ${version}; or hivecoord agent upgrade --allow-downgrade brings the agents to ${coordinator}`,
      })
  }
}

/** What any two versions must do together for one to be brought to the other: the lock, and the end of what runs. */
const always = new Set(['hive.v1.LockService/Acquire', 'hive.v1.LockService/Release', 'hive.v1.StepService/CancelRun'])

/** Whether a call depends on both sides meaning the same: what changes a host, and plans. `path`: "/PACKAGE.SERVICE/METHOD". */
export function needsTogether(path: string): boolean {
  const name = path.replace(/^\//, '')
  if (always.has(name)) return false
  return name === 'hive.v1.StepService/Plan' || rules[name]?.mutates === true
}
