import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { suite, test } from 'node:test'
import { processors } from '../../vm/processors.ts'

suite('the processors that a process may use', () => {
  test('are told singly and in ranges', () => {
    assert.deepEqual(processors('Name:\tnode\nCpus_allowed:\tb7\nCpus_allowed_list:\t0-2,4,6-7\nMems_allowed:\t1\n'), [0, 1, 2, 4, 6, 7])
  })

  test('are as many as this one has', { skip: process.platform !== 'linux' }, () => {
    assert.equal(processors().length, availableParallelism())
  })
})
