import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { gathered } from '../../../agent/adapters/gathered.ts'

suite('questions to a program that answers several at once', () => {
  test('those that come meanwhile go together, and each has its own answer', async () => {
    const asked: (readonly number[])[] = []
    const twice = gathered(async (numbers: readonly number[]) => {
      asked.push(numbers)
      await new Promise(setImmediate)
      return numbers.map((one) => one * 2)
    })
    assert.deepEqual(await Promise.all([1, 2, 3, 4].map(twice)), [2, 4, 6, 8])
    assert.deepEqual(asked, [[1], [2, 3, 4]])
    assert.equal(await twice(5), 10)
  })

  test('one without an answer fails alone', async () => {
    const half = gathered(async (numbers: readonly number[]) => {
      await new Promise(setImmediate)
      if (numbers.some((one) => one % 2 === 1)) throw new RangeError(`${numbers} is odd`)
      return numbers.map((one) => one / 2)
    })
    const outcomes = await Promise.allSettled([2, 3, 4, 5].map(half))
    assert.deepEqual(
      outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : String(outcome.reason))),
      [1, 'RangeError: 3 is odd', 2, 'RangeError: 5 is odd'],
    )
    await assert.rejects(half(7), RangeError)
    assert.equal(await half(8), 4)
  })
})
