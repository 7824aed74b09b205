import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { suite, test } from 'node:test'
import { onlyRemarks, shellCommand } from '../../../agent/watchers/backup/commands.ts'

const run = (command: string): { readonly code: number | null; readonly out: string } => {
  const [file = '', ...rest] = shellCommand(command)
  const { status, stdout } = spawnSync(file, rest, { encoding: 'utf8' })
  return { code: status, out: stdout }
}

suite('commands of the inventory', () => {
  test('fail where any part of a pipeline fails', () => {
    assert.notEqual(run('echo half; (echo data; exit 3) | cat').code, 0)
    assert.equal(run('echo data | cat').code, 0)
    assert.equal(run('exit 7').code, 7)
  })

  test('can ask for the other way', () => assert.equal(run('set +o pipefail; (exit 3) | cat').code, 0))

  test('hold quotes, variables and several lines', () => {
    assert.deepEqual(run(`a='it''s'; echo "$a \\"quoted\\"" | cat\nfor x in 1 2; do echo $x; done`), { code: 0, out: 'its "quoted"\n1\n2\n' })
  })
})

test('a tar that only remarks on files in use has packed all', () => {
  assert.equal(onlyRemarks(1, ['tar: ./log: file changed as we read it']), true)
  assert.equal(onlyRemarks(1, ['tar: ./log: file changed as we read it', 'tar: ./db: Cannot open: Permission denied']), false)
  assert.equal(onlyRemarks(2, ['tar: ./log: file changed as we read it']), false)
  assert.equal(onlyRemarks(1, []), false)
})
