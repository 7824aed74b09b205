/**
 * Keeps the package manager from replacing the kernel, or a module made for it, by itself: the one without the other is a host whose
 * mirrored volumes do not come up. `dnf upgrade --disableexcludes=main` and `apt-mark unhold` let go of it.
 */
import { run } from './command.ts'
import { readFileState, readText, rootFile, writeFileAtomic } from './files.ts'
import type { PackageSystem } from './os.ts'
import { holdPackages, type PackageWork, parseDpkg } from './packages.ts'

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
  // 1: there is none, as in a container.
  const { stdout } = await run(['dpkg-query', '-W', `-f=\${Package}\\t\${db:Status-Abbrev}\\n`, 'linux-image-*'], { readOnly: true, okCodes: [0, 1], signal })
  return [...parseDpkg(stdout)].filter(([, { installed, held }]) => installed && !held).map(([name]) => name)
}

export async function hold(system: PackageSystem, missing: readonly string[], work: PackageWork): Promise<void> {
  if (missing.length === 0) return
  if (system === 'apt') return holdPackages('apt', missing, work)
  const state = await readFileState(dnfConfig)
  const text = state?.content.toString('utf8') ?? ''
  await writeFileAtomic(dnfConfig, withExcludes(text, [...excludesOf(text), ...missing]), state ?? rootFile)
}
