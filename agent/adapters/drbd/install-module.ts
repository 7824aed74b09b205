/** Brings DRBD's module and tools to this host: from an archive that the site names, else from the host's package sources. */
import { HiveError } from '../../../proto/errors.ts'
import { run } from '../command.ts'
import { configExcluding, inScratchFolder } from '../kernel-hold.ts'
import { newestInstalled, nextKernel } from '../kernel-modules.ts'
import type { PackageSystem } from '../os.ts'
import { installPackageFiles, installPackages, type PackageWork, packageStates } from '../packages.ts'
import { compareVersions, floorText, reachesFloor } from './module-version.ts'
import { choosePackages, fetchPackages, parseArchiveSource } from './package-archive.ts'

const urlHint = 'set hive_drbd_download_url to an archive of packages for this kernel'

/** Packages of the module and the tools that go with them: ELRepo's for EL 9, for EL 8, LINBIT's. */
const rpmPairs: readonly (readonly [module: string, tools: string])[] = [
  ['kmod-drbd9x', 'drbd9x-utils'],
  ['kmod-drbd90', 'drbd90-utils'],
  ['kmod-drbd', 'drbd-utils'],
]

/** The newest of these modules that the sources have, from `dnf repoquery` with a line "NAME VERSION" each; undefined: none. */
export function newestModule(output: string): { readonly module: string; readonly tools: string; readonly version: string } | undefined {
  const offers = output.split('\n').flatMap((line) => {
    const [name = '', version = ''] = line.trim().split(/\s+/)
    const pair = rpmPairs.find(([module]) => module === name)
    return pair === undefined || version === '' ? [] : [{ module: pair[0], tools: pair[1], version }]
  })
  return offers.sort((a, b) => compareVersions(b.version, a.version))[0]
}

/** The version that apt would install, from `apt-cache policy NAME`; '' where there is none. */
export function candidateOf(policy: string): string {
  const version = /^ {2}Candidate: (.+)$/m.exec(policy)?.[1] ?? '(none)'
  return version === '(none)' ? '' : version.replace(/^\d+:/, '')
}

/** Whether apt's lists, as they are, have a module to build. A host that never fetched lists has none. */
export async function aptOffersModule(signal: AbortSignal): Promise<boolean> {
  return candidateOf((await run(['apt-cache', 'policy', 'drbd-dkms'], { readOnly: true, signal })).stdout) !== ''
}

/** What a host lacks. */
export interface Lack {
  readonly system: PackageSystem
  /** hive_drbd_download_url; '': from the package sources. */
  readonly url: string
  /** The release that the module is to be for. */
  readonly kernel: string
  readonly module: boolean
  readonly tools: boolean
}

/** Installs what is missing. Throws HiveError 'blocked' where nothing that fits is to be had. */
export async function installModule(lack: Lack, work: PackageWork): Promise<void> {
  if (!lack.module && !lack.tools) return
  await inScratchFolder(async (folder) => {
    // With the kernels left out, a module that needs another kernel does not bring it along.
    const config = lack.system === 'dnf' ? await configExcluding(folder, ['kernel*']) : undefined
    if (lack.url !== '') await installArchive(lack, folder, config, work)
    else if (config !== undefined) await installByDnf(lack, config, work)
    else await installByApt(lack, work)
  })
}

async function installArchive({ url, system, kernel, tools }: Lack, folder: string, config: string | undefined, work: PackageWork): Promise<void> {
  const source = parseArchiveSource(url)
  const helpers = [...(await packageStates(system, ['curl', 'tar']))].filter(([, { installed }]) => !installed).map(([name]) => name)
  await installPackages(system, helpers, work)
  // Debian's drbd-utils fit any module.
  const chosen = choosePackages(await fetchPackages(source, system, folder, work), kernel, !tools || system === 'apt')
  work.onLine(`installing ${chosen.map(({ name, version }) => `${name} ${version}`).join(', ')}`)
  if (system === 'apt' && chosen.some(({ sources }) => sources)) await installPackages('apt', [`linux-headers-${kernel}`], work)
  const files = chosen.map(({ file }) => file)
  await installPackageFiles(system, files, work, config)
  if (system === 'apt' && tools && !chosen.some((one) => one.tools)) await installPackages('apt', ['drbd-utils'], work)
}

