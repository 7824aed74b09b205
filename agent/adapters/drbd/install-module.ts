/** Brings DRBD's module and tools to this host: from an archive that the site names, else from the host's package sources. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { HiveError } from '../../../proto/errors.ts'
import { run } from '../command.ts'
import { readText, rootFile, writeFileAtomic } from '../files.ts'
import { assertMayMutate } from '../gate.ts'
import { dnfConfig, withExcludes } from '../kernel-hold.ts'
import { compareReleases, installedKernels, isKernel, nextKernel } from '../kernel-modules.ts'
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

/** Installs what is missing for this kernel. Throws HiveError 'blocked' where nothing that fits is to be had. */
export async function installModule(url: string, system: PackageSystem, kernel: string, hasTools: boolean, work: PackageWork): Promise<void> {
  await inScratchFolder(async (folder) => {
    // With the kernels left out, a module that needs another kernel does not bring it along.
    const config = path.join(folder, 'dnf.conf')
    if (system === 'dnf') await writeFileAtomic(config, withExcludes(await readText(dnfConfig), ['kernel*']), rootFile)
    if (url !== '') await installArchive(url, system, kernel, hasTools, folder, config, work)
    else if (system === 'dnf') await installByDnf(kernel, config, work)
    else await installByApt(kernel, work)
  })
}

async function installArchive(
  url: string,
  system: PackageSystem,
  kernel: string,
  hasTools: boolean,
  folder: string,
  config: string,
  work: PackageWork,
): Promise<void> {
  const source = parseArchiveSource(url)
  const helpers = await packageStates(system, ['curl', 'tar'])
  await installPackages(
    system,
    [...helpers].filter(([, { installed }]) => !installed).map(([name]) => name),
    work,
  )
  // Debian's drbd-utils fit any module.
  const toolsAtHand = hasTools || system === 'apt'
  const chosen = choosePackages(await fetchPackages(source, system, folder, work), kernel, toolsAtHand)
  work.onLine(`installing ${chosen.map(({ name, version }) => `${name} ${version}`).join(', ')}`)
  if (system === 'apt' && chosen.some(({ sources }) => sources)) await installPackages('apt', [`linux-headers-${kernel}`], work)
  await installPackageFiles(
    system,
    chosen.map(({ file }) => file),
    work,
    config,
  )
  if (system === 'apt' && !hasTools && !chosen.some(({ tools }) => tools)) await installPackages('apt', ['drbd-utils'], work)
}

async function installByDnf(kernel: string, config: string, work: PackageWork): Promise<void> {
  const { signal } = work
  const names = rpmPairs.map(([module]) => module)
  const query = ['dnf', '-q', '-c', config, 'repoquery', '--latest-limit=1', '--qf', '%{name} %{version}\\n', ...names] as const
  // It fetches the sources' lists.
  const offer = newestModule((await run(query, { timeout: 600_000, signal })).stdout)
  if (offer === undefined) throw new HiveError('not-found', 'no package source of this host has DRBD 9', { hint: `dnf repolist tells them; or ${urlHint}` })
  const { module, tools, version } = offer
  if (!reachesFloor(version))
    throw new HiveError('blocked', `the package sources have DRBD ${version} at most (${module}); at least ${floorText} is needed`, { hint: urlHint })
  await installPackageFiles('dnf', [module, tools], work, config)
  work.onLine(`installed ${module} ${tools} for kernel ${kernel}`)
}

/** Debian's kernels have DRBD 8.4 only. LINBIT's sources have the module to be built on the host. */
async function installByApt(kernel: string, work: PackageWork): Promise<void> {
  const { signal } = work
  if (!(await aptOffersModule(signal))) await run(['apt-get', 'update'], { timeout: 600_000, signal, env: { DEBIAN_FRONTEND: 'noninteractive' } })
  const version = candidateOf((await run(['apt-cache', 'policy', 'drbd-dkms'], { readOnly: true, signal })).stdout)
  if (version === '') throw noAptModule()
  if (!reachesFloor(version))
    throw new HiveError('blocked', `the package sources have DRBD ${version} at most (drbd-dkms); at least ${floorText} is needed`, { hint: urlHint })
  await installPackages('apt', [`linux-headers-${kernel}`, 'drbd-dkms', 'drbd-utils'], work)
}

export const noAptModule = (): HiveError =>
  new HiveError('blocked', "no package source of this host has the module of DRBD 9 (drbd-dkms); the kernel's own is DRBD 8.4", {
    hint: `add a source that has it to /etc/apt/sources.list.d (LINBIT's), or ${urlHint}`,
  })

/** Installs a kernel and makes it the one that boots next. Answers its release. Throws HiveError 'blocked' where grub is set otherwise. */
export async function installKernel(pattern: string, system: PackageSystem, work: PackageWork): Promise<string> {
  const find = async (): Promise<string | undefined> =>
    [...(await installedKernels())]
      .filter((release) => isKernel(pattern, release))
      .sort(compareReleases)
      .at(-1)
  if ((await find()) === undefined) {
    if (system === 'apt') {
      if (/[*?[]/.test(pattern))
        throw new HiveError('invalid-input', `hive_kernel_version: "${pattern}" has to be one kernel here`, {
          hint: 'write it as uname -r does, such as 6.1.0-28-amd64',
        })
      await installPackages('apt', [`linux-image-${pattern}`, `linux-headers-${pattern}`], work)
    } else
      await inScratchFolder(async (folder) => {
        const config = path.join(folder, 'dnf.conf')
        await writeFileAtomic(config, withExcludes(await readText(dnfConfig), []), rootFile)
        await installPackageFiles('dnf', [`kernel-${pattern}`, `kernel-modules-extra-${pattern}`], work, config)
      })
  }
  const release = await find()
  if (release === undefined) throw new HiveError('not-converged', `kernel ${pattern} was installed, and there is none of that name in /boot`)
  if ((await nextKernel()) === release) return release
  if (system === 'dnf') await run(['grubby', '--set-default', `/boot/vmlinuz-${release}`], { signal: work.signal })
  if ((await nextKernel()) !== release)
    throw new HiveError('blocked', `kernel ${release} is installed, and grub boots another one`, {
      hint: 'set GRUB_DEFAULT in /etc/default/grub, then update-grub',
    })
  return release
}

async function inScratchFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  assertMayMutate('make a scratch folder')
  const folder = await mkdtemp(path.join(tmpdir(), 'hive-packages-'))
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
