import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fileName, isFileOf, isPart, latestName, manifestName, partName, stampIn, stampOf } from '../../../agent/watchers/backup/file-names.ts'

test('files are named as hive-builder names them', () => {
  const stamp = stampOf(new Date(2026, 0, 2, 3, 4, 5))
  assert.equal(fileName('zone-db', stamp, 'sql.gz'), 'backup-zone-db-20260102030405.sql.gz')
  assert.equal(latestName('zone-db', 'sql.gz'), 'backup-zone-db-latest.sql.gz')
})

test('a file belongs to its name only', () => {
  assert.equal(isFileOf('web', 'tar.gz', 'backup-web-20260102030405.tar.gz'), true)
  assert.equal(isFileOf('web', 'tar.gz', 'backup-web-logs-20260102030405.tar.gz'), false)
  assert.equal(isFileOf('web', 'tar.gz', 'backup-web-20260102030405.sql.gz'), false)
  assert.equal(isFileOf('web', 'tar.gz', 'backup-web-latest.tar.gz'), false)
  assert.equal(isFileOf('web', 'gz', 'backup-web-20260102030405.tar.gz'), false)
})

test('what is not whole is hidden, and what is no dump matches no pattern of dumps', () => {
  const file = fileName('web', '20260102030405', 'tar.gz')
  assert.match(partName(file), /^\./)
  assert.equal(isPart(partName(file)), true)
  assert.equal(isPart(file), false)
  assert.equal(manifestName(file), `${file}.json`)
})

test('the moment in a name comes back', () => {
  fc.assert(
    fc.property(fc.date({ min: new Date(2000, 0, 1), max: new Date(2099, 0, 1), noInvalidDate: true }), (at) => {
      const file = fileName('a-20200101000000-b', stampOf(at), 'tar.gz')
      const found = stampIn(file)
      assert.equal(found === undefined ? '' : stampOf(found), stampOf(at))
    }),
  )
})
