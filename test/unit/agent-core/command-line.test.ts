import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readCommandLine, usage } from '../../../agent/command-line.ts'

test('an agent without arguments serves, and each way to ask for the version or for help is taken', () => {
  const commandOf = (...args: readonly string[]): string => readCommandLine(args).command
  assert.deepEqual(
    [commandOf(), commandOf('version'), commandOf('--version'), commandOf('-h'), commandOf('csr', '--help')],
    ['serve', 'version', 'version', 'help', 'help'],
  )
  assert.deepEqual(readCommandLine(['csr', '--name', 'a.b', '--dns', 'a', '--dns', 'b']).values.dns, ['a', 'b'])
})

test('what it does not know is named', () => {
  assert.throws(() => readCommandLine(['--port', '1']), { code: 'invalid-input', message: "Unknown option '--port'", hint: /--help/ })
  assert.throws(() => readCommandLine(['start']), { code: 'invalid-input', message: 'there is serve, csr, install-certificate, version, help, not start' })
})

test('help tells each command', () => {
  for (const command of ['serve', 'csr --name', 'install-certificate', 'version']) assert.ok(usage.includes(command), command)
})
