// Builds the agent: one self-contained executable, build/dist/hive-agent. Same inputs give the same bytes.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeExecutable } from './executable.mjs'
import { cacheFolder, digestOf, place, placeTold, toldOf } from './files.mjs'
import { generate } from './generate.mjs'
import { licencesIn } from './licenses.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const dist = join(root, 'build/dist')
/** Small heaps and one helper thread: the agent rests at some 75 MiB, and its peaks halve. NODE_OPTIONS of a host have no say. */
const sea = {
  execArgv: ['--max-old-space-size=128', '--max-semi-space-size=1', '--v8-pool-size=1', '--optimize-for-size', '--expose-gc'],
  execArgvExtension: 'none',
}

const bundle = {
  absWorkingDir: root,
  entryPoints: ['agent/main.ts'],
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node24',
  mainFields: ['module', 'main'],
  alias: { ssh2: './packaging/stub-ssh2.cjs' },
  // Names stay, and an uncaught error prints its source line: none may be pages long.
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 160,
  legalComments: 'none',
  logLevel: 'warning',
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
  const known = toldOf(binary, inputs)
  if (known !== undefined) return { path: binary, sha256: known.sha256 }
  const cached = join(cacheFolder(), `agent-${inputs}`)
  if (!existsSync(cached)) await build(cached, told)
  return { path: binary, sha256: placeTold(cached, binary, inputs).sha256 }
}

let licences

/** Licences of the modules in it, beside Node.js's. */
export async function agentLicences() {
  if (licences === undefined) await bundleAgent({ write: false })
  return licences
}

async function bundleAgent(options) {
  const { build } = await import('esbuild')
  const { metafile } = await build({ ...bundle, ...options, metafile: true })
  licences = licencesIn(metafile)
}

function inputHash(version) {
  const patterns = [
    'agent/**/*.ts',
    'proto/**/*.{ts,proto}',
    'packaging/{build-agent,executable,files,generate}.mjs',
    'packaging/stub-ssh2.cjs',
    'buf.gen.yaml',
    'package.json',
    'package-lock.json',
  ]
  return digestOf(root, patterns, version)
}

/** Bundle → blob → executable, made aside and renamed to `target`. */
async function build(target, version) {
  const work = join(root, `build/agent.${process.pid}`)
  mkdirSync(work, { recursive: true })
  try {
    await bundleAgent({ outfile: join(work, 'agent.cjs'), define: { HIVE_VERSION: JSON.stringify(version) } })
    place(await makeExecutable(work, 'agent.cjs', sea), target)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(JSON.stringify(await buildAgent()))
