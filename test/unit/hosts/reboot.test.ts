/** Restarts of a site in memory that moves by itself (simulated-site.ts). */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { HiveEvent } from '../../../coordinator/events.ts'
import { drainHost, undrainHost } from '../../../coordinator/hosts/drain.ts'
import { type RebootInput, rebootOneByOne } from '../../../coordinator/hosts/reboot.ts'
import { HiveError } from '../../../proto/errors.ts'
import { Killed, type Settings, SimulatedSite } from './simulated-site.ts'

function work(
  site: SimulatedSite,
  names: readonly string[],
  given: Partial<RebootInput> & { readonly calls?: number; readonly events?: HiveEvent[] } = {},
): RebootInput {
  const { calls, events, ...more } = given
  const operations = site.operations(calls)
  return {
    operations,
    // What is dead puts nothing back.
    operationsWith: () => (calls === undefined ? site.operations() : operations),
    hosts: site.site.filter(({ name }) => names.includes(name)),
    run: 'run',
    reason: 'test',
    allowed: new Set(),
    forced: new Set(),
    wait: false,
    patience: 60_000,
    clock: site.clock,
    emit: (event) => events?.push(event),
    signal: new AbortController().signal,
    ...more,
  }
}

const all = ['h0', 'h1', 'h2', 'repo']
const calm = (site: SimulatedSite): void => {
  assert.deepEqual(site.wrong, [])
  assert.deepEqual(site.leftovers(), [])
}

