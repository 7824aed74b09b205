import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { lineDiff } from '../../../agent/adapters/line-diff.ts'

test('a changed line is shown with two lines around it', () => {
  assert.equal(lineDiff('a\nb\nc\nd\ne\nf\n', 'a\nb\nc\nX\ne\nf\n'), ' b\n c\n-d\n+X\n e\n f')
})

test('parts far from each other are apart', () => {
  const before = Array.from({ length: 12 }, (_, n) => `line ${n}`)
  const after = before.map((line) => (line === 'line 1' || line === 'line 10' ? `${line}!` : line))
  assert.equal(
    lineDiff(before.join('\n'), after.join('\n')),
    ' line 0\n-line 1\n+line 1!\n line 2\n line 3\n@@\n line 8\n line 9\n-line 10\n+line 10!\n line 11',
  )
})

test('a new file is all plus', () => assert.equal(lineDiff('', 'a\nb\n'), '+a\n+b'))

test('no more than twenty lines, the last says how many are left out', () => {
  const shown = lineDiff('', Array.from({ length: 100 }, (_, n) => `${n}`).join('\n')).split('\n')
  assert.equal(shown.length, 20)
  assert.equal(shown.at(-1), '… 81 more lines')
})

test('minus and plus lines are what is gone and new', () => {
  const text = fc.array(fc.constantFrom('a', 'b', 'c', 'd')).map((all) => all.map((line) => `${line}\n`).join(''))
  fc.assert(
    fc.property(text, text, (before, after) => {
      const shown = lineDiff(before, after, 1_000).split('\n')
      const count = (sign: string, letter: string) => shown.filter((line) => line === sign + letter).length
      const has = (whole: string, letter: string) => whole.split('\n').filter((line) => line === letter).length
      for (const letter of ['a', 'b', 'c', 'd']) assert.equal(count('+', letter) - count('-', letter), has(after, letter) - has(before, letter))
    }),
  )
})
