// Runs hivecoord from a checkout: makes what is stale, then hands over to the bundle on the Node.js that the checkout brings.
import { spawnSync } from 'node:child_process'
import * as module from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const needed = 24

if (Number(process.versions.node.split('.')[0]) < needed) {
  spawnSync(process.execPath, [join(root, 'packaging/setup.mjs')], { stdio: 'inherit' })
  const node = join(root, 'node_modules/.bin/node')
  const { status } = spawnSync(node, process.argv.slice(1), { stdio: 'inherit' })
  process.exit(status ?? 1)
}

// Also for the process that goes on inside the stage's network namespace.
process.env.NODE_COMPILE_CACHE ??= join(root, 'build/compile-cache')
module.enableCompileCache(process.env.NODE_COMPILE_CACHE)
const { buildCli } = await import('./build-cli.mjs')
const entry = await buildCli()
process.env.HIVE_CHECKOUT = root
process.argv[1] = entry
await import(pathToFileURL(entry).href)
