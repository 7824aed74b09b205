import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seconds } from '../../../cli/commands/numbers.ts'

test('a time is a number and a unit', () => {
  assert.deepEqual(['90s', '30m', '2h', '1d'].map(seconds), [90, 1800, 7200, 86_400])
  for (const wrong of ['', '2', '0h', '-1h', '1.5h', '1w', '2 h', '1h30m', '9999999d']) assert.throws(() => seconds(wrong), /write a number and a unit/)
})
