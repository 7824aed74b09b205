/** The agent's own command line, which nobody but the bootstrap and a curious operator use. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

const program = new URL('../../../agent/main.ts', import.meta.url).pathname
const agent = (...args: readonly string[]): readonly [number | null, string, string] => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', timeout: 60_000 })
  return [status, stdout, stderr]
}

test('what it does not know is one line that says so', () => {
  assert.deepEqual(agent('--port', '1'), [2, '', "hive-agent: Unknown option '--port' (hive-agent --help tells what it takes)\n"])
  assert.deepEqual(agent('start'), [2, '', 'hive-agent: there is serve, csr, install-certificate, version and help, not start\n'])
})

test('help tells each command', () => {
  const [code, out] = agent('--help')
  assert.equal(code, 0)
  for (const command of ['serve', 'csr --name', 'install-certificate', 'version']) assert.ok(out.includes(command), command)
})
