// Bundles hivecoord into build/dist/hivecoord/ when its sources are newer: ESM in chunks, so that a command loads only what it uses.
import { existsSync, globSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { generate } from './generate.mjs'
import { licencesIn } from './licenses.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const output = join(root, 'build/dist/hivecoord')

const common = {
  absWorkingDir: root,
  write: false,
  bundle: true,
  platform: 'node',
  target: 'node24',
  mainFields: ['module', 'main'],
  loader: { '.binpb': 'binary' },
  external: ['*.node'],
  logLevel: 'warning',
}

const newest = (patterns) => Math.max(0, ...patterns.flatMap((p) => globSync(p, { cwd: root })).map((f) => statSync(join(root, f)).mtimeMs))

/** Returns the path of the bundle's entry. About 0.5 s when something changed, else a few milliseconds. */
export async function buildCli() {
  generate()
  const entry = join(output, 'main.mjs')
  const sources = newest(['proto/**/*.ts', 'proto/hive/v1', 'coordinator/**/*.ts', 'cli/**/*.ts', 'build/gen/descriptors.binpb', 'package-lock.json'])
  if (existsSync(entry) && statSync(entry).mtimeMs >= sources) return entry
  mkdirSync(output, { recursive: true })
  const { outputFiles } = await bundle(output)
  // The entry last: it names the others, and another process may read while this one writes.
  for (const { path, contents } of outputFiles.sort((a, b) => Number(a.path === entry) - Number(b.path === entry))) writeWhole(path, contents)
  removeOld(new Set(outputFiles.map(({ path }) => path)))
  return entry
}

/** The files of the bundle, not written yet, for the folder `outdir`, and the licences of the modules in it. Its entry is main.mjs. */
export async function bundle(outdir) {
  const { build } = await import('esbuild')
  const { outputFiles, metafile } = await build({
    ...common,
    metafile: true,
    entryPoints: { main: 'cli/main.ts' },
    outdir,
    outExtension: { '.js': '.mjs' },
    splitting: true,
    format: 'esm',
    banner: { js: "import{createRequire as __hiveRequire}from'node:module';const require=__hiveRequire(import.meta.url);" },
  })
  return { outputFiles, licences: licencesIn(metafile) }
}

/** The same as one script of the older kind, for the one executable. */
export async function bundleScript(outfile) {
  const { build } = await import('esbuild')
  await build({ ...common, write: true, entryPoints: ['cli/main.ts'], outfile, format: 'cjs', define: { 'import.meta.dirname': '__dirname' } })
}

function writeWhole(path, contents) {
  const temporary = `${path}.${process.pid}`
  writeFileSync(temporary, contents)
  renameSync(temporary, path)
}

/** Chunks of earlier bundles, an hour old: a command that still runs may load one late. */
function removeOld(current) {
  for (const name of readdirSync(output)) {
    const path = join(output, name)
    // Another process that builds may rename its own meanwhile.
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
    if (!current.has(path) && age > 3_600_000) rmSync(path, { force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildCli()