describe('restarting hosts', () => {
  it('takes one at a time, hosts outside the swarm first and the leader last, and leaves nothing behind', async () => {
    const site = new SimulatedSite({ leader: 1 })
    const { rebooted, before } = await rebootOneByOne(work(site, all))
    assert.deepEqual([rebooted, before], [['repo', 'h0', 'h2', 'h1'], []])
    assert.deepEqual(site.rebooted, rebooted)
    calm(site)
  })

  it('touches none where one would boot a kernel that its volumes do not work with', async () => {
    const site = new SimulatedSite()
    site.unfit.add('h1')
    await assert.rejects(rebootOneByOne(work(site, all)), (error) => {
      assert.ok(error instanceof HiveError)
      assert.equal(error.message, 'h1 is not restarted: its next kernel has no DRBD')
      assert.match(error.hint ?? '', /hivecoord host update h1 --kernel .* --force h1/)
      return true
    })
    assert.deepEqual(site.rebooted, [])
    calm(site)
    await rebootOneByOne(work(site, all, { forced: new Set(['h1']) }))
    assert.equal(site.rebooted.length, 4)
    calm(site)
  })

  it('restarts no host that work on it left with such a kernel, and one that it made fit', async () => {
    const site = new SimulatedSite()
    site.unfit.add('h0')
    const made: string[] = []
    const does = async ({ name }: { readonly name: string }): Promise<void> => {
      made.push(name)
      if (name === 'h0') site.unfit.delete(name)
      if (name === 'h1') site.unfit.add(name)
    }
    await assert.rejects(rebootOneByOne(work(site, ['h0', 'h1', 'h2'], { work: does })), /stopped at h1: h1 is not restarted: its next kernel has no DRBD/)
    assert.deepEqual([made, site.rebooted], [['h1'], []])
    calm(site)
    site.unfit.delete('h1')
    const { rebooted } = await rebootOneByOne(work(site, ['h0', 'h2'], { work: does }))
    assert.deepEqual(rebooted, ['h2', 'h0'])
    calm(site)
  })

  it('asks for each host before the first is touched', async () => {
    const site = new SimulatedSite({ pinned: 'h2' })
    await assert.rejects(rebootOneByOne(work(site, ['h1', 'h2'])), (error) => {
      assert.ok(error instanceof HiveError)
      assert.equal(error.code, 'blocked')
      assert.match(error.message, /^restarting h2 is not safe now: pin would not run without h2/)
      assert.match(error.hint ?? '', /--allow pin lets these services stop meanwhile; --force h2/)
      return true
    })
    assert.deepEqual(site.rebooted, [])
    calm(site)
    for (const given of [{ allowed: new Set(['pin']) }, { forced: new Set(['h2']) }]) assert.ok(await rebootOneByOne(work(site, ['h2'], given)))
    assert.deepEqual(site.rebooted, ['h2', 'h2'])
    calm(site)
  })

  it('keeps a host drained that was so before', async () => {
    const site = new SimulatedSite({ hives: 4 })
    await site.operations().setAvailability('h3', 'drain')
    await rebootOneByOne(work(site, ['h3']))
    assert.deepEqual(site.leftovers(), ['h3 is drain'])
  })

  it('stops where a host does not come back, says what is done, and leaves nothing cordoned', async () => {
    const site = new SimulatedSite({ leader: 0, broken: 'h2' })
    await assert.rejects(rebootOneByOne(work(site, all)), (error) => {
      assert.ok(error instanceof HiveError)
      assert.equal(error.code, 'not-converged')
      assert.match(error.message, /^stopped at h2: h2 comes back: nothing moved for 60 s: its agent does not answer yet \(restarted: h1, repo; not: h0, h2\)$/)
      assert.match(error.hint ?? '', /hivecoord host reboot h0 h2 goes on/)
      return true
    })
    assert.deepEqual(site.rebooted, ['repo', 'h1', 'h2'])
    calm(site)
    await assert.rejects(
      rebootOneByOne(work(site, ['h0'])),
      /not safe now: .*the swarm would have 1 of 3 managers without h0.*volume data would have no quorum/,
    )
    calm(site)
  })

  it('waits until it is safe, and no longer than something moves', async () => {
    const site = new SimulatedSite()
    await rebootOneByOne(work(site, ['h1']))
    const h2 = site.hosts.find(({ name }) => name === 'h2')
    assert.ok(h2 !== undefined)
    Object.assign(h2, { upAt: site.time + 30_000, fullAt: site.time + 40_000 })
    await assert.rejects(rebootOneByOne(work(site, ['h0'])), /not safe now/)
    const events: HiveEvent[] = []
    await rebootOneByOne(work(site, ['h0'], { wait: true, events }))
    assert.ok(events.some((event) => event.code === 'notice' && /h0 waits: the swarm would have 1 of 3 managers/.test(event.message)))
    calm(site)
    h2.upAt = undefined
    await assert.rejects(rebootOneByOne(work(site, ['h0'], { wait: true })), /nothing moved for 60 s: the swarm would have 1 of 3/)
    calm(site)
  })

  it('that is interrupted lets the host in again', async () => {
    const site = new SimulatedSite()
    const controller = new AbortController()
    const emit = (event: HiveEvent): void => {
      if (event.code === 'step.log' && event.line.startsWith('moves its tasks')) controller.abort()
    }
    await assert.rejects(rebootOneByOne(work(site, ['h1'], { signal: controller.signal, emit })), /stopped at h1: interrupted/)
    assert.deepEqual(site.rebooted, [])
    calm(site)
  })

  it('goes on after a command that was killed, wherever that was, and restarts no host twice', async () => {
    const whole = new SimulatedSite()
    let calls = 0
    const counted = new Proxy(whole.operations(), {
      get: (target, key: keyof ReturnType<typeof whole.operations>) => {
        calls += 1
        return target[key]
      },
    })
    await rebootOneByOne(work(whole, all, { operations: counted }))
    assert.ok(calls > 50)
    let resumed = 0
    for (let at = 1; at <= calls; at++) {
      const site = new SimulatedSite()
      await assert.rejects(rebootOneByOne(work(site, all, { calls: at })), (error) => error instanceof HiveError || error instanceof Killed)
      if (site.rebooted.length > 1) resumed += 1
      const result = await rebootOneByOne(work(site, all))
      // With its last mark the command itself has ended.
      if (at < calls || site.rebooted.length === 4) assert.deepEqual([...site.rebooted].sort(), all, `killed at call ${at}`)
      assert.equal(result.rebooted.length + result.before.length, 4)
      calm(site)
    }
    assert.ok(resumed > 20, `only ${resumed} were killed in the middle`)
  })

  it('never does what must not be, killed again and again', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 5 }), fc.nat(2), fc.integer({ min: 3, max: 5 }), async (kills, leader, hives) => {
        const settings: Settings = { leader, hives }
        const site = new SimulatedSite(settings)
        const names = site.hosts.map(({ name }) => name)
        for (const calls of kills) {
          await rebootOneByOne(work(site, names, { calls })).catch((error: unknown) => {
            if (!(error instanceof HiveError) && !(error instanceof Killed)) throw error
          })
          site.pass(calls * 500)
        }
        await rebootOneByOne(work(site, names))
        for (const { name, isHive } of site.hosts) assert.ok(!isHive || site.rebooted.includes(name), `${name} was left out`)
        calm(site)
      }),
      { numRuns: 60 },
    )
  })

  it('does work on each while it is drained, and restarts those that need it', async () => {
    const site = new SimulatedSite()
    const worked: string[] = []
    const doing = async ({ name }: { readonly name: string }): Promise<void> => {
      const node = site.picture().nodes?.find((one) => one.name === name)
      worked.push(`${name} ${node?.availability ?? ''}`)
      if (name !== 'h2') site.stale.add(name)
    }
    const { rebooted, withoutRestart } = await rebootOneByOne(work(site, all, { work: doing, restart: 'needed' }))
    assert.deepEqual(worked, ['repo ', 'h1 drain', 'h2 drain', 'h0 drain'])
    assert.deepEqual([rebooted, withoutRestart, site.rebooted], [['repo', 'h1', 'h2', 'h0'], ['h2'], ['repo', 'h1', 'h0']])
    calm(site)
    const failing = rebootOneByOne(work(site, ['h1'], { work: () => Promise.reject(new HiveError('command-failed', 'no space left')), command: 'host update' }))
    await assert.rejects(
      failing,
      (error) => error instanceof HiveError && /stopped at h1: no space left/.test(error.message) && /hivecoord host update h1/.test(error.hint ?? ''),
    )
    calm(site)
  })

  it('tells of a restart that was begun elsewhere, and leaves it', async () => {
    const site = new SimulatedSite()
    await site.operations().setMark('h2', 'other boot1 active h2')
    const events: HiveEvent[] = []
    await rebootOneByOne(work(site, ['h1'], { events }))
    assert.ok(events.some((event) => event.code === 'warning' && /a restart of h2 was begun and not ended/.test(event.message)))
    assert.deepEqual(site.leftovers(), ['h2 has hive.reboot'])
    await undrainHost(site.operations(), 'h2')
    calm(site)
  })
})

describe('draining a host', () => {
  it('ends when its tasks run elsewhere, and is taken back where they do not go', async () => {
    const site = new SimulatedSite()
    await drainHost(work(site, []), 'h0')
    assert.ok(site.services.every(({ tasks }) => tasks.every(({ node }) => node !== 'h0')))
    assert.equal(site.picture().nodes?.find(({ name }) => name === 'h0')?.availability, 'drain')
    await undrainHost(site.operations(), 'h0')
    calm(site)
    await assert.rejects(drainHost(work(site, []), 'repo'), /repo is not in the swarm/)
  })

  it('is refused where a service has no other place', async () => {
    const site = new SimulatedSite({ pinned: 'h1' })
    await assert.rejects(drainHost(work(site, []), 'h1'), /draining h1 is not safe now: pin would not run without h1/)
    calm(site)
    await drainHost(work(site, [], { allowed: new Set(['pin']) }), 'h1')
    assert.deepEqual(site.leftovers(), ['h1 is drain'])
  })
})
