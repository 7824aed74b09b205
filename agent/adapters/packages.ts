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
const versionlockList = '/etc/dnf/plugins/versionlock.list'

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

/** The states of these packages, each name given has one. */
export async function packageStates(system: PackageSystem, names: readonly string[]): Promise<Map<string, PackageState>> {
  const states = new Map<string, PackageState>()
  if (names.length === 0) return states
  if (system === 'apt') {
    // 1: some of the names are unknown to dpkg.
    const { stdout } = await run(['dpkg-query', '-W', `-f=\${Package}\\t\${db:Status-Abbrev}\\n`, ...names], { readOnly: true, okCodes: [0, 1] })
    const found = parseDpkg(stdout)
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
      await run(['dnf', '-y', '--setopt=install_weak_deps=False', 'install', ...names], withWork(work))
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
  await run(['dnf', ...(config === undefined ? [] : ['-c', config]), '-y', ...options, 'install', ...files], withWork(work))
}

export async function removePackages(system: PackageSystem, names: readonly string[], work: PackageWork): Promise<void> {
  if (names.length === 0) return
  if (system === 'dnf') await run(['dnf', '-y', 'remove', ...names], withWork(work))
  else {
    await repairDpkg(work)
    await aptGet(['remove', ...names], work)
  }
}

export async function holdPackages(system: PackageSystem, names: readonly string[], work: PackageWork): Promise<void> {
  if (names.length === 0) return
  if (system === 'apt') await run(['apt-mark', 'hold', ...names], withWork(work))
  else {
    await run(['dnf', '-y', 'install', 'python3-dnf-plugin-versionlock'], withWork(work))
    await run(['dnf', '-y', 'versionlock', 'add', ...names], withWork(work))
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
  await run(['apt-get', ...options, ...args], withWork(work))
}

async function repairDpkg(work: PackageWork): Promise<void> {
  const audit = await run(['dpkg', '--audit'], { readOnly: true, okCodes: [0, 1] })
  const interrupted = (await readdir('/var/lib/dpkg/updates').catch(() => [])).some((name) => /^\d+$/.test(name))
  if (audit.stdout.trim() === '' && !interrupted) return
  work.onLine('an earlier installation was interrupted: finishing it')
  await run(['dpkg', '--force-confdef', '--force-confold', '--configure', '-a'], withWork(work))
}

const withWork = (work: PackageWork): CommandOptions => ({
  timeout: installTimeout,
  signal: work.signal,
  onLine: (line) => {
    if (!progressOfDpkg.test(line)) work.onLine(line)
  },
  env: { DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_SUSPEND: '1' },
})
