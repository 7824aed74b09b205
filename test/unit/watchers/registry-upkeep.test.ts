import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import pino from 'pino'
import type { RegistrySettings } from '../../../agent/adapters/registry/settings.ts'
import { isReadOnlyConfig, readOnlyConfig, renderRegistryConfig, writableConfig } from '../../../agent/adapters/registry-config.ts'
import { KeyedLock } from '../../../agent/runs/keyed-lock.ts'
import { RegistryUpkeep } from '../../../agent/watchers/registry-upkeep.ts'
import { HiveError } from '../../../proto/errors.ts'

test('a configuration for reading only, and the way back', () => {
  const config = renderRegistryConfig(5000)
  assert.equal(isReadOnlyConfig(config), false)
  assert.equal(isReadOnlyConfig(readOnlyConfig(config)), true)
  assert.equal(writableConfig(readOnlyConfig(config)), config)
})

suite('upkeep of the registry', () => {
  let folder = ''
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'hive-upkeep-'))
    writeFileSync(join(folder, 'ca.pem'), '')
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  const settings: RegistrySettings = { server: 'reg:5000', user: 'hive', password: 'p', at: '03:30', keep: 5, used: [], repositories: [], managers: [] }
  const local = (hours: number, minutes: number, day = 10): Date => new Date(2026, 5, day, hours, minutes)

  /** An upkeep over an empty registry, at a time that the test sets. */
  const upkeepWith = ({ held = false, asks = async (): Promise<readonly string[]> => [], here = settings as RegistrySettings | 'none' } = {}) => {
    const clock = { now: local(3, 0) }
    const asked: Date[] = []
    const lease = { held }
    const upkeep = new RegistryUpkeep({
      stateDir: folder,
      pkiDir: folder,
      keys: new KeyedLock(),
      lease: { get: async () => ({ held: lease.held, owner: '', purpose: 'deploy', since: undefined, expires: undefined, granted: false }) },
      log: pino({ enabled: false }),
      now: () => clock.now,
      settings: async () => (here === 'none' ? undefined : here),
      usedImages: async () => {
        asked.push(clock.now)
        return await asks()
      },
      tidy: { paths: { config: join(folder, 'none.yml'), storage: join(folder, 'storage') } },
    })
    return { upkeep, clock, asked, lease }
  }
  const usage = async (upkeep: RegistryUpkeep) => (await upkeep.look()).usage

  test('once a day at its time, and not before', async () => {
    const { upkeep, clock, asked } = upkeepWith()
    await upkeep.once()
    clock.now = local(3, 29)
    await upkeep.once()
    assert.deepEqual(asked, [])
    clock.now = local(3, 31)
    await upkeep.once()
    await upkeep.once()
    assert.deepEqual(asked, [local(3, 31)])
    assert.deepEqual((await usage(upkeep)).tidied, local(3, 31))
    clock.now = local(3, 30, 11)
    await upkeep.once()
    assert.equal(asked.length, 2)
  })

  test('beside a coordinator, or while nobody tells what services run, it waits, and says why', async () => {
    let answers = false
    const { upkeep, clock, asked, lease } = upkeepWith({
      held: true,
      asks: async () => {
        if (!answers) throw new HiveError('unreachable', 'no manager answers')
        return []
      },
    })
    await upkeep.once()
    clock.now = local(3, 30)
    await upkeep.once()
    assert.deepEqual(asked, [])
    assert.match((await usage(upkeep)).tidyProblem, /coordinator is at work on the site \(deploy\)/)
    lease.held = false
    clock.now = local(3, 40)
    await upkeep.once()
    assert.equal(asked.length, 0)
    clock.now = local(3, 45)
    await upkeep.once()
    assert.match((await usage(upkeep)).tidyProblem, /no manager answers/)
    answers = true
    clock.now = local(4, 0)
    await upkeep.once()
    assert.equal((await usage(upkeep)).tidyProblem, '')
    assert.equal(asked.length, 2)
  })

  test('it gives up for the day after six hours', async () => {
    const { upkeep, clock, asked } = upkeepWith({ asks: async () => Promise.reject(new HiveError('unreachable', 'no manager answers')) })
    await upkeep.once()
    for (let minutes = 30; minutes <= 12 * 60; minutes += 5) {
      clock.now = local(3, minutes)
      await upkeep.once()
    }
    assert.equal(asked.length, 25)
    assert.equal(asked.at(-1)?.getTime(), local(9, 30).getTime())
  })

  test('without a time, and where there is no registry, nothing is done', async () => {
    const never = upkeepWith({ here: { ...settings, at: '' } })
    const none = upkeepWith({ here: 'none' })
    for (const { upkeep, clock } of [never, none]) {
      await upkeep.once()
      clock.now = local(3, 30, 12)
      await upkeep.once()
    }
    assert.deepEqual([...never.asked, ...none.asked], [])
    await assert.rejects(none.upkeep.look(), /no registry to look after/)
    assert.match(readFileSync(join(folder, 'registry-upkeep.json'), 'utf8'), /problem/)
  })
})
