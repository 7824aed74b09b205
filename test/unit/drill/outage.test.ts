import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { outageOf, type Sample } from '../../../coordinator/drill/outage.ts'

/** "1" an answer, "0" none, a second each. */
const samples = (text: string): readonly Sample[] => [...text].map((one, index) => ({ at: index * 1000, answered: one === '1' }))

test('an outage lasts from the last answer to the next one', () => {
  assert.deepEqual(outageOf(samples('1110011')), { longest: 3000, together: 3000, count: 1, lasts: false, asked: 7 })
})

test('of several the longest counts, and all of them together', () => {
  assert.deepEqual(outageOf(samples('10110001')), { longest: 4000, together: 6000, count: 2, lasts: false, asked: 8 })
})

test('one that has not ended is told', () => {
  assert.deepEqual(outageOf(samples('1000')), { longest: 3000, together: 3000, count: 1, lasts: true, asked: 4 })
  assert.deepEqual(outageOf(samples('0')), { longest: 0, together: 0, count: 1, lasts: true, asked: 1 })
  assert.equal(outageOf([]).count, 0)
})

test('it is none exactly where every question was answered, and never longer than it was asked for', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ gap: fc.integer({ min: 1, max: 500 }), answered: fc.boolean() }), { minLength: 1 }), (steps) => {
      const timeOf = (index: number): number => steps.slice(0, index + 1).reduce((sum, { gap }) => sum + gap, 0)
      const taken = steps.map(({ answered }, index) => ({ at: timeOf(index), answered }))
      const { longest, together, count } = outageOf(taken)
      assert.equal(
        count > 0,
        taken.some(({ answered }) => !answered),
      )
      assert.ok(longest <= together && together <= timeOf(steps.length) - (taken[0]?.at ?? 0))
    }),
  )
})
