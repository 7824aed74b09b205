import assert from 'node:assert/strict'
import { test } from 'node:test'
import { run } from '../../../agent/adapters/command.ts'
import { bounded, stuckCommands } from '../../../agent/adapters/drbd/tools.ts'
import { sharedAnswer } from '../../../agent/adapters/shared-answer.ts'
import { HiveError } from '../../../proto/errors.ts'

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'ok',
    (error: unknown) => (error instanceof HiveError ? error.code : assert.fail(String(error))),
  )

test('commands that never return are counted, and with three of them storage is left alone until one comes back', async () => {
  const release: (() => void)[] = []
  const hanging: typeof run = () => new Promise((resolve) => release.push(() => resolve({ code: 0, stdout: '', stderr: '' })))
  const hang = (): Promise<string> => codeOf(bounded(['lvs'], { readOnly: true, timeout: 10 }, hanging, 10))
  assert.deepEqual(await Promise.all([hang(), hang(), hang()]), ['timeout', 'timeout', 'timeout'])
  assert.deepEqual(
    stuckCommands().map(({ argv }) => argv),
    [['lvs'], ['lvs'], ['lvs']],
  )
  assert.equal(await codeOf(bounded(['true'], { readOnly: true }, run)), 'blocked')
  release[1]?.()
  await new Promise(setImmediate)
  assert.equal(stuckCommands().length, 2)
  assert.equal(await codeOf(bounded(['true'], { readOnly: true }, run)), 'ok')
  for (const one of release) one()
  await new Promise(setImmediate)
  assert.equal(stuckCommands().length, 0)
})

test('an aborted command that does not go is left behind as well', async () => {
  let end = (): void => undefined
  const hanging: typeof run = () =>
    new Promise((resolve) => {
      end = () => resolve({ code: 0, stdout: '', stderr: '' })
    })
  const abort = new AbortController()
  const asked = codeOf(bounded(['drbdsetup'], { readOnly: true, signal: abort.signal }, hanging, 10))
  abort.abort()
  assert.equal(await asked, 'timeout')
  assert.equal(stuckCommands().length, 1)
  end()
  await new Promise(setImmediate)
  assert.equal(stuckCommands().length, 0)
})

test('one answer serves all who ask within its time and until something changed', async () => {
  let asked = 0
  let version = 0
  let now = 0
  const answer = sharedAnswer(
    () => Promise.resolve(++asked),
    () => version,
    () => now,
  )
  assert.deepEqual(await Promise.all([answer.get(), answer.get()]), [1, 1])
  now = 300
  assert.equal(await answer.get(), 1)
  now = 301
  assert.equal(await answer.get(), 2)
  version++
  assert.equal(await answer.get(), 3)
})

test('who is aborted leaves, and the others get the answer', async () => {
  let finish: (value: string) => void = () => undefined
  const answer = sharedAnswer(
    () =>
      new Promise<string>((resolve) => {
        finish = resolve
      }),
  )
  const abort = new AbortController()
  const [left, stayed] = [answer.get(abort.signal), answer.get()]
  abort.abort(new Error('enough'))
  await assert.rejects(left, /enough/)
  finish('here')
  assert.equal(await stayed, 'here')
})

test('a failure is not kept', async () => {
  let asked = 0
  const answer = sharedAnswer(() => (++asked === 1 ? Promise.reject(new Error('once')) : Promise.resolve(asked)))
  await assert.rejects(answer.get(), /once/)
  assert.equal(await answer.get(), 2)
})
