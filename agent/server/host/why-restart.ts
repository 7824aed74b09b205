/** Whether what was installed needs the host to start anew. */
import { isMissingProgram, run } from '../../adapters/command.ts'
import { workingKernels } from '../../adapters/drbd/kernel-update.ts'
import { hasResources } from '../../adapters/drbd/resource-store.ts'
import { exists, readText } from '../../adapters/files.ts'
import { nextKernel, runningKernel } from '../../adapters/kernel-modules.ts'

/** Sentences for people; empty: it need not. Reads only. */
export async function whyRestart(signal: AbortSignal): Promise<readonly string[]> {
  const [running, next, flagged, needed] = await Promise.all([runningKernel(), nextKernel(), flaggedPackages(), needsRestarting(signal)])
  return restartReasons({ running, next, flagged, needed })
}

/** What would be lost by it, in sentences. Reads only. */
export async function whyNotRestart(signal: AbortSignal): Promise<readonly string[]> {
  const [running, next] = await Promise.all([runningKernel(), nextKernel()])
  if (next === undefined || next === running || !(await hasResources())) return []
  if (await (await workingKernels(true, signal))(next)) return []
  return [`kernel ${next} boots next and has no DRBD that its mirrored volumes work with: they would not come up`]
}

export interface RestartFacts {
  readonly running: string
  /** undefined: nothing tells (a container has no kernel of its own). */
  readonly next: string | undefined
  /** Of Debian's flag; undefined: there is none. */
  readonly flagged: readonly string[] | undefined
  /** What EL's tool says. */
  readonly needed: boolean
}

/** Pure. */
export function restartReasons({ running, next, flagged, needed }: RestartFacts): readonly string[] {
  const kernel = next !== undefined && next !== running
  return [
    ...(kernel ? [`runs kernel ${running}, and ${next} boots next`] : []),
    ...(flagged === undefined ? [] : [`packages ask for it${flagged.length === 0 ? '' : `: ${flagged.join(', ')}`}`]),
    ...(needed && !kernel ? ['libraries or services in use were updated'] : []),
  ]
}

const flag = '/run/reboot-required'

async function flaggedPackages(): Promise<readonly string[] | undefined> {
  if (!(await exists(flag))) return undefined
  return [...new Set((await readText(`${flag}.pkgs`)).split('\n').filter((line) => line !== ''))]
}

/** Exit code 1 where a restart is needed; the tool need not be there. */
async function needsRestarting(signal: AbortSignal): Promise<boolean> {
  try {
    return (await run(['needs-restarting', '-r'], { readOnly: true, okCodes: [0, 1], signal })).code === 1
  } catch (thrown) {
    if (isMissingProgram(thrown)) return false
    throw thrown
  }
}
