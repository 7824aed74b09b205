import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Attempt, accountOf, longestGap } from '../../chaos/account.ts'

const answered = (...ends: readonly number[]): readonly Attempt[] => ends.map((end) => ({ at: end - 1, end, ok: true }))
const refused = (end: number): Attempt => ({ at: end - 1, end, ok: false })

test('the longest time without an answer is that between two answers', () => {
  assert.equal(longestGap(answered(0, 10, 50, 60, 100), 5, 90), 40)
  assert.equal(longestGap([...answered(0, 10, 50), refused(20), refused(30)], 5, 40), 40)
})

test('one that began before the window, or ends after it, counts with all of it', () => {
  assert.equal(longestGap(answered(0, 100, 110), 50, 105), 100)
  assert.equal(longestGap(answered(0, 10, 200), 0, 20), 190)
})

test('where nothing is answered any more, or never was, the window is its end', () => {
  assert.equal(longestGap(answered(0, 10), 5, 500), 490)
  assert.equal(longestGap([refused(20)], 10, 60), 50)
})

const times = fc.uniqueArray(fc.integer({ min: 0, max: 1000 }), { minLength: 1, maxLength: 40 })

test('more answers never make a gap longer, and a wider window never a shorter one', () => {
  fc.assert(
    fc.property(times, times, fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 0, max: 1000 }), (some, more, a, b) => {
      const [from, to] = [Math.min(a, b), Math.max(a, b)]
      // Of a client that was answered before, and is again after it.
      const always = [-20, 1020]
      const gap = longestGap(answered(...always, ...some), from, to)
      assert.ok(longestGap(answered(...always, ...some, ...more), from, to) <= gap)
      assert.ok(longestGap(answered(...always, ...some), from - 10, to + 10) >= gap)
    }),
  )
})

const sent = (number: number, ok: boolean): Attempt => ({ at: number, end: number, ok, number })

test('what was acknowledged and is not there is lost', () => {
  const account = accountOf([sent(1, true), sent(2, false), sent(3, true), sent(4, false)], [1, 2])
  assert.deepEqual(account, { tried: 4, acknowledged: 2, lost: [3], wrong: [], unheard: 1 })
})

test('what is there twice, or was never sent, is wrong', () => {
  assert.deepEqual(accountOf([sent(1, true), sent(2, true)], [1, 2, 2, 9]).wrong, [2, 9])
})

test('a service that keeps all it acknowledged, and none that was not sent, is never blamed; one that forgets always is', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ ok: fc.boolean(), kept: fc.boolean() }), { minLength: 1 }), (history) => {
      const attempts = history.map(({ ok }, index) => sent(index, ok))
      const found = history.flatMap(({ ok, kept }, index) => (ok || kept ? [index] : []))
      const good = accountOf(attempts, found)
      assert.deepEqual([good.lost, good.wrong], [[], []])
      const forgotten = history.findIndex(({ ok }) => ok)
      if (forgotten >= 0)
        assert.deepEqual(
          accountOf(
            attempts,
            found.filter((number) => number !== forgotten),
          ).lost,
          [forgotten],
        )
    }),
  )
})
