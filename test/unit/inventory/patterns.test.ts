import assert from 'node:assert/strict'
import { test } from 'node:test'
import { patternMistake } from '../../../coordinator/inventory/patterns.ts'

test('expressions that rsyslog understands are none of our business', () => {
  for (const pattern of [
    'timed out .* "/x',
    '[[:digit:]]+ failed',
    '^ (ERROR|FATAL)( [0-9]{3})?:',
    '\\(bad\\)',
    'C:\\\\temp',
    '\\\\d is no digit here',
    '[\\d]',
    '[^]a]\\.b',
    '\\<word\\>',
    '\\$HOME',
    '\\w+\\s',
    'what\\(?',
    '\\\\\\(?x',
    "it's",
  ])
    assert.equal(patternMistake(pattern), undefined, pattern)
})

test('what other engines have is told, with what to write instead', () => {
  assert.match(patternMistake('a(?=b)') ?? '', /^\(\?= is not known to POSIX expressions$/)
  assert.match(patternMistake('(?i)error') ?? '', /^\(\? is not known/)
  assert.match(patternMistake('(?:a|b)') ?? '', /^\(\?: is not known/)
  assert.match(patternMistake('code \\d+') ?? '', /^\\d means the letter d in POSIX expressions; write \[0-9\]$/)
  assert.match(patternMistake('[0-9]\\\\\\d') ?? '', /^\\d means the letter d/)
  assert.match(patternMistake('(oops') ?? '', /Unterminated group/)
  assert.match(patternMistake('*x') ?? '', /Nothing to repeat/)
})
