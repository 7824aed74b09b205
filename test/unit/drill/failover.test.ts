/** Drills on a site in memory that moves by itself (test/unit/hosts/simulated-site.ts). */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { chosenFor, type DrillInput, drillFailover, undoDrill } from '../../../coordinator/drill/failover.ts'
import type { HiveEvent } from '../../../coordinator/events.ts'
import { undrainHost } from '../../../coordinator/hosts/drain.ts'
import { writeMark } from '../../../coordinator/hosts/marks.ts'
import { rebootOneByOne } from '../../../coordinator/hosts/reboot.ts'
import { HiveError } from '../../../proto/errors.ts'
import { type Settings, SimulatedSite } from '../hosts/simulated-site.ts'

interface Given extends Partial<DrillInput> {
  readonly calls?: number
  readonly drains?: boolean
}

function work(site: SimulatedSite, given: Given = {}): DrillInput {
  const { calls, drains = false, ...more } = given
  const operations = site.operations(calls)
  return {
    operations,
    // What is dead puts nothing back.
    operationsWith: () => (calls === undefined ? site.operations() : operations),
    lookWithout: () => operations.look(),
    power: drains ? undefined : operations.power,
    stage: 'private',
    service: 'db',
    run: 'run',
    allowed: new Set(),
    forced: new Set(),
    wait: false,
    patience: 60_000,
    clock: site.clock,
    probe: { words: 'db', ask: async () => site.answers('db') },
    emit: () => undefined,
    signal: new AbortController().signal,
    ...more,
  }
}

const calm = (site: SimulatedSite): void => {
  assert.deepEqual(site.wrong, [])
  assert.deepEqual([...site.leftovers(), ...site.off()], [])
}
const standing = (settings: Settings = {}): SimulatedSite => {
  const site = new SimulatedSite(settings)
  site.pass(10_000)
  return site
}

