// Makes a fresh clone ready: installs the locked dependencies when they are missing or older than the lock. Runs on the machine's own Node.js (20 or later) and needs nothing else.
// With arguments (a script and what it takes) it then generates code and runs the script on the Node.js that the dependencies bring.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const installed = join(root, 'node_modules/.package-lock.json')
const upToDate = existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs

if (!upToDate) {
  process.stderr.write('installing dependencies (npm ci)\n')
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root, stdio: ['ignore', 2, 2] })
  if (status !== 0) process.exit(status ?? 1)
}

const [script, ...args] = process.argv.slice(2)
if (script !== undefined) {
  const node = join(root, 'node_modules/.bin/node')
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` }
  const generated = spawnSync(node, [join(root, 'packaging/generate.mjs')], { stdio: 'inherit', env })
  if (generated.status !== 0) process.exit(generated.status ?? 1)
  const child = spawn(node, [script, ...args], { stdio: 'inherit', env })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)))
}
