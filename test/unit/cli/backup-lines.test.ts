import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { BackupRecord, ListBackupsResponse, StoredBackup } from '#gen/hive/v1/backup.ts'
import { backupLines } from '../../../cli/commands/status.ts'

const at = (day: number): Date => new Date(2026, 10, day, 1, 0)
interface Told {
  readonly name: string
  readonly noFile?: boolean
  readonly record?: { readonly lastSuccess?: Date; readonly lastFailure?: Date; readonly reason?: string }
}
const shown = (told: readonly Told[]): readonly string[] => {
  const backups = told.map(({ record, ...rest }) => ({
    ...StoredBackup.fromPartial(rest),
    record: record === undefined ? undefined : BackupRecord.fromPartial(record),
  }))
  return backupLines({ ...ListBackupsResponse.fromPartial({}), next: at(27), backups }).map(stripVTControlCharacters)
}

suite('backups in the status', () => {
  test('nothing where there are none, or where nobody tells', () => {
    assert.deepEqual(backupLines(undefined), [])
    assert.deepEqual(shown([]), [])
  })

  test('the age is that of the oldest; what failed or was never made is named', () => {
    assert.deepEqual(
      shown([
        { name: 'db', record: { lastSuccess: at(26) } },
        { name: 'files', record: { lastSuccess: at(20), lastFailure: at(26), reason: 'the disk is full' } },
        { name: 'new' },
        { name: 'scripts', noFile: true, record: { lastSuccess: at(1) } },
      ]),
      [
        '',
        '3 backups, the oldest of 2026-11-20 01:00, next run 2026-11-27 01:00',
        'backup files failed 2026-11-26 01:00: the disk is full',
        'not made yet: new',
      ],
    )
  })
})