describe('a failover drill', () => {
  for (const drains of [false, true])
    it(`measures, and leaves the site as it was (${drains ? 'drained' : 'switched off'})`, async () => {
      const site = standing()
      const { host } = chosenFor(site.picture(), 'db')
      const drilled = await drillFailover(work(site, { drains }))
      assert.deepEqual([drilled.host, drilled.way, drilled.probe], [host.name, drains ? 'drain' : 'power', 'db'])
      assert.ok(drilled.outage.longest >= 2_000 && drilled.outage.longest < 20_000, JSON.stringify(drilled))
      assert.equal(drilled.outage.lasts, false)
      assert.ok(drilled.restarted !== undefined && drilled.restarted > 0)
      assert.equal(drilled.detected === undefined, drains)
      assert.notEqual(chosenFor(site.picture(), 'db').host.name, host.name)
      calm(site)
    })

  it('of a service with two tasks shows no outage', async () => {
    const site = standing()
    const { outage } = await drillFailover(work(site, { service: 'web', probe: { words: 'web', ask: async () => site.answers('web') } }))
    assert.deepEqual([outage.count, outage.longest], [0, 0])
    calm(site)
  })

  it('looks at the tasks where the service is not to be reached from here', async () => {
    for (const probe of [undefined, { words: 'nobody', ask: async () => false }]) {
      const site = standing()
      const drilled = await drillFailover(work(site, { probe }))
      assert.equal(drilled.probe, 'its tasks')
      assert.ok(drilled.outage.longest > 0)
      calm(site)
    }
  })

  it('is refused in production, and touches nothing', async () => {
    const site = standing()
    await assert.rejects(drillFailover(work(site, { stage: 'production' })), (error) => error instanceof HiveError && /not in production/.test(error.message))
    assert.deepEqual(
      site.hosts.map(({ boot, upAt }) => [boot, upAt]),
      site.hosts.map(() => [1, 0]),
    )
    calm(site)
  })

  it('asks the guard first', async () => {
    const site = standing({ pinned: 'h1' })
    await assert.rejects(
      drillFailover(work(site, { service: 'pin' })),
      (error) => error instanceof HiveError && error.code === 'blocked' && /pin would not run/.test(error.message),
    )
    calm(site)
    const drilled = await drillFailover(work(site, { service: 'pin', allowed: new Set(['pin']), probe: { words: 'pin', ask: async () => true } }))
    assert.equal(drilled.restarted, undefined)
    calm(site)
  })

  it('leaves a host alone that other work was begun on', async () => {
    const site = standing()
    const { host } = chosenFor(site.picture(), 'db')
    const mark = writeMark({ run: 'other', boot: 'todo', availability: 'active', hosts: [host.shortName] })
    await site.operations().setMark(host.name, mark)
    await assert.rejects(
      drillFailover(work(site)),
      (error) => error instanceof HiveError && error.code === 'blocked' && /was begun and not ended/.test(error.message),
    )
    assert.deepEqual(site.hosts.find(({ name }) => name === host.name)?.labels, { 'hive.reboot': mark })
    assert.deepEqual([site.off(), site.wrong], [[], []])
  })

  it('that was killed is ended by nothing else: a restart and undrain say how', async () => {
    const site = standing()
    const { host } = chosenFor(site.picture(), 'db')
    await site.operations().setMark(host.name, writeMark({ run: 'drill-x', boot: 'boot1', availability: 'active', hosts: [host.shortName] }))
    const other = site.site.filter(({ name }) => name !== host.name).slice(0, 1)
    const refusal = (error: unknown): boolean => error instanceof HiveError && error.code === 'blocked' && /drill failover --undo/.test(error.hint ?? '')
    await assert.rejects(undrainHost(site.operations(), host.name), refusal)
    await assert.rejects(rebootOneByOne({ ...work(site), hosts: other, reason: 'test' }), refusal)
    assert.deepEqual(site.rebooted, [])
    assert.deepEqual(await undoDrill(work(site)), [host.name])
    calm(site)
  })

  it('lets the host come back when it is interrupted', async () => {
    const site = standing()
    const controller = new AbortController()
    const emit = (event: HiveEvent): void => {
      if (event.code === 'notice' && /switched off/.test(event.message)) controller.abort(new HiveError('cancelled', 'interrupted'))
    }
    await assert.rejects(drillFailover(work(site, { signal: controller.signal, emit })))
    site.pass(60_000)
    calm(site)
  })

  it('that stays away says so, and how it is put back', async () => {
    const site = standing()
    const { host } = chosenFor(site.picture(), 'db')
    const broken = standing({ broken: host.name })
    await assert.rejects(
      drillFailover(work(broken)),
      (error) => error instanceof HiveError && error.code === 'not-converged' && error.message.includes(host.name),
    )
    assert.deepEqual(broken.leftovers(), [])
  })

  for (const drains of [false, true])
    it(`killed anywhere, the same command or --undo puts the host back (${drains ? 'drained' : 'switched off'})`, async () => {
      const whole = standing()
      let calls = 0
      const operations = whole.operations()
      const counted = new Proxy(operations, {
        get: (target, key: keyof typeof operations) => {
          calls += 1
          return target[key]
        },
      })
      await drillFailover(
        work(whole, { operations: counted, lookWithout: () => counted.look(), power: drains ? undefined : (...args) => counted.power(args[0], args[1]) }),
      )
      assert.ok(calls > 8)
      let away = 0
      for (let at = 1; at <= calls; at += 1)
        for (const again of ['undo', 'same'] as const) {
          const site = standing()
          await drillFailover(work(site, { calls: at, drains })).catch((error: unknown) => assert.ok(error instanceof Error))
          if (site.leftovers().length + site.off().length > 0) away += 1
          if (again === 'undo') await undoDrill(work(site, { drains }))
          else await drillFailover(work(site, { drains, wait: true }))
          site.pass(60_000)
          assert.deepEqual([...site.leftovers(), ...site.off()], [], `killed at call ${at}, then ${again}`)
          calm(site)
        }
      assert.ok(away > 3, 'some of them were away')
    })
})
