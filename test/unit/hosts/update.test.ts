/** Updates by agents that really run, with executors that only remember; the swarm is one in memory. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type UpdateInput, updateOneByOne } from '../../../coordinator/hosts/update.ts'
import { HiveError } from '../../../proto/errors.ts'
import { startLab } from '../coordinator/support/lab.ts'
import { SimulatedSite } from './simulated-site.ts'

async function updating(t: TestContext) {
  const lab = await startLab(t, ['h0', 'h1', 'h2', 'repo'])
  const site = new SimulatedSite()
  const input = (given: Partial<UpdateInput> = {}): UpdateInput => ({
    operations: site.operations(),
    operationsWith: () => site.operations(),
    hosts: lab.site.hosts,
    agents: lab.agents,
    run: 'run',
    reason: 'test',
    allowed: new Set(),
    forced: new Set(),
    wait: false,
    patience: 60_000,
    clock: site.clock,
    emit: (event) => lab.events.push(event),
    signal: new AbortController().signal,
    ...given,
  })
  return { lab, site, input }
}

test('lists come first, hosts with nothing new are left alone, and only what needs it restarts', async (t) => {
  const { lab, site, input } = await updating(t)
  lab.script.done.add('h0:packages').add('repo:packages')
  site.stale.add('repo')
  const { rebooted, withoutRestart, same } = await updateOneByOne(input())
  assert.deepEqual([rebooted, withoutRestart, same], [['repo', 'h1', 'h2'], ['h1', 'h2'], ['h0']])
  assert.deepEqual([...lab.script.order.slice(0, 4)].sort(), ['h0:lists', 'h1:lists', 'h2:lists', 'repo:lists'])
  assert.deepEqual(lab.script.order.slice(4), ['h1:packages', 'h2:packages'])
  assert.deepEqual(site.rebooted, ['repo'])
  assert.deepEqual([site.wrong, site.leftovers()], [[], []])
  const again = await updateOneByOne(input())
  assert.deepEqual([again.rebooted, again.same.length], [[], 4])
  assert.equal(lab.script.order.length, 6)
})

test('an update that fails stops there, with the others untouched and nothing cordoned', async (t) => {
  const { lab, site, input } = await updating(t)
  lab.script.failing.add('h1:packages')
  await assert.rejects(updateOneByOne(input()), (error) => {
    assert.ok(error instanceof HiveError)
    assert.match(error.message, /^stopped at h1: .*no h1:packages today/)
    assert.match(error.hint ?? '', /hivecoord host update h0 h1 h2 goes on/)
    return true
  })
  assert.ok(!lab.script.order.includes('h2:packages') && !lab.script.order.includes('h0:packages'))
  assert.deepEqual([site.wrong, site.leftovers(), site.rebooted], [[], [], []])
})

test('a host that was on its way when the command was killed is waited for', async (t) => {
  const { lab, site, input } = await updating(t)
  for (const host of ['h0', 'h1', 'h2', 'repo']) lab.script.done.add(`${host}:packages`)
  site.stale.add('h1')
  const killed = site.operations(12)
  await assert.rejects(updateOneByOne(input({ operations: killed, operationsWith: () => killed })))
  for (let calls = 13; site.rebooted.length === 0; calls++) {
    const more = site.operations(calls)
    await assert.rejects(updateOneByOne(input({ operations: more, operationsWith: () => more })))
  }
  const { rebooted } = await updateOneByOne(input())
  assert.deepEqual([rebooted, site.rebooted], [['h1'], ['h1']])
  assert.deepEqual([site.wrong, site.leftovers()], [[], []])
})

test('kernels come along where that is asked for, with DRBD on hosts whose volumes need it; the way on says so, too', async (t) => {
  const { lab, site, input } = await updating(t)
  const kernel = { mirroring: new Set(['h0', 'h1', 'h2']) }
  for (const host of ['h0', 'h1']) site.stale.add(host)
  await updateOneByOne(input({ kernel }))
  assert.deepEqual(lab.script.order.slice(4), ['repo:kernel', 'h1:kernel with DRBD', 'h2:kernel with DRBD', 'h0:kernel with DRBD'])
  assert.deepEqual(site.rebooted, ['h1', 'h0'])
  lab.script.done.delete('h2:kernel with DRBD')
  lab.script.failing.add('h2:kernel with DRBD')
  await assert.rejects(
    updateOneByOne(input({ kernel, run: 'next' })),
    (error) => error instanceof HiveError && /hivecoord host update --kernel h2 goes on/.test(error.hint ?? ''),
  )
  assert.deepEqual([site.wrong, site.leftovers()], [[], []])
})
