import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { DrainInput } from '../../../coordinator/hosts/drain.ts'
import { leaveSwarm } from '../../../coordinator/hosts/leave-swarm.ts'
import { Killed, SimulatedSite } from './simulated-site.ts'

const work = (site: SimulatedSite, given: Partial<DrainInput> = {}): DrainInput => ({
  operations: site.operations(),
  operationsWith: () => site.operations(),
  allowed: new Set(),
  forced: new Set(),
  wait: false,
  patience: 60_000,
  clock: site.clock,
  emit: () => undefined,
  signal: new AbortController().signal,
  ...given,
})
const members = (site: SimulatedSite): readonly string[] => site.picture().nodes?.map(({ name }) => name) ?? []

describe('a host that leaves the swarm for good', () => {
  it('is drained, is no manager any more, and is forgotten', async () => {
    const site = new SimulatedSite()
    assert.equal(await leaveSwarm(work(site), 'h1'), true)
    assert.deepEqual(members(site), ['h0', 'h2'])
    assert.deepEqual(site.wrong, [])
    assert.equal(await leaveSwarm(work(site), 'h1'), false)
    assert.equal(await leaveSwarm(work(site), 'repo'), false)
  })

  it('may be off, and then the others must have a majority of themselves', async () => {
    const site = new SimulatedSite()
    Object.assign(site.hosts.find(({ name }) => name === 'h1') ?? {}, { upAt: undefined })
    site.pass(10_000)
    await assert.rejects(leaveSwarm(work(site), 'h0'), /removing h0 is not safe now: the swarm would have 1 of 2 managers without h0, and needs 2/)
    assert.deepEqual(members(site), ['h0', 'h1', 'h2'])
    await leaveSwarm(work(site), 'h1')
    assert.deepEqual(members(site), ['h0', 'h2'])
    assert.deepEqual(site.wrong, [])
  })

  it('is kept where a service has no other place', async () => {
    const site = new SimulatedSite({ pinned: 'h2' })
    await assert.rejects(leaveSwarm(work(site), 'h2'), /pin would not run without h2/)
    assert.deepEqual([members(site), site.leftovers()], [['h0', 'h1', 'h2'], []])
  })

  it('can be told so again after a command that was killed, wherever that was', async () => {
    let killed = 0
    for (let calls = 1; ; calls++) {
      const site = new SimulatedSite()
      const operations = site.operations(calls)
      const first = await leaveSwarm(work(site, { operations, operationsWith: () => operations }), 'h1').then(
        () => 'done',
        (error: unknown) => error,
      )
      if (first === 'done') break
      if (first instanceof Killed) killed += 1
      await leaveSwarm(work(site), 'h1')
      assert.deepEqual([members(site), site.wrong], [['h0', 'h2'], []], `killed at call ${calls}`)
    }
    assert.ok(killed > 5)
  })
})
