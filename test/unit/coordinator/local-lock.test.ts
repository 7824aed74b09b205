import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { acquireLocalLock, localLockHolder } from '../../../coordinator/run/local-lock.ts'
import { isDead, newOwner, parseOwner, thisProcess } from '../../../coordinator/run/process-identity.ts'
import { HiveError } from '../../../proto/errors.ts'
import { tempFolder } from './support/temp.ts'

const now = new Date('2026-11-23T10:00:00Z')

test('the second of two is told who has it, and gets it after the release', (t) => {
  const folder = tempFolder(t)
  const first = acquireLocalLock(folder, newOwner(), 'deploy', now)
  assert.throws(
    () => acquireLocalLock(folder, newOwner(), 'destroy', now),
    (error) =>
      error instanceof HiveError && error.code === 'locked' && error.message.includes(`process ${process.pid}`) && error.message.includes('for deploy'),
  )
  assert.equal(localLockHolder(folder)?.purpose, 'deploy')
  first.release()
  assert.equal(existsSync(join(folder, 'run.lock')), false)
  acquireLocalLock(folder, newOwner(), 'destroy', now).release()
})

test('the lock of a dead process is taken over, and its number in a new process is not mistaken for it', (t) => {
  const folder = tempFolder(t)
  const { pid } = spawnSync('true')
  const dead = newOwner({ ...thisProcess(), pid })
  writeFileSync(join(folder, 'run.lock'), JSON.stringify({ owner: dead, purpose: 'deploy', since: '' }))
  const lock = acquireLocalLock(folder, newOwner(), 'deploy', now)
  lock.release()
  const reused = newOwner({ ...thisProcess(), startTime: '1' })
  writeFileSync(join(folder, 'run.lock'), JSON.stringify({ owner: reused, purpose: 'deploy', since: '' }))
  acquireLocalLock(folder, newOwner(), 'deploy', now).release()
})

test('what a killed writer left beside its file goes, and nothing else', (t) => {
  const folder = tempFolder(t)
  const { pid } = spawnSync('true')
  const put = (name: string, age: number): void => {
    writeFileSync(join(folder, name), 'half')
    utimesSync(join(folder, name), new Date(now.getTime() - age), new Date(now.getTime() - age))
  }
  put(`state.json.${pid}.0123abcd`, 60_000)
  put(`fresh.json.${pid}.0123abcd`, 0)
  put(`mine.json.${process.pid}.0123abcd`, 60_000)
  put('notes.2026.txt', 60_000)
  acquireLocalLock(folder, newOwner(), 'deploy', now)
  assert.deepEqual(
    readdirSync(folder).filter((name) => name !== 'run.lock'),
    [`fresh.json.${pid}.0123abcd`, `mine.json.${process.pid}.0123abcd`, 'notes.2026.txt'],
  )
})

test("another machine's process is never taken for dead", (t) => {
  const folder = tempFolder(t)
  const far = newOwner({ pid: 1_000_000, startTime: '5', boot: '00000000' }, 'them@far')
  writeFileSync(join(folder, 'run.lock'), JSON.stringify({ owner: far, purpose: 'deploy', since: '' }))
  assert.throws(() => acquireLocalLock(folder, newOwner(), 'deploy', now), /them@far/)
  assert.match(readFileSync(join(folder, 'run.lock'), 'utf8'), /them@far/)
})

test('a program that replaced itself by another knows that the owner before is gone', () => {
  const owner = newOwner()
  const mine = parseOwner(owner)
  assert.ok(mine)
  assert.equal(isDead(mine), false)
  const before = parseOwner(owner.replace(/-[0-9a-f]+$/, '-00000000'))
  assert.ok(before)
  assert.equal(isDead(before), true)
})
