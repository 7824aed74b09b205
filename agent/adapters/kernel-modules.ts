/** Kernels of this host, the one that boots next, and modules on disk and loaded. */
import { readdir, readFile } from 'node:fs/promises'
import { isMissingProgram, run } from './command.ts'
import { exists, readText } from './files.ts'

export interface ModuleOnDisk {
  readonly path: string
  /** '' where the module tells none. */
  readonly version: string
  /** Name of the key it is signed with; '': not signed. */
  readonly signer: string
}

/** What `modinfo NAME` prints; undefined where it names no file. */
export function parseModinfo(text: string): ModuleOnDisk | undefined {
  const field = (name: string): string => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(text)?.[1]?.trim() ?? ''
  const path = field('filename')
  return path === '' ? undefined : { path, version: field('version'), signer: field('signer') }
}

/** The module as `modprobe` finds it for this kernel release; undefined: the running one. */
export async function readModule(name: string, kernel: string | undefined, signal: AbortSignal): Promise<ModuleOnDisk | undefined> {
  return parseModinfo(await outputOf(['modinfo', ...(kernel === undefined ? [] : ['-k', kernel]), name], signal))
}

/** Whether `lsmod` lists it. Also true of a module whose kernel shows nothing of it in /proc and /sys of a container. */
export async function isListed(name: string, signal: AbortSignal): Promise<boolean> {
  return (await outputOf(['lsmod'], signal)).split('\n').some((line) => line.split(/\s/)[0] === name)
}

/** '' on a host without kmod, which has no modules. */
async function outputOf(argv: readonly [string, ...string[]], signal: AbortSignal): Promise<string> {
  try {
    return (await run(argv, { readOnly: true, okCodes: [0, 1], signal })).stdout
  } catch (thrown) {
    if (isMissingProgram(thrown)) return ''
    throw thrown
  }
}

export const runningKernel = async (): Promise<string> => (await readText('/proc/sys/kernel/osrelease')).trim()

/** Releases that can be booted, in no order. */
export async function installedKernels(): Promise<readonly string[]> {
  const releases = new Set((await names('/boot')).flatMap((name) => (name.startsWith('vmlinuz-') && !isRescue(name) ? [name.slice('vmlinuz-'.length)] : [])))
  for (const release of await names('/lib/modules')) if (await exists(`/lib/modules/${release}/vmlinuz`)) releases.add(release)
  return [...releases]
}

const isRescue = (name: string): boolean => name.includes('-rescue-')

/** Of release names and numbers mixed, as rpm and grub order them: negative where `one` is the older. */
export function compareReleases(one: string, other: string): number {
  const parts = (release: string): readonly string[] => release.match(/\d+|[a-zA-Z]+/g) ?? []
  const [left, right] = [parts(one), parts(other)]
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const [a, b] = [left[index], right[index]]
    if (a === undefined || b === undefined) return a === undefined ? -1 : 1
    const [isNumber, otherIsNumber] = [/^\d/.test(a), /^\d/.test(b)]
    // A number is newer than letters in its place.
    if (isNumber !== otherIsNumber) return isNumber ? 1 : -1
    const difference = isNumber ? Number(a) - Number(b) : a < b ? -1 : a > b ? 1 : 0
    if (difference !== 0) return difference
  }
  return 0
}

export const newestOf = (releases: readonly string[]): string | undefined => releases.toSorted(compareReleases).at(-1)

/** The newest installed kernel that a pattern is for, see isKernel; '': of all. */
export const newestInstalled = async (pattern: string): Promise<string | undefined> =>
  newestOf((await installedKernels()).filter((release) => pattern === '' || isKernel(pattern, release)))

export interface BootChoice {
  /** /etc/default/grub. */
  readonly defaults: string
  /** /boot/grub2/grubenv. */
  readonly environment: string
  /** Files of /boot/loader/entries, by name without ".conf". */
  readonly entries: ReadonlyMap<string, string>
  readonly kernels: readonly string[]
}

/**
 * The release that grub boots next: with boot loader entries (EL 8 and later) the saved one, else the first; without them (Debian) the
 * newest kernel. undefined where the choice is made in a way that files do not tell.
 */
export function nextKernelOf({ defaults, environment, entries, kernels }: BootChoice): string | undefined {
  const setting = variable(defaults, 'GRUB_DEFAULT')
  if (entries.size === 0) return setting === '' || setting === '0' ? newestOf(kernels) : undefined
  const saved = variable(environment, 'next_entry') || (setting === '' || setting === 'saved' ? variable(environment, 'saved_entry') : setting)
  const ids = [...entries.keys()].sort((a, b) => Number(isRescueEntry(a)) - Number(isRescueEntry(b)) || compareReleases(b, a))
  const chosen = /^\d*$/.test(saved) ? ids[Number(saved)] : ids.find((id) => id === saved)
  if (chosen === undefined) return undefined
  const entry = entries.get(chosen) ?? ''
  const release = /^version[ \t]+(\S+)/m.exec(entry)?.[1] ?? /^linux[ \t]+\S*vmlinuz-(\S+)/m.exec(entry)?.[1]
  return release === undefined || isRescueEntry(release) ? undefined : release
}

const isRescueEntry = (id: string): boolean => /(?:^|-)0-rescue/.test(id)

const variable = (text: string, name: string): string => new RegExp(`^${name}=["']?([^"'\\n]*)["']?[ \\t]*$`, 'm').exec(text)?.[1] ?? ''

export async function nextKernel(): Promise<string | undefined> {
  const folder = '/boot/loader/entries'
  const files = (await names(folder)).filter((name) => name.endsWith('.conf'))
  const entries = await Promise.all(files.map(async (name) => [name.slice(0, -'.conf'.length), await readText(`${folder}/${name}`)] as const))
  return nextKernelOf({
    defaults: await readText('/etc/default/grub'),
    environment: await readText('/boot/grub2/grubenv'),
    entries: new Map(entries),
    kernels: await installedKernels(),
  })
}

const secureBootVariable = '/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c'

/** Whether the running kernel loads signed modules only: UEFI Secure Boot, a locked down kernel, or module.sig_enforce. */
export async function signaturesRequired(): Promise<boolean> {
  // Four bytes of attributes, then the value.
  if ((await readPseudoFile(secureBootVariable))?.at(4) === 1) return true
  if (/\[(?:integrity|confidentiality)\]/.test(String((await readPseudoFile('/sys/kernel/security/lockdown')) ?? ''))) return true
  return String((await readPseudoFile('/sys/module/module/parameters/sig_enforce')) ?? '').trim() === 'Y'
}

/** Whether a release is the one asked for: a version as the package manager takes it, with or without architecture, globs allowed. */
export function isKernel(pattern: string, release: string): boolean {
  const source = [...pattern].map((character) => (character === '*' ? '.*' : character === '?' ? '.' : character.replace(/[\\^$.|+(){}[\]]/g, '\\$&'))).join('')
  return new RegExp(`^${source}(?:\\.(?:x86_64|aarch64))?$`).test(release)
}

/** A file of the kernel's or the firmware's; undefined where it is not there or not for us to read. */
const readPseudoFile = (file: string): Promise<Buffer | undefined> => readFile(file).catch(() => undefined)

async function names(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw thrown
  }
}
