import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, suite, test } from 'node:test'
import fc from 'fast-check'
import pino from 'pino'
import { BackupScheduler } from '../../../agent/watchers/backup-scheduler.ts'
import { lastDaily, nextDaily } from '../../../agent/watchers/daily.ts'
import { HiveError } from '../../../proto/errors.ts'

const schedule = { at: '01:00', folder: '', owner: '', group: '', hosts: [], targets: [], offsite: undefined }

suite('the nightly backup', () => {
  let stateDir = ''
  let now = new Date(2026, 5, 10, 12)
  let doing = ''
  let runs: (Date | undefined)[] = []
  let work: () => Promise<readonly string[]> = async () => []
  beforeEach(() => {
    stateDir = mkdtempSync(join(tmpdir(), 'backup-nights-'))
    now = new Date(2026, 5, 10, 12)
    doing = ''
    runs = []
    work = async () => []
  })
  afterEach(() => rmSync(stateDir, { recursive: true, force: true }))
  const scheduler = () =>
    new BackupScheduler({
      keeper: {
        schedule: async () => schedule,
        run: (_names, _tell, _signal, notBefore) => {
          runs.push(notBefore)
          return work()
        },
        refreshRecords: async () => undefined,
        get doing() {
          return doing
        },
      },
      stateDir,
      log: pino({ level: 'silent' }),
      now: () => now,
    })
  const at = (day: number, hour: number, minute = 0) => {
    now = new Date(2026, 5, day, hour, minute)
  }

  test('is made once a night, from the first night after it was asked for', async () => {
    const one = scheduler()
    assert.equal(await one.once(), false)
    at(11, 0, 59)
    assert.equal(await one.once(), false)
    at(11, 1, 0)
    assert.equal(await one.once(), true)
    at(11, 1, 1)
    assert.equal(await one.once(), false)
    at(12, 1, 5)
    assert.equal(await one.once(), true)
    assert.deepEqual(runs, [new Date(2026, 5, 11, 1), new Date(2026, 5, 12, 1)])
  })

  test('is made up, once, after days on which the server was off', async () => {
    await scheduler().once()
    at(15, 9)
    const back = scheduler()
    assert.equal(await back.once(), true)
    assert.equal(await back.once(), false)
    assert.deepEqual(runs, [new Date(2026, 5, 15, 1)])
  })

  test('waits for a restore', async () => {
    const one = scheduler()
    await one.once()
    at(11, 1)
    doing = 'a restore of db'
    assert.equal(await one.once(), false)
    doing = ''
    assert.equal(await one.once(), true)
  })

  test('that was cut short goes on, three times at most', async () => {
    await scheduler().once()
    at(11, 1)
    work = () => Promise.reject(new HiveError('cancelled', 'the agent stops'))
    for (let attempt = 0; attempt < 3; attempt += 1) await assert.rejects(scheduler().once())
    assert.equal(await scheduler().once(), false)
    assert.equal(runs.length, 3)
    at(12, 1)
    work = async () => ['db']
    assert.equal(await scheduler().once(), true)
  })
})

test('the next daily moment is the first after now at that time, and the last one is not after now', () => {
  fc.assert(
    fc.property(
      fc.date({ min: new Date(2020, 0, 1), max: new Date(2040, 0, 1), noInvalidDate: true }),
      fc.integer({ min: 0, max: 23 }),
      fc.integer({ min: 0, max: 59 }),
      (now, hour, minute) => {
        const time = `${hour}:${String(minute).padStart(2, '0')}`
        const [next, last] = [nextDaily(time, now), lastDaily(time, now)]
        assert.ok(next > now && last <= now)
        assert.ok(next.getTime() - last.getTime() <= 25 * 3600_000)
      },
    ),
  )
  assert.throws(() => nextDaily('24:00', new Date()), RangeError)
})
