import assert from 'node:assert/strict'
import { type ChildProcess, spawnSync } from 'node:child_process'
import { channel } from 'node:diagnostics_channel'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { run } from '../../../agent/adapters/command.ts'
import { HiveError } from '../../../proto/errors.ts'

const failing = (argv: [string, ...string[]], options: Parameters<typeof run>[1] = {}): Promise<HiveError> =>
  run(argv, { readOnly: true, ...options }).then(
    () => assert.fail('it succeeded'),
    (error: unknown) => (error instanceof HiveError ? error : assert.fail(String(error))),
  )
const shell = (script: string): [string, ...string[]] => ['sh', '-c', script]

test('answers code and output, with input given and without the last line end', async () => {
  const result = await run(shell('cat; echo two >&2; exit 3'), { readOnly: true, input: 'one\n', okCodes: [3] })
  assert.deepEqual(result, { code: 3, stdout: 'one', stderr: 'two' })
})

test('tells lines as they come, the last one without an end too', async () => {
  const lines: string[] = []
  await run(shell('printf "a\\r\\nb\\n\\nc"'), { readOnly: true, onLine: (line) => lines.push(line) })
  assert.deepEqual(lines, ['a', 'b', '', 'c'])
})

test('a deadline ends what the command started too', async () => {
  const pids: number[] = []
  const error = await failing(shell('sleep 300 & echo $!; wait'), { timeout: 100, onLine: (line) => pids.push(Number(line)) })
  assert.equal(error.code, 'timeout')
  // It may still wait to be taken leave of by its new parent.
  const state = await readFile(`/proc/${pids[0]}/stat`, 'utf8').catch(() => '(gone) Z')
  assert.match(state, /\) [ZX]/)
})

test('an abort ends it as cancelled, before its start too', async () => {
  assert.equal((await failing(shell('sleep 30 & wait'), { signal: AbortSignal.timeout(50) })).code, 'cancelled')
  assert.equal((await failing(shell('exit 0'), { signal: AbortSignal.abort() })).code, 'cancelled')
})

test('a child that keeps the output open does not hold up its end', async () => {
  const { stdout } = await run(shell('sleep 300 & echo $!'), { readOnly: true })
  // It is there still, so nobody waited for it; and then there is nobody of that pid.
  process.kill(Number(stdout), 'SIGKILL')
})

test('an agent that is too busy to read in time loses no output', async () => {
  // The event loop stands still from when the program's end was noticed until after the time for late output.
  const standStill = (message: unknown): void => {
    const { process: child } = message as { readonly process: ChildProcess }
    process.nextTick(() => child.once('exit', () => void spawnSync('sleep', ['1.5'])))
  }
  channel('child_process').subscribe(standStill)
  try {
    const { stdout } = await run(shell('{ sleep 0.3; head -c 100000 /dev/zero | tr "\\0" x; } &'), { readOnly: true })
    assert.equal(stdout.length, 100_000)
  } finally {
    channel('child_process').unsubscribe(standStill)
  }
})

test('a program that is not there, or is killed, is a failed command', async () => {
  const absent = await failing(['/nonexistent/tool'])
  assert.equal(absent.code, 'command-failed')
  assert.match(absent.message, /nonexistent\/tool can't be run/)
  assert.match((await failing(shell('kill -9 $$'))).message, /SIGKILL/)
})

test('does nothing in a plan unless it only reads', async () => {
  await assert.rejects(run(shell('exit 0')), /read-only/)
})
