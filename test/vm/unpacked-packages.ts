/** Programs out of Debian's packages, unpacked into the cache with all they need. Nothing is installed; root is not needed. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../../coordinator/providers/command.ts'
import { withLock } from '../../coordinator/providers/nspawn/lock.ts'

const suite = 'bookworm'
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

export interface Wanted {
  /** For the folder's name. */
  readonly name: string
  readonly packages: readonly string[]
  /** Newer versions of these and of what they need. */
  readonly backports?: boolean
  /** Names of packages that are depended on and not needed. */
  readonly without: RegExp
  /** Folders that are taken away again. */
  readonly useless: readonly string[]
  /** What is made of it before it is kept; changes what it is known by. */
  readonly finish?: { readonly version: number; readonly work: (root: string, signal: AbortSignal) => Promise<void> }
}

export const vmCache = (): string => join(process.env['HIVE_CACHE'] ?? '/var/cache/hive', 'vm')

/** Its root folder, made first where it is not there. Built beside its place and renamed when complete; a second process waits. */
export async function unpackedPackages(wanted: Wanted, signal: AbortSignal): Promise<string> {
  const recipe = JSON.stringify({ suite, ...wanted, without: wanted.without.source, finish: wanted.finish?.version })
  const path = join(vmCache(), `${wanted.name}-${createHash('sha256').update(recipe).digest('hex').slice(0, 12)}`)
  if (existsSync(path)) return path
  mkdirSync(vmCache(), { recursive: true })
  return withLock(
    join(vmCache(), 'lock'),
    signal,
    () => undefined,
    async () => {
      if (!existsSync(path)) await build(path, wanted, signal)
      return path
    },
  )
}

/** The archive that apt of this machine is set up with, where it is a Debian; HIVE_DEBIAN_MIRROR before it. */
async function mirror(): Promise<string> {
  const named = process.env['HIVE_DEBIAN_MIRROR']
  if (named !== undefined) return named
  const { stdout } = await run(['apt-get', 'indextargets', '--format', '$(REPO_URI)', `Codename: ${suite}`], { okCodes: [0, 100] })
  return stdout.split('\n')[0]?.trim() || 'http://deb.debian.org/debian'
}

async function build(path: string, { packages, backports, without, useless, finish }: Wanted, signal: AbortSignal): Promise<void> {
  // Remains of a builder that was killed: we hold the lock, so nobody works there.
  for (const name of readdirSync(vmCache())) if (name.startsWith('building-')) rmSync(join(vmCache(), name), { recursive: true, force: true })
  if (!existsSync(keyring) && process.getuid?.() === 0) await run(['apt-get', 'install', '-y', 'debian-archive-keyring'], { timeout: 300_000, signal })
  const work = mkdtempSync(join(vmCache(), 'building-'))
  try {
    const [apt, debs, root] = [join(work, 'apt'), join(work, 'debs'), join(work, 'root')]
    for (const folder of ['state/lists/partial', 'cache/archives/partial']) mkdirSync(join(apt, folder), { recursive: true })
    for (const folder of [debs, root]) mkdirSync(folder, { mode: 0o755 })
    const from = await mirror()
    const suites = [suite, ...(backports === true ? [`${suite}-backports`] : [])]
    writeFileSync(join(apt, 'sources.list'), suites.map((one) => `deb [signed-by=${keyring}] ${from} ${one} main\n`).join(''))
    writeFileSync(join(apt, 'status'), '')
    const settings = {
      'Dir::State': join(apt, 'state'),
      'Dir::Cache': join(apt, 'cache'),
      'Dir::State::status': join(apt, 'status'),
      'Dir::Etc::sourcelist': join(apt, 'sources.list'),
      'Dir::Etc::sourceparts': '/dev/null',
      'Dir::Etc::preferencesparts': '/dev/null',
      'APT::Default-Release': suites.at(-1) ?? suite,
      'APT::Install-Recommends': '0',
      'Acquire::Languages': 'none',
      'Acquire::Retries': '3',
      'APT::Sandbox::User': '',
    }
    const options = ['-qq', ...Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])]
    await run(['apt-get', ...options, 'update'], { timeout: 300_000, signal })
    const { stdout } = await run(['apt-get', ...options, 'install', '-s', ...packages], { signal })
    const all = [...stdout.matchAll(/^Inst (\S+)/gm)].map(([, name = '']) => name).filter((name) => !without.test(name))
    // apt-get download writes to its working directory.
    await run(['sh', '-c', 'cd "$1" && shift && exec apt-get "$@"', 'sh', debs, ...options, 'download', ...all], { timeout: 600_000, signal })
    for (const deb of readdirSync(debs)) await run(['dpkg', '-x', join(debs, deb), root], { signal })
    for (const folder of useless) rmSync(join(root, folder), { recursive: true, force: true })
    await finish?.work(root, signal)
    renameSync(root, path)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
