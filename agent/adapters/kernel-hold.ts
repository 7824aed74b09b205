/**
 * Keeps the package manager from replacing the kernel, or a module made for it, by itself: the one without the other is a host whose
 * mirrored volumes do not come up. kernel-update.ts lets go of both at once; by hand, `dnf upgrade --disableexcludes=main` and `apt-mark unhold` do.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { readFileState, readText, rootFile, writeFileAtomic } from './files.ts'
import { assertMayMutate } from './gate.ts'
import type { PackageSystem } from './os.ts'
import { dpkgStates, holdPackages, type PackageState, type PackageWork, parseVersionlock, versionlockList } from './packages.ts'

export const dnfConfig = '/etc/dnf/dnf.conf'
export const heldByDnf = ['kernel*', 'kmod-drbd*'] as const

const excludeLine = /^(exclude|excludepkgs)[ \t]*=[ \t]*(.*)$/

/** Where [main]'s list of excluded packages is: the lines it takes, the last one where there are several. */
function findExcludes(lines: readonly string[]): { readonly first: number; readonly end: number; readonly patterns: readonly string[] } | undefined {
  let inMain = false
  let found: ReturnType<typeof findExcludes>
  for (const [index, line] of lines.entries()) {
    const section = /^\[([^\]]*)\]/.exec(line)
    if (section !== null) inMain = section[1] === 'main'
    const match = inMain ? excludeLine.exec(line) : null
    if (match === null) continue
    let end = index + 1
    while (/^[ \t]+\S/.test(lines[end] ?? '')) end++
    const text = [match[2] ?? '', ...lines.slice(index + 1, end)].join(' ')
    found = { first: index, end, patterns: text.split(/[\s,]+/).filter((pattern) => pattern !== '') }
  }
  return found
}

/** Patterns that [main] of dnf.conf excludes. */
export const excludesOf = (text: string): readonly string[] => findExcludes(text.split('\n'))?.patterns ?? []

/** dnf.conf with exactly these patterns excluded in [main]; all else stays. */
export function withExcludes(text: string, patterns: readonly string[]): string {
  const lines = text.split('\n')
  const wanted = `exclude=${patterns.join(' ')}`
  const found = findExcludes(lines)
  if (found !== undefined) lines.splice(found.first, found.end - found.first, wanted)
  else {
    const main = lines.findIndex((line) => /^\[main\]/.test(line))
    if (main === -1) lines.unshift('[main]', wanted)
    else lines.splice(main + 1, 0, wanted)
  }
  return lines.join('\n')
}

/** What is not held yet: patterns for dnf, names of packages for apt. */
export async function missingHolds(system: PackageSystem, signal: AbortSignal): Promise<readonly string[]> {
  if (system === 'dnf') {
    const excluded = excludesOf(await readText(dnfConfig))
    return heldByDnf.filter((pattern) => !excluded.includes(pattern))
  }
  return (await kernelPackages(signal)).filter(([, { held }]) => !held).map(([name]) => name)
}

/** Installed kernels that apt is kept from replacing, by their packages' names. */
export const heldKernels = async (signal: AbortSignal): Promise<readonly string[]> =>
  (await kernelPackages(signal)).filter(([, { held }]) => held).map(([name]) => name)

async function kernelPackages(signal: AbortSignal): Promise<readonly (readonly [name: string, state: PackageState])[]> {
  return [...(await dpkgStates(['linux-image-*'], signal))].filter(([, { installed }]) => installed)
}

export async function hold(system: PackageSystem, missing: readonly string[], work: PackageWork): Promise<void> {
  if (missing.length === 0) return
  if (system === 'apt') return holdPackages('apt', missing, work)
  const state = await readFileState(dnfConfig)
  const text = state?.content.toString('utf8') ?? ''
  await writeFileAtomic(dnfConfig, withExcludes(text, [...excludesOf(text), ...missing]), state ?? rootFile)
}

/** Names, or patterns of names, of packages that the package manager leaves as they are. */
export async function heldPackages(system: PackageSystem, signal: AbortSignal): Promise<readonly string[]> {
  if (system === 'apt') return [...(await dpkgStates([], signal))].flatMap(([name, { held }]) => (held ? [name] : [])).sort()
  return [...new Set([...parseVersionlock(await readText(versionlockList)), ...excludesOf(await readText(dnfConfig))])].sort()
}

/** dnf's configuration with these held and no other of ours; an administrator's own list stays. */
export async function configExcluding(folder: string, patterns: readonly string[]): Promise<string> {
  const config = path.join(folder, 'dnf.conf')
  const text = await readText(dnfConfig)
  const own = excludesOf(text).filter((pattern) => !(heldByDnf as readonly string[]).includes(pattern))
  await writeFileAtomic(config, withExcludes(text, [...own, ...patterns]), rootFile)
  return config
}

/** The folder goes when the work is done. */
export async function inScratchFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  assertMayMutate('make a scratch folder')
  const folder = await mkdtemp(path.join(tmpdir(), 'hive-packages-'))
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
