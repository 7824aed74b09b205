/** Unpacks the EC2 emulator (moto) and a Python for it from Debian's packages into the cache. Nothing is installed; root is not needed. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { run } from '../../coordinator/providers/command.ts'
import { withLock } from '../../coordinator/providers/nspawn/lock.ts'

const pythonSuite = 'bookworm'
/** Debian 12 has no moto. What is pure Python can come from the next release; C extensions belong to their Python. */
const emulatorSuite = 'trixie'
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

const fromEmulatorSuite = ['moto', 'boto3', 'botocore', 's3transfer']
const modules = [
  ...['antlr4', 'jmespath', 'urllib3', 'dateutil', 'six', 'flask', 'flask-cors', 'werkzeug', 'jinja2', 'markupsafe', 'itsdangerous', 'click', 'colorama'],
  ...['responses', 'requests', 'chardet', 'charset-normalizer', 'idna', 'certifi', 'xmltodict', 'cryptography', 'cffi-backend', 'yaml'],
  ...['typing-extensions', 'importlib-metadata', 'zipp', 'more-itertools', 'simplejson'],
]
const interpreter = [
  ...['python3.11-minimal', 'libpython3.11-minimal', 'libpython3.11-stdlib', 'libexpat1', 'zlib1g', 'libssl3', 'libffi8', 'libbz2-1.0', 'liblzma5'],
  ...['libsqlite3-0', 'libuuid1', 'libcrypt1', 'libyaml-0-2'],
]

const packages = [...fromEmulatorSuite.map((name) => `python3-${name}/${emulatorSuite}`), ...modules.map((name) => `python3-${name}`), ...interpreter]
const recipe = JSON.stringify({ pythonSuite, emulatorSuite, packages, layout: 1 })

/** HIVE_CACHE, else /var/cache/hive, or ~/.cache/hive where that one isn't ours to write. */
const cacheFolder = (): string => join(process.env['HIVE_CACHE'] ?? (process.getuid?.() === 0 ? '/var/cache/hive' : join(homedir(), '.cache/hive')), 'ec2')

/**
 * The root that holds usr/bin/python3.11 and its modules, made first where it is not there: half a minute, 150 MB. Built
 * beside its place and renamed when complete; a second process waits for the first.
 */
export async function ensureEmulatorRoot(signal: AbortSignal): Promise<string> {
  const path = join(cacheFolder(), `moto-${createHash('sha256').update(recipe).digest('hex').slice(0, 12)}`)
  if (existsSync(path)) return path
  return withLock(
    join(cacheFolder(), 'lock'),
    signal,
    () => undefined,
    async () => {
      if (!existsSync(path)) await build(path, signal)
      return path
    },
  )
}

/** The archive that apt of this machine is set up with, where it is a Debian; HIVE_DEBIAN_MIRROR before it. */
async function mirror(): Promise<string> {
  const named = process.env['HIVE_DEBIAN_MIRROR']
  if (named !== undefined) return named
  const { stdout } = await run(['apt-get', 'indextargets', '--format', '$(REPO_URI)', `Codename: ${pythonSuite}`], { okCodes: [0, 100] })
  return stdout.split('\n')[0]?.trim() || 'http://deb.debian.org/debian'
}

async function build(path: string, signal: AbortSignal): Promise<void> {
  // Remains of a builder that was killed: we hold the lock, so nobody works there.
  for (const name of readdirSync(cacheFolder())) if (name.startsWith('building-')) rmSync(join(cacheFolder(), name), { recursive: true, force: true })
  if (!existsSync(keyring) && process.getuid?.() === 0) await run(['apt-get', 'install', '-y', 'debian-archive-keyring'], { timeout: 300_000, signal })
  const work = mkdtempSync(join(cacheFolder(), 'building-'))
  try {
    const [apt, debs, root] = [join(work, 'apt'), join(work, 'debs'), join(work, 'root')]
    for (const folder of ['state/lists/partial', 'cache/archives/partial']) mkdirSync(join(apt, folder), { recursive: true })
    for (const folder of [debs, root]) mkdirSync(folder, { mode: 0o755 })
    const from = await mirror()
    writeFileSync(join(apt, 'sources.list'), [pythonSuite, emulatorSuite].map((suite) => `deb [signed-by=${keyring}] ${from} ${suite} main\n`).join(''))
    writeFileSync(join(apt, 'status'), '')
    const settings = {
      'Dir::State': join(apt, 'state'),
      'Dir::Cache': join(apt, 'cache'),
      'Dir::State::status': join(apt, 'status'),
      'Dir::Etc::sourcelist': join(apt, 'sources.list'),
      'Dir::Etc::sourceparts': '/dev/null',
      'Dir::Etc::preferencesparts': '/dev/null',
      'APT::Default-Release': pythonSuite,
      'Acquire::Languages': 'none',
      'Acquire::Retries': '3',
      'APT::Sandbox::User': '',
    }
    const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])
    await run(['apt-get', '-qq', ...options, 'update'], { timeout: 300_000, signal })
    // apt-get download writes to its working directory.
    await run(['sh', '-c', 'cd "$1" && shift && exec apt-get "$@"', 'sh', debs, '-qq', ...options, 'download', ...packages], { timeout: 300_000, signal })
    for (const deb of readdirSync(debs)) await run(['dpkg', '-x', join(debs, deb), root], { signal })
    for (const useless of ['usr/share', 'etc', 'var']) rmSync(join(root, useless), { recursive: true, force: true })
    renameSync(root, path)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
