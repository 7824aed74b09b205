import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import fc from 'fast-check'
import { cutoff, expired } from '../../../agent/watchers/backup/retention.ts'

const hour = 3600_000

suite('old files', () => {
  let folder = ''
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'backup-retention-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  /** What find takes for old, and what we do, at the same moment: the day must not change in between. */
  function both(ages: readonly number[], days: number): { readonly find: readonly string[]; readonly ours: readonly string[] } {
    for (;;) {
      const now = new Date()
      const files = ages.map((age, index) => ({ file: `f${index}`, at: new Date(now.getTime() - age) }))
      for (const { file, at } of files) {
        writeFileSync(join(folder, file), '')
        utimesSync(join(folder, file), at, at)
      }
      const found = execFileSync('find', [folder, '-type', 'f', '-daystart', '-mtime', `+${days}`, '-printf', '%f\n'], { encoding: 'utf8' })
      const ours = expired(files, days, now, new Set()).map(({ file }) => file)
      for (const { file } of files) rmSync(join(folder, file))
      if (new Date().toDateString() === now.toDateString())
        return {
          find: found
            .split('\n')
            .filter((name) => name !== '')
            .sort(),
          ours: [...ours].sort(),
        }
    }
  }

  test('are those that find -daystart -mtime +DAYS finds', () => {
    const age = fc.oneof(
      fc.integer({ min: -2 * hour, max: 12 * 24 * hour }),
      // Beside midnights of the last days.
      fc
        .tuple(fc.integer({ min: 0, max: 11 }), fc.integer({ min: -2000, max: 2000 }))
        .map(([day, off]) => Date.now() - cutoff(new Date(), day).getTime() + off),
    )
    fc.assert(
      fc.property(fc.array(age, { minLength: 1, maxLength: 12 }), fc.integer({ min: 0, max: 10 }), (ages, days) => {
        const { find, ours } = both(ages, days)
        assert.deepEqual(ours, find)
      }),
      { numRuns: 40 },
    )
  })

  test('of today are kept by 0 days, yesterday’s are not', () => {
    const now = new Date(2026, 5, 15, 1, 2, 3)
    const of = (day: number, hours: number, minutes: number) => ({ file: `${day}`, at: new Date(2026, 5, day, hours, minutes) })
    assert.deepEqual(
      expired([of(15, 0, 0), of(15, 1, 0), of(14, 23, 59), of(13, 1, 0)], 0, now, new Set()).map(({ file }) => file),
      ['14', '13'],
    )
  })

  test('stay where no days are said, and where they are what the link leads to', () => {
    const now = new Date(2026, 5, 15)
    const old = { file: 'old', at: new Date(2020, 1, 1) }
    assert.deepEqual(expired([old], undefined, now, new Set()), [])
    assert.deepEqual(expired([old], 1, now, new Set(['old'])), [])
  })
})
