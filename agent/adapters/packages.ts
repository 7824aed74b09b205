/** Packages of the host by apt (dpkg) or dnf (rpm). */
import { readdir } from 'node:fs/promises'
import { HiveError } from '../../proto/errors.ts'
import { type CommandOptions, run } from './command.ts'
import { readText } from './files.ts'
import type { PackageSystem } from './os.ts'

export interface PackageState {
  readonly installed: boolean
  readonly held: boolean
  /** dpkg stopped in the middle of it: unpacked, half configured … */
  readonly broken: boolean
}

export interface PackageWork {
  readonly signal: AbortSignal
  readonly onLine: (line: string) => void
}

/** Longer than any download that still moves; the step's own deadline ends it earlier. */
const installTimeout = 1_800_000
/** Percentages that dpkg writes over each other on a terminal. */
const progressOfDpkg = /^\(Reading database/
export const versionlockList = '/etc/dnf/plugins/versionlock.list'

/** Output of `dpkg-query -W -f='${Package}\t${db:Status-Abbrev}\n'`: wanted, state and error letters for each package. */
export function parseDpkg(output: string): Map<string, PackageState> {
  const states = new Map<string, PackageState>()
  for (const line of output.split('\n')) {
    const [name, letters] = line.split('\t')
    if (name === undefined || letters === undefined || name === '') continue
    const [wanted, state] = letters
    const found = { installed: state === 'i', held: wanted === 'h', broken: state !== undefined && 'UFHWt'.includes(state) }
    // A package of several architectures is there when one of them is.
    if (states.get(name)?.installed !== true) states.set(name, found)
  }
  return states
}

/** Names that `rpm -q` (--whatprovides) says are not there. */
export function parseRpmMissing(output: string): Set<string> {
  const missing = new Set<string>()
  for (const line of output.split('\n')) {
    const match = /^package (\S+) is not installed$/.exec(line) ?? /^no package provides (\S+)$/.exec(line)
    if (match?.[1] !== undefined) missing.add(match[1])
  }
  return missing
}

/** Names that `dnf install` says no repository has. */
export const parseDnfUnknown = (errors: readonly string[]): readonly string[] =>
  errors.flatMap((line) => /^Error: Unable to find a match: (.+)$/.exec(line)?.[1]?.trim().split(/\s+/) ?? [])

/** Names for which `apt-cache policy` knows a version to install. */
export function parseCandidates(output: string): Set<string> {
  const known = new Set<string>()
  let name = ''
  for (const line of output.split('\n')) {
    const head = /^(\S+):$/.exec(line)
    if (head?.[1] !== undefined) name = head[1]
    const candidate = /^ {2}Candidate: (.+)$/.exec(line)
    if (candidate?.[1] !== undefined && candidate[1] !== '(none)') known.add(name)
  }
  return known
}

/** Names that versionlock.list locks: NAME-EPOCH:VERSION-RELEASE.*, one a line. */
export function parseVersionlock(list: string): Set<string> {
  const names = new Set<string>()
  for (const line of list.split('\n')) {
    const match = /^(?!#|!)(?:\d+:)?(\S+?)-(?:\d+:)?[^-\s]+-[^-\s]+$/.exec(line.trim())
    if (match?.[1] !== undefined) names.add(match[1])
  }
  return names
}

/** What dpkg knows of packages by name or pattern; none: of all. Names that it does not know are left out. */
export async function dpkgStates(names: readonly string[], signal?: AbortSignal): Promise<ReadonlyMap<string, PackageState>> {
  // 1: some of the names are unknown to dpkg.
  const argv = ['dpkg-query', '-W', `-f=\${Package}\\t\${db:Status-Abbrev}\\n`, ...names] as const
  return parseDpkg((await run(argv, { readOnly: true, okCodes: names.length === 0 ? [0] : [0, 1], ...(signal === undefined ? {} : { signal }) })).stdout)
}

/** The states of these packages, each name given has one. */
export async function packageStates(system: PackageSystem, names: readonly string[]): Promise<Map<string, PackageState>> {
  const states = new Map<string, PackageState>()
  if (names.length === 0) return states
  if (system === 'apt') {
    const found = await dpkgStates(names)
    for (const name of names) states.set(name, found.get(name) ?? { installed: false, held: false, broken: false })
    return states
  }
  const codes = Array.from({ length: names.length + 1 }, (_, code) => code)
  const { stdout } = await run(['rpm', '-q', '--whatprovides', ...names], { readOnly: true, okCodes: codes })
  const missing = parseRpmMissing(stdout)
  const locked = parseVersionlock(await readText(versionlockList))
  for (const name of names) states.set(name, { installed: !missing.has(name), held: locked.has(name), broken: false })
  return states
}

/** Installs packages; what an interrupted dpkg left half done is finished first. Lists are fetched when a name is unknown. */
export async function installPackages(system: PackageSystem, names: readonly string[], work: PackageWork): Promise<void> {
  if (names.length === 0) return
  if (system === 'dnf') {
    try {
      await run(['dnf', '-y', '--setopt=install_weak_deps=False', 'install', ...names], packageOptions(work))
    } catch (thrown) {
      const unknown = thrown instanceof HiveError ? parseDnfUnknown(thrown.log) : []
      if (unknown.length === 0) throw thrown
      throw new HiveError('not-found', `no package source of this host has ${unknown.join(', ')}`, {
        hint: 'dnf repolist tells which sources it has; add or enable the one that has it in /etc/yum.repos.d',
        cause: thrown,
      })
    }
    return
  }
  await repairDpkg(work)
  const candidates = async () => parseCandidates((await run(['apt-cache', 'policy', ...names], { readOnly: true })).stdout)
  let updated = false
  const knownBefore = await candidates()
  if (names.some((name) => !knownBefore.has(name))) {
    await aptGet(['update'], work)
    updated = true
    const known = await candidates()
    const unknown = names.filter((name) => !known.has(name))
    if (unknown.length > 0)
      throw new HiveError('not-found', `no package source of this host has ${unknown.join(', ')}`, {
        hint: 'add the source that has it to /etc/apt/sources.list.d',
      })
  }
  try {
    await aptGet(['install', ...names], work)
  } catch (thrown) {
    // Old lists name versions that the source no longer has.
    if (updated || work.signal.aborted || !(thrown instanceof HiveError) || thrown.code !== 'command-failed') throw thrown
    await aptGet(['update'], work)
    await repairDpkg(work)
    await aptGet(['install', ...names], work)
  }
}

/**
 * Installs package files of this host, unsigned ones too, with what they need from the package sources. `config`: a configuration of
 * dnf's to take instead of the host's.
 */
export async function installPackageFiles(system: PackageSystem, files: readonly string[], work: PackageWork, config?: string): Promise<void> {
  if (files.length === 0) return
  if (system === 'apt') {
    await repairDpkg(work)
    await aptGet(['install', ...files], work)
    return
  }
  // Whether packages of the sources have to be signed is for their own configuration to say.
  const options = ['--setopt=install_weak_deps=False', '--setopt=localpkg_gpgcheck=False', '--nobest']
  await run(['dnf', ...(config === undefined ? [] : ['-c', config]), '-y', ...options, 'install', ...files], packageOptions(work))
}

export async function removePackages(system: PackageSystem, names: readonly string[], work: PackageWork): Promise<void> {
  if (names.length === 0) return
  if (system === 'dnf') await run(['dnf', '-y', 'remove', ...names], packageOptions(work))
  else {
    await repairDpkg(work)
    await aptGet(['remove', ...names], work)
  }
}

export async function holdPackages(system: PackageSystem, names: readonly string[], work: PackageWork): Promise<void> {
  if (names.length === 0) return
  if (system === 'apt') await run(['apt-mark', 'hold', ...names], packageOptions(work))
  else {
    await run(['dnf', '-y', 'install', 'python3-dnf-plugin-versionlock'], packageOptions(work))
    await run(['dnf', '-y', 'versionlock', 'add', ...names], packageOptions(work))
  }
}

/** Configuration files that an administrator or an earlier step changed are kept; nobody is asked. */
async function aptGet(args: readonly string[], work: PackageWork): Promise<void> {
  const options = [
    '-y',
    '--no-install-recommends',
    '-o',
    'DPkg::Lock::Timeout=120',
    '-o',
    'Dpkg::Options::=--force-confdef',
    '-o',
    'Dpkg::Options::=--force-confold',
  ]
  await run(['apt-get', ...options, ...args], packageOptions(work))
}

/** Packages that `apt-get --simulate upgrade` would install, bring to another version, or set up where that has failed before. */
export const parseSimulated = (output: string): readonly string[] => [
  ...new Set(output.split('\n').flatMap((line) => /^(?:Inst|Conf) (\S+) /.exec(line)?.[1] ?? [])),
]

/** Packages that `dnf check-update` lists: NAME.ARCH  VERSION  SOURCE, up to what is obsoleted. */
export function parseCheckUpdate(output: string): readonly string[] {
  const [updates = ''] = output.split(/^Obsoleting Packages/m)
  return updates.split('\n').flatMap((line) => /^(\S+)\.[\w]+\s+\S+\s+\S+\s*$/.exec(line)?.[1] ?? [])
}

/** Packages that are older than what the sources have, as far as the lists of this host tell. */
export async function pendingUpdates(system: PackageSystem, signal: AbortSignal): Promise<readonly string[]> {
  if (system === 'apt') {
    const simulated = ['apt-get', '--simulate', '--with-new-pkgs', 'upgrade'] as const
    const { stdout, stderr, code } = await run(simulated, { readOnly: true, okCodes: [0, 100], signal, timeout: 120_000 })
    if (code === 0) return parseSimulated(stdout)
    // It looks no further then, and installUpdates ends that first.
    if (/dpkg was interrupted/.test(stderr)) return ['(an installation that was interrupted)']
    throw new HiveError('command-failed', `apt-get can't tell what is new: ${stderr.trim()}`)
  }
  // 100: there are some.
  const { stdout } = await run(['dnf', '-q', 'check-update'], { readOnly: true, okCodes: [0, 100], signal, timeout: 300_000 })
  return parseCheckUpdate(stdout)
}

/** Newer kernels that the sources have, and modules of DRBD that are for them, by their packages' names: also those that are held. */
export async function newerKernelPackages(system: PackageSystem, signal: AbortSignal): Promise<readonly string[]> {
  if (system === 'apt') {
    const simulated = ['apt-get', '--simulate', '--ignore-hold', '--with-new-pkgs', 'upgrade'] as const
    // 100: what was interrupted is told by pendingUpdates.
    const { stdout } = await run(simulated, { readOnly: true, okCodes: [0, 100], signal, timeout: 120_000 })
    return parseSimulated(stdout).filter((name) => /^linux-(?:image|headers|modules)-/.test(name))
  }
  const asked = ['dnf', '-q', '--disableexcludes=main', 'check-update', 'kernel*', 'kmod-drbd*'] as const
  return parseCheckUpdate((await run(asked, { readOnly: true, okCodes: [0, 100], signal, timeout: 300_000 })).stdout)
}

/** So that what the sources have now is known. */
export async function fetchLists(system: PackageSystem, work: PackageWork): Promise<void> {
  if (system === 'apt') await aptGet(['update'], work)
  else await run(['dnf', '-y', '--refresh', 'makecache'], packageOptions(work))
}

/**
 * Brings all packages to what the lists have. New ones that they need come along, none is removed, what is held stays. `config`: a
 * configuration of dnf's to take instead of the host's.
 */
export async function installUpdates(system: PackageSystem, work: PackageWork, config?: string): Promise<void> {
  if (system === 'dnf') await run(['dnf', ...(config === undefined ? [] : ['-c', config]), '-y', 'upgrade'], packageOptions(work))
  else {
    await repairDpkg(work)
    await aptGet(['--with-new-pkgs', 'upgrade'], work)
  }
}

async function repairDpkg(work: PackageWork): Promise<void> {
  const audit = await run(['dpkg', '--audit'], { readOnly: true, okCodes: [0, 1] })
  const interrupted = (await readdir('/var/lib/dpkg/updates').catch(() => [])).some((name) => /^\d+$/.test(name))
  if (audit.stdout.trim() === '' && !interrupted) return
  work.onLine('an earlier installation was interrupted: finishing it')
  await run(['dpkg', '--force-confdef', '--force-confold', '--configure', '-a'], packageOptions(work))
}

/** For commands that install something. */
export const packageOptions = (work: PackageWork): CommandOptions => ({
  timeout: installTimeout,
  signal: work.signal,
  onLine: (line) => {
    if (!progressOfDpkg.test(line)) work.onLine(line)
  },
  env: { DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_SUSPEND: '1' },
})
