/** Copies of backups with the real restic, unpacked from Debian's package, to a folder. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { writable } from '../../agent/adapters/gate.ts'
import { copyOffsite, fetchOffsite } from '../../agent/watchers/backup/offsite.ts'
import { HiveError } from '../../proto/errors.ts'
import { unpackedPackages } from '../support/unpacked-packages.ts'
import { servicesObstacle } from './obstacle.ts'

suite('copies elsewhere', { skip: servicesObstacle() ?? false }, () => {
  let work = ''
  let program = ''
  const password = 'very secret words'
  before(async () => {
    const root = await unpackedPackages({ name: 'restic', packages: ['restic'], useless: ['usr/share'] }, AbortSignal.timeout(120_000))
    program = join(root, 'usr/bin/restic')
    work = mkdtempSync(join(tmpdir(), 'hive-restic-'))
    mkdirSync(join(work, 'backup/manifest'), { recursive: true })
    writeFileSync(join(work, 'backup/backup-db-20260101010000.sql'), 'first')
    writeFileSync(join(work, 'backup/.backup-db-20260102010000.sql.part'), 'half')
  })
  after(() => rmSync(work, { recursive: true, force: true }))

  const copy = (more: { readonly repository?: string; readonly password?: string; readonly keep?: Record<string, number> } = {}) =>
    writable(() =>
      copyOffsite(
        { repository: join(work, 'copies'), password, environment: {}, keep: {}, ...more },
        { folder: join(work, 'backup'), signal: AbortSignal.timeout(60_000), onLine: () => undefined, program, cache: join(work, 'cache') },
      ),
    )
  const restic = (...argv: readonly string[]): string =>
    execFileSync(program, ['--no-cache', ...argv], {
      encoding: 'utf8',
      env: { RESTIC_REPOSITORY: join(work, 'copies'), RESTIC_PASSWORD: password, HOME: work },
    })
  const snapshots = (): readonly unknown[] => JSON.parse(restic('snapshots', '--json')) as readonly unknown[]

  test('begin with a repository of their own, and come back whole without what was half made', async () => {
    await copy()
    writeFileSync(join(work, 'backup/backup-db-20260103010000.sql'), 'second')
    await copy()
    assert.equal(snapshots().length, 2)
    restic('restore', 'latest', '--target', join(work, 'back'))
    assert.equal(readFileSync(join(work, 'back', work, 'backup/backup-db-20260103010000.sql'), 'utf8'), 'second')
    assert.doesNotMatch(restic('ls', 'latest'), /\.part/)
  })

  test('come back into a folder that was lost, and only the copies of that folder', async () => {
    const fetch = (folder: string) =>
      writable(() =>
        fetchOffsite(
          { repository: join(work, 'copies'), password, environment: {}, keep: {} },
          { folder, signal: AbortSignal.timeout(60_000), onLine: () => undefined, program, cache: join(work, 'cache') },
        ),
      )
    rmSync(join(work, 'backup'), { recursive: true })
    assert.equal(await fetch(join(work, 'other')), false)
    assert.equal(await fetch(join(work, 'backup')), true)
    assert.deepEqual(readdirSync(join(work, 'backup')).sort(), ['backup-db-20260101010000.sql', 'backup-db-20260103010000.sql', 'manifest'])
  })

  test('are forgotten only as the site says', async () => {
    await copy({ keep: { last: 1 } })
    assert.equal(snapshots().length, 1)
  })

  test('with another password, or to a place that is none, fail without a word of secrets', async () => {
    for (const wrong of [{ password: 'another one' }, { repository: '/proc/nowhere/copies' }]) {
      await assert.rejects(copy(wrong), (error) => {
        assert.ok(error instanceof HiveError)
        assert.doesNotMatch(JSON.stringify([error.message, error.log]), /another one|very secret/)
        return true
      })
    }
    assert.equal(snapshots().length, 1)
  })

  test('need the program', async () => {
    program = join(work, 'no-restic')
    await assert.rejects(copy(), /restic is not on this host/)
  })
})
