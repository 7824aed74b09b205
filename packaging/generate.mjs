// Generates the gRPC code (build/gen/**) and the descriptor set (build/gen/descriptors.binpb, and descriptors.ts with the same bytes) from proto/, and dashboard.ts with the
// dashboard's script and style, when their sources are newer.
import { execFileSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** What is sent to browsers as it is, so that every form of hivecoord has it in its code. */
const dashboard = { script: 'cli/dashboard/page/script.js', style: 'cli/dashboard/page/style.css' }

/** Makes build/gen when it is missing or older than its sources. Takes about 1 s, else 2 ms. */
export function generate() {
  const target = join(root, 'build/gen')
  const stamp = join(target, 'descriptors.ts')
  const sources = [...globSync('proto/{hive,grpc}/**/*.proto', { cwd: root }), dashboard.script, dashboard.style, 'buf.gen.yaml', 'packaging/generate.mjs'].map(
    (p) => join(root, p),
  )
  const newest = Math.max(...sources.map((p) => statSync(p).mtimeMs))
  if (existsSync(stamp) && statSync(stamp).mtimeMs >= newest) return
  const buf = join(root, 'node_modules/@bufbuild/buf-linux-x64/bin/buf')
  const options = {
    cwd: root,
    env: { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}` },
    stdio: ['ignore', 'inherit', 'inherit'],
  }
  // Made aside and swapped in as a whole, so that whoever reads build/gen meanwhile never sees half of it.
  const aside = join(root, `build/gen.${process.pid}`)
  mkdirSync(aside, { recursive: true })
  execFileSync(buf, ['generate', '-o', aside], options)
  const made = join(aside, 'build/gen')
  const binary = join(made, 'descriptors.binpb')
  execFileSync(buf, ['build', '-o', `${binary}#format=binpb`, '--as-file-descriptor-set'], options)
  const base64 = readFileSync(binary).toString('base64')
  writeFileSync(
    join(made, 'descriptors.ts'),
    `/** The FileDescriptorSet of all of proto/, serialized. */\nexport const descriptors: Uint8Array = Buffer.from('${base64}', 'base64')\n`,
  )
  const constants = Object.entries(dashboard).map(
    ([name, path]) => `export const ${name}: string = ${JSON.stringify(readFileSync(join(root, path), 'utf8'))}\n`,
  )
  writeFileSync(join(made, 'dashboard.ts'), constants.join(''))
  if (existsSync(target)) renameSync(target, join(aside, 'old'))
  try {
    renameSync(made, target)
  } catch (error) {
    // Another generator of the same sources was faster.
    if (!existsSync(stamp)) throw error
  }
  rmSync(aside, { recursive: true, force: true })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) generate()