async function installByDnf(lack: Lack, config: string, work: PackageWork): Promise<void> {
  const { signal } = work
  const names = rpmPairs.map(([module]) => module)
  const query = ['dnf', '-q', '-c', config, 'repoquery', '--latest-limit=1', '--qf', '%{name} %{version}\\n', ...names] as const
  // It fetches the sources' lists.
  const offer = newestModule((await run(query, { timeout: 600_000, signal })).stdout)
  if (offer === undefined) throw new HiveError('not-found', 'no package source of this host has DRBD 9', { hint: `dnf repolist tells them; or ${urlHint}` })
  const { module, tools, version } = offer
  if (lack.module && !reachesFloor(version))
    throw new HiveError('blocked', `the package sources have DRBD ${version} at most (${module}); at least ${floorText} is needed`, { hint: urlHint })
  try {
    await installPackageFiles('dnf', [...(lack.module ? [module] : []), ...(lack.tools ? [tools] : [])], work, config)
  } catch (thrown) {
    if (!(thrown instanceof HiveError) || !thrown.log.some((line) => /\bkernel\S*\b.*(?:needed by|filtered out)|(?:needed by|requires) .*\bkernel/.test(line)))
      throw thrown
    const hint = `set hive_kernel_version to the kernel that it is for, or ${urlHint}`
    throw new HiveError('blocked', `no build of ${module} is for kernel ${lack.kernel}`, { hint, log: thrown.log, cause: thrown })
  }
}

/** Debian's kernels have DRBD 8.4 only. LINBIT's sources have the module to be built on the host. */
async function installByApt(lack: Lack, work: PackageWork): Promise<void> {
  const { signal } = work
  if (lack.module) {
    if (!(await aptOffersModule(signal))) await run(['apt-get', 'update'], { timeout: 600_000, signal, env: { DEBIAN_FRONTEND: 'noninteractive' } })
    const version = candidateOf((await run(['apt-cache', 'policy', 'drbd-dkms'], { readOnly: true, signal })).stdout)
    if (version === '') throw noAptModule()
    if (!reachesFloor(version))
      throw new HiveError('blocked', `the package sources have DRBD ${version} at most (drbd-dkms); at least ${floorText} is needed`, { hint: urlHint })
  }
  await installPackages('apt', [...(lack.module ? [`linux-headers-${lack.kernel}`, 'drbd-dkms'] : []), ...(lack.tools ? ['drbd-utils'] : [])], work)
}

export const noAptModule = (): HiveError =>
  new HiveError('blocked', "no package source of this host has the module of DRBD 9 (drbd-dkms); the kernel's own is DRBD 8.4", {
    hint: `add a source that has it to /etc/apt/sources.list.d (LINBIT's), or ${urlHint}`,
  })

/** Installs a kernel and makes it the one that boots next. Answers its release. Throws HiveError 'blocked' where grub is set otherwise. */
export async function installKernel(pattern: string, system: PackageSystem, work: PackageWork): Promise<string> {
  if ((await newestInstalled(pattern)) === undefined) {
    if (system === 'apt') {
      if (/[*?[]/.test(pattern))
        throw new HiveError('invalid-input', `hive_kernel_version: "${pattern}" has to be one kernel here`, {
          hint: 'write it as uname -r does, such as 6.1.0-28-amd64',
        })
      await installPackages('apt', [`linux-image-${pattern}`, `linux-headers-${pattern}`], work)
    } else
      await inScratchFolder(async (folder) => {
        await installPackageFiles('dnf', [`kernel-${pattern}`, `kernel-modules-extra-${pattern}`], work, await configExcluding(folder, []))
      })
  }
  const release = await newestInstalled(pattern)
  if (release === undefined) throw new HiveError('not-converged', `kernel ${pattern} was installed, and there is none of that name in /boot`)
  if ((await nextKernel()) === release) return release
  if (system === 'dnf') await run(['grubby', '--set-default', `/boot/vmlinuz-${release}`], { signal: work.signal })
  if ((await nextKernel()) !== release)
    throw new HiveError('blocked', `kernel ${release} is installed, and grub boots another one`, {
      hint: 'set GRUB_DEFAULT in /etc/default/grub, then update-grub',
    })
  return release
}
