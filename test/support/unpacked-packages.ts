/** Programs out of Debian's packages, unpacked into the cache with all they need. Nothing is installed; root is not needed. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { run } from '../../coordinator/providers/command.ts'
import { defaultMirror } from '../../coordinator/providers/nspawn/base-root.ts'
import { withLock } from '../../coordinator/providers/nspawn/lock.ts'

const suite = 'bookworm'
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

export interface Wanted {
  /** For the folder's name. */
  readonly name: string
  /** As apt-get takes them: NAME, or NAME/SUITE. */
  readonly packages: readonly string[]
  /** Suites that are known beside Debian 12's own. */
  readonly suites?: readonly string[]
  /** The suite whose versions are taken where several have a package. Default: Debian 12's own. */
  readonly release?: string
  /** Names of packages that are depended on and not needed. Without it: just `packages`, and nothing that they depend on. */
  readonly without?: RegExp
  /** The folder holds the packages themselves instead of what is in them. */
  readonly archives?: boolean
  /** Folders that are taken away again. */
  readonly useless: readonly string[]
  /** What is made of it before it is kept; changes what it is known by. */
  readonly finish?: { readonly version: number; readonly work: (root: string, signal: AbortSignal) => Promise<void> }
}

/** HIVE_CACHE, else /var/cache/hive, or ~/.cache/hive where that one isn't ours to write. */
const cacheFolder = (): string => join(process.env['HIVE_CACHE'] ?? (process.getuid?.() === 0 ? '/var/cache/hive' : join(homedir(), '.cache/hive')), 'unpacked')

/** Its root folder, made first where it is not there. Built beside its place and renamed when complete; a second process waits. */
export async function unpackedPackages(wanted: Wanted, signal: AbortSignal): Promise<string> {
  const recipe = JSON.stringify({ suite, ...wanted, without: wanted.without?.source, finish: wanted.finish?.version })
  const path = join(cacheFolder(), `${wanted.name}-${createHash('sha256').update(recipe).digest('hex').slice(0, 12)}`)
  if (existsSync(path)) return path
  mkdirSync(cacheFolder(), { recursive: true })
  return withLock(
    join(cacheFolder(), `${wanted.name}.lock`),
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
  return stdout.split('\n')[0]?.trim() || defaultMirror
}

async function build(
  path: string,
  { name, packages, suites: others = [], release = suite, without, archives = false, useless, finish }: Wanted,
  signal: AbortSignal,
): Promise<void> {
  // Remains of a builder that was killed: we hold the lock, so nobody works there.
  const mine = `building-${name}-`
  for (const one of readdirSync(cacheFolder())) if (one.startsWith(mine)) rmSync(join(cacheFolder(), one), { recursive: true, force: true })
  if (!existsSync(keyring) && process.getuid?.() === 0) await run(['apt-get', 'install', '-y', 'debian-archive-keyring'], { timeout: 300_000, signal })
  const work = mkdtempSync(join(cacheFolder(), mine))
  try {
    const [apt, debs, root] = [join(work, 'apt'), join(work, 'debs'), join(work, 'root')]
    for (const folder of ['state/lists/partial', 'cache/archives/partial']) mkdirSync(join(apt, folder), { recursive: true })
    for (const folder of [debs, root]) mkdirSync(folder, { mode: 0o755 })
    const from = await mirror()
    const suites = [suite, ...others]
    writeFileSync(join(apt, 'sources.list'), suites.map((one) => `deb [signed-by=${keyring}] ${from} ${one} main\n`).join(''))
    writeFileSync(join(apt, 'status'), '')
    const settings = {
      'Dir::State': join(apt, 'state'),
      'Dir::Cache': join(apt, 'cache'),
      'Dir::State::status': join(apt, 'status'),
      'Dir::Etc::sourcelist': join(apt, 'sources.list'),
      'Dir::Etc::sourceparts': '/dev/null',
      'Dir::Etc::preferencesparts': '/dev/null',
      'APT::Default-Release': release,
      'APT::Install-Recommends': '0',
      'Acquire::Languages': 'none',
      'Acquire::Retries': '3',
      'APT::Sandbox::User': '',
    }
    const options = ['-qq', ...Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])]
    await run(['apt-get', ...options, 'update'], { timeout: 300_000, signal })
    const all = without === undefined ? packages : await withDependencies(options, packages, without, signal)
    // apt-get download writes to its working directory.
    await run(['sh', '-c', 'cd "$1" && shift && exec apt-get "$@"', 'sh', debs, ...options, 'download', ...all], { timeout: 600_000, signal })
    for (const deb of readdirSync(debs)) {
      if (archives) renameSync(join(debs, deb), join(root, deb))
      else await run(['dpkg', '-x', join(debs, deb), root], { timeout: 300_000, signal })
    }
    for (const folder of useless) rmSync(join(root, folder), { recursive: true, force: true })
    await finish?.work(root, signal)
    renameSync(root, path)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

async function withDependencies(options: readonly string[], packages: readonly string[], without: RegExp, signal: AbortSignal): Promise<readonly string[]> {
  const { stdout } = await run(['apt-get', ...options, 'install', '-s', ...packages], { timeout: 300_000, signal })
  // With versions: of a package named with a suite, it is that suite's.
  return [...stdout.matchAll(/^Inst (\S+) \((\S+)/gm)].filter(([, name = '']) => !without.test(name)).map(([, name, version]) => `${name}=${version}`)
}
