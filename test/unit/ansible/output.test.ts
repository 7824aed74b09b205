import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventMarker } from '../../../agent/adapters/ansible/callback-plugin.ts'
import { AnsibleOutput } from '../../../agent/adapters/ansible/output.ts'

// Recorded from ansible-core 2.14 with the callback plugin: a task that fails in a loop, one that is ignored.
const recorded = [
  '{"event": "task", "task": "bad : ignored"}',
  '{"event": "result", "status": "failed", "host": "web", "task": "bad : ignored", "ignored": true, "item": false, "msg": "non-zero return code", "stderr": "no", "rc": "1"}',
  '{"event": "task", "task": "bad : change"}',
  '{"event": "result", "status": "changed", "host": "web", "task": "bad : change", "ignored": false, "item": false}',
  '{"event": "task", "task": "bad : loop fails"}',
  '{"event": "result", "status": "failed", "host": "web", "task": "bad : loop fails", "ignored": true, "item": true, "msg": "non-zero return code", "stderr": "err", "stdout": "out hunter2hunter2", "rc": "3"}',
  '{"event": "result", "status": "failed", "host": "web", "task": "bad : loop fails", "ignored": false, "item": false, "msg": "One or more items failed"}',
].map((line) => eventMarker + line)

function read(lines: readonly string[], secrets: readonly string[] = []) {
  const log: string[] = []
  const output = new AnsibleOutput((line) => log.push(line), secrets)
  for (const line of lines) output.line(line)
  return { log, output }
}

test('tasks, changes and failures become lines', () => {
  const { log, output } = read(recorded)
  assert.deepEqual(log, [
    'bad : ignored',
    'bad : ignored: failed, ignored: non-zero return code',
    'bad : change',
    'bad : change: changed',
    'bad : loop fails',
    'bad : loop fails: failed: One or more items failed',
  ])
  assert.deepEqual(output.summary(), { tasks: 3, changed: 1 })
})

test('the error names the task and what its item said, without secrets', () => {
  const error = read(recorded, ['hunter2hunter2']).output.error(2, 'image_web')
  assert.equal(error?.code, 'command-failed')
  assert.equal(error.message, 'image_web: task "bad : loop fails" failed: non-zero return code')
  assert.deepEqual(error.log, ['out ********', 'err'])
})

test('short words are not taken for secrets', () => {
  assert.deepEqual(read([`${eventMarker}{"event": "task", "task": "a b"}`], ['a', 'b', '']).log, ['a b'])
})

test('an end without a failed task shows what Ansible said', () => {
  const { output } = read(["ERROR! the role 'gone' was not found"])
  assert.deepEqual(output.error(1, 'web')?.log, ["ERROR! the role 'gone' was not found"])
  assert.match(output.error(null, 'web')?.message ?? '', /was killed/)
})

test('a good end is no error, an unknown target is one', () => {
  assert.equal(read([]).output.error(0, 'web'), undefined)
  assert.equal(read([`${eventMarker}{"event": "nothing"}`]).output.error(0, 'web')?.code, 'internal')
})

test('what a module prints is not taken for an event', () => {
  assert.deepEqual(read(['{"event": "task", "task": "x"}', `${eventMarker}{broken`]).log, [])
})
