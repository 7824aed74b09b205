import assert from 'node:assert/strict'
import { test } from 'node:test'
import { idleBetween, inOrder, type Job, type Machine, startable } from '../../schedule.ts'

const job = (name: string): Job => ({ suite: name.split('/')[0] ?? '', name })
const jobs = (...names: readonly string[]): readonly Job[] => names.map(job)
const atRest: Machine = { processors: 4, idle: 0.9, freeMemory: 16 * 1024 ** 3, sinceSite: 60_000 }
const names = (list: readonly Job[]): readonly string[] => list.map(({ name }) => name)

test('of what keeps a processor busy one goes after the other, beside sites', () => {
  const waiting = jobs('unit', 'ec2/a', 'lab/a', 'lab/b')
  assert.deepEqual(names(startable(waiting, [], atRest)), ['unit', 'lab/a'])
  assert.deepEqual(names(startable(jobs('ec2/a', 'lab/b'), jobs('unit', 'lab/a'), atRest)), ['lab/b'])
  assert.deepEqual(names(startable(jobs('ec2/a'), jobs('lab/a'), atRest)), ['ec2/a'])
})

test('one that takes the whole machine waits for all others, and all others for it', () => {
  const whole: Job = { ...job('vm/whole'), alone: true }
  assert.deepEqual(names(startable([whole, ...jobs('unit', 'lab/a')], [], atRest)), ['vm/whole'])
  assert.deepEqual(startable([whole, ...jobs('ec2/a')], jobs('lab/a'), atRest), [])
  assert.deepEqual(startable(jobs('unit', 'lab/a'), [whole], atRest), [])
  assert.deepEqual(names(startable([...jobs('lab/a'), whole, ...jobs('unit')], [], atRest)), ['unit', 'lab/a'])
})

test('beside one that takes the whole machine comes what gives way, one at a time', () => {
  const whole: Job = { ...job('vm/whole'), alone: true }
  const [one, other] = jobs('packages/a', 'packages/b').map((quiet): Job => ({ ...quiet, givesWay: true }))
  assert.ok(one !== undefined && other !== undefined)
  assert.deepEqual(names(startable([...jobs('unit', 'lab/a'), one, other], [whole], atRest)), ['packages/a'])
  assert.deepEqual(startable([...jobs('unit'), other], [whole, one], atRest), [])
  assert.deepEqual(names(startable([whole, one], [], atRest)), ['vm/whole'])
})

test('two sites stand beside one another on any machine, more only where it has nothing to do', () => {
  const busy: Machine = { processors: 2, idle: 0.02, freeMemory: 1024 ** 3, sinceSite: 0 }
  assert.deepEqual(names(startable(jobs('lab/b'), jobs('lab/a'), busy)), ['lab/b'])
  const two = jobs('lab/a', 'lab/b')
  assert.deepEqual(names(startable(jobs('lab/c'), two, atRest)), ['lab/c'])
  for (const lacking of [{ idle: 0.1 }, { freeMemory: 1024 ** 3 }, { sinceSite: 5_000 }])
    assert.deepEqual(startable(jobs('lab/c'), two, { ...atRest, ...lacking }), [], JSON.stringify(lacking))
})

test('sites beyond two are never more than processors', () => {
  assert.deepEqual(startable(jobs('lab/e'), jobs('lab/a', 'lab/b', 'lab/c', 'lab/d'), atRest), [])
  assert.deepEqual(startable(jobs('lab/c'), jobs('lab/a', 'lab/b'), { ...atRest, processors: 2 }), [])
})

test('what is named comes first, in the order named, and all else stays as it was', () => {
  assert.deepEqual(names(inOrder(jobs('unit', 'lab/a', 'lab/b', 'lab/c'), ['lab/c', 'lab/b'])), ['lab/c', 'lab/b', 'unit', 'lab/a'])
})

test('idle is what of the time between two readings nobody used, over all processors', () => {
  const reading = (idle: number, user: number) => ({ user, nice: 0, sys: 0, idle, irq: 0 })
  assert.equal(idleBetween([reading(0, 0), reading(0, 0)], [reading(100, 0), reading(50, 50)]), 0.75)
  assert.equal(idleBetween([reading(5, 5)], [reading(5, 5)]), 0)
})
