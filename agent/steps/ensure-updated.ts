/** Packages are as new as their sources have them. What the sources have is asked for at most once an hour. */
import { join } from 'node:path'
import type { EnsureUpdated } from '#gen/hive/v1/steps_host.ts'
import { HiveError } from '../../proto/errors.ts'
import { type KernelTarget, pendingKernel, updateKernel } from '../adapters/drbd/kernel-update.ts'
import { readText, rootFile, writeFileAtomic } from '../adapters/files.ts'
import { type PackageSystem, packageSystem } from '../adapters/os.ts'
import { fetchLists, installUpdates, pendingUpdates } from '../adapters/packages.ts'
import { stateFolder } from '../adapters/state-folder.ts'
import { workOf } from './ensure-packages.ts'
import { blocked, change, type Executor, ok } from './executor.ts'

/** Milliseconds. */
const young = 3_600_000
const note = (): string => join(stateFolder(), 'package-lists')

export const ensureUpdated: Executor<EnsureUpdated> = {
  exclusive: () => 'packages',

  async check(spec, { signal }) {
    const { listsOnly, kernel } = spec
    const system = await packageSystem()
    if (system === undefined) return blocked('this host has neither apt nor dnf')
    if (listsOnly) return isYoung(await readText(note()), Date.now()) ? ok : change('what the package sources have may be newer than is known')
    const pending = [...new Set([...(await pendingUpdates(system, signal)), ...(kernel ? await pendingKernel(system, targetOf(spec), signal) : [])])]
    return pending.length === 0 ? ok : change(`${pending.length} packages are older than their sources have them`, '', pending.join(' '))
  },

  async apply(spec, context) {
    const { listsOnly, kernel } = spec
    const system = await known()
    const work = workOf(context)
    if (!listsOnly) return kernel ? updateKernel(system, targetOf(spec), work) : installUpdates(system, work)
    await fetchLists(system, work)
    await writeFileAtomic(note(), `${new Date().toISOString()}\n`, rootFile)
  },
}

const targetOf = ({ kernelVersion, needsDrbd, drbdDownloadUrl }: EnsureUpdated): KernelTarget => ({
  pattern: kernelVersion,
  needsDrbd,
  moduleUrl: drbdDownloadUrl,
})

async function known(): Promise<PackageSystem> {
  const system = await packageSystem()
  if (system === undefined) throw new HiveError('unsupported', 'this host has neither apt nor dnf')
  return system
}

/** Whether a note was written within the last hour; one of the future, after the clock was set, was not. Exported for tests. */
export function isYoung(written: string, now: number): boolean {
  const age = now - Date.parse(written.trim())
  return age >= 0 && age < young
}
