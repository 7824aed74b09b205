/**
 * Kernels, and DRBD's module in them, brought to what the package sources have: what kernel-hold.ts keeps as it is otherwise.
 *
 * A kernel in which DRBD does not work is not left as the one that boots next. On EL, grub goes on to boot the one before; on Debian, where the
 * newest boots, a kernel comes alone at first, and goes again where it gets no module. The package that names the newest follows when that is there.
 */
import { HiveError, messageOf } from '../../../proto/errors.ts'
import { run } from '../command.ts'
import { configExcluding, heldKernels, hold, inScratchFolder, missingHolds } from '../kernel-hold.ts'
import { installedKernels, isKernel, newestInstalled, newestOf, nextKernel, readModule, runningKernel, signaturesRequired } from '../kernel-modules.ts'
import type { PackageSystem } from '../os.ts'
import { installPackages, installUpdates, newerKernelPackages, type PackageWork, packageOptions, removePackages } from '../packages.ts'
import { installKernel, installModule } from './install-module.ts'
import { serves } from './module-verdict.ts'
import { loadedVersion, readVersions } from './module-version.ts'

export interface KernelTarget {
  /** hive_kernel_version; '': the newest that the sources have. */
  readonly pattern: string
  /** The host's volumes need DRBD. */
  readonly needsDrbd: boolean
  /** hive_drbd_download_url; '': the module comes from the package sources. */
  readonly moduleUrl: string
}

/** Milliseconds, for holding again what was let go of, also where the work was stopped. */
const holdDeadline = 60_000

/** What updateKernel would bring, for people; empty: nothing. Throws HiveError 'blocked' where grub chooses in a way that can't be read. */
export async function pendingKernel(system: PackageSystem, { pattern, needsDrbd }: KernelTarget, signal: AbortSignal): Promise<readonly string[]> {
  const [next, running, kernels] = await Promise.all([nextKernel(), runningKernel(), installedKernels()])
  if (needsDrbd && next === undefined && kernels.length > 0) throw unknownNext()
  const works = await workingKernels(needsDrbd, signal)
  // The running one is setup-hosts' to put right.
  const lacking = next === undefined || next === running || (await works(next)) ? [] : [`DRBD for kernel ${next}`]
  if (pattern !== '') return next !== undefined && isKernel(pattern, next) ? lacking : [`kernel ${pattern}`]
  const offered = await newerKernelPackages(system, signal)
  if (offered.length > 0 || next === undefined) return offered
  if (lacking.length > 0) return lacking
  const newest = newestOf(kernels)
  // Its module may have come after it.
  return newest !== undefined && newest !== next && system === 'dnf' && (await works(newest)) ? [`kernel ${newest}`] : []
}

/** Updates all other packages, too. Throws HiveError 'blocked' where a kernel got no module; the one before boots next, then. */
export async function updateKernel(system: PackageSystem, target: KernelTarget, work: PackageWork): Promise<void> {
  const works = await workingKernels(target.needsDrbd, work.signal)
  if (system === 'dnf') await updateByDnf(target, works, work)
  else await updateByApt(target, works, work)
}

type Works = (release: string) => Promise<boolean>

/** Whether DRBD as it works now would do so with a kernel. */
export async function workingKernels(needsDrbd: boolean, signal: AbortSignal): Promise<Works> {
  if (!needsDrbd) return async () => true
  const versions = await readVersions(signal)
  const [loaded, signatures] = await Promise.all([loadedVersion(versions?.module ?? '', signal), signaturesRequired()])
  return async (release) => serves(await readModule('drbd', release, signal), loaded, signatures)
}

async function updateByDnf(target: KernelTarget, works: Works, work: PackageWork): Promise<void> {
  const { pattern } = target
  const before = await nextKernel()
  await inScratchFolder(async (folder) => {
    await installUpdates('dnf', work, await configExcluding(folder, pattern === '' ? [] : ['kernel*']))
  })
  const running = await runningKernel()
  const newest = pattern === '' ? await newestInstalled('') : await installKernel(pattern, 'dnf', work)
  if (newest === undefined) return
  const failure = await bringModule('dnf', target, newest, works, work)
  const known = before !== undefined && (await works(before)) ? before : running
  const next = failure === undefined ? newest : known
  if ((await nextKernel()) !== next) await run(['grubby', '--set-default', `/boot/vmlinuz-${next}`], { signal: work.signal })
  if (failure !== undefined) throw refusal(newest, failure, (await nextKernel()) === next ? next : undefined)
}

async function updateByApt(target: KernelTarget, works: Works, work: PackageWork): Promise<void> {
  const { pattern } = target
  const before = new Set(await installedKernels())
  if (pattern === '') {
    const offered = (await newerKernelPackages('apt', work.signal)).flatMap((name) => /^linux-image-(\d.*)$/.exec(name)?.[1] ?? [])
    const releases = offered.filter((release) => !before.has(release))
    await installPackages(
      'apt',
      releases.map((release) => `linux-image-${release}`),
      work,
    )
  }
  const next = pattern === '' ? await nextKernel() : await installKernel(pattern, 'apt', work)
  const failure = next === undefined ? undefined : await bringModule('apt', target, next, works, work)
  if (next !== undefined && failure !== undefined) {
    if (!before.has(next) && next !== (await runningKernel())) await removePackages('apt', [`linux-image-${next}`], work)
    const boots = await nextKernel()
    throw refusal(next, failure, boots !== undefined && (await works(boots)) ? boots : undefined)
  }
  const held = pattern === '' ? await heldKernels(work.signal) : []
  try {
    if (held.length > 0) await run(['apt-mark', 'unhold', ...held], packageOptions(work))
    await installUpdates('apt', work)
  } finally {
    await holdKernels(work)
  }
}

async function holdKernels({ onLine }: PackageWork): Promise<void> {
  const signal = AbortSignal.timeout(holdDeadline)
  await hold('apt', await missingHolds('apt', signal), { signal, onLine })
}

/** Answers why the kernel has no DRBD that works; undefined: it has. */
async function bringModule(system: PackageSystem, { moduleUrl }: KernelTarget, kernel: string, works: Works, work: PackageWork): Promise<unknown> {
  if (kernel === (await runningKernel()) || (await works(kernel))) return undefined
  try {
    await installModule({ system, url: moduleUrl, kernel, module: true, tools: false }, work)
  } catch (error) {
    if (work.signal.aborted) throw error
    return error
  }
  return (await works(kernel)) ? undefined : new HiveError('blocked', 'what was installed for it is no module that this host can load')
}

/** `keeps`: the kernel that boots next instead; undefined: none that works does. */
function refusal(kernel: string, cause: unknown, keeps: string | undefined): HiveError {
  const { hint, log = [] } = cause instanceof HiveError ? cause : ({} as Partial<HiveError>)
  return new HiveError(
    'blocked',
    `kernel ${kernel} has no DRBD that the mirrored volumes of this host would work with: ${messageOf(cause)}; ${keeps === undefined ? 'do not restart this host' : `${keeps} boots next`}`,
    { hint: hint ?? (keeps === undefined ? `remove linux-image-${kernel}, or install its module` : 'update again when there is a module for it'), log, cause },
  )
}

const unknownNext = (): HiveError =>
  new HiveError('blocked', 'which kernel boots next is chosen in a way that files do not tell', {
    hint: 'on Debian, GRUB_DEFAULT=0 in /etc/default/grub; on EL, GRUB_DEFAULT=saved; then update-grub, or grub2-mkconfig',
  })
