/**
 * A short run of the chaos suite (test/chaos, `npm run chaos`) with a seed of its own, and a drill, on one site whose clients never stop to ask. The tests
 * build on each other.
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { Drilled } from '../../coordinator/drill/failover.ts'
import type { Kind } from '../chaos/faults.ts'
import { ChaosLab } from '../chaos/lab.ts'
import { inText, isGood } from '../chaos/report.ts'
import { run } from '../chaos/run.ts'
import { told } from './harness/plans.ts'
import { labObstacle } from './obstacle.ts'

/** Draws power-off of host 0 with stop-agent of host 1, coordinator-killed, pool-full of host 0. */
const seed = 79
const kinds: readonly Kind[] = ['power-off', 'kill-docker', 'stop-agent', 'coordinator-killed', 'pool-full']
const rounds = 3

suite('faults at random', { skip: labObstacle() ?? false }, () => {
  let lab: ChaosLab

  before(async () => {
    lab = await ChaosLab.make({ database: false, say: (text) => console.log(text) })
  })

  after(() => lab?.end())

  const away = async (): Promise<readonly string[]> => {
    const hosts = (await lab.site.succeed(['host', 'list'])).result as readonly { readonly name: string; readonly power: string; readonly work: string }[]
    return hosts.flatMap(({ name, power, work }) => (power === 'running' && work === '' ? [] : [`${name}: ${power} ${work}`.trim()]))
  }

  test('a drill that is killed leaves the host away, and --undo puts it back; one that ends tells how long the service did not answer', async () => {
    const drill = ['drill', 'failover', '--service', 'records']
    assert.equal((await lab.site.run(drill)).errors[0]?.code, 'blocked', 'nobody said yes')
    assert.equal((await lab.site.run([...drill, '--plan'])).code, 0)
    assert.deepEqual(await away(), [])

    const begun = lab.site.start([...drill, '--yes'], {
      onEvent: (event) => {
        if (event.code === 'notice' && event.message.includes('is switched off')) begun.kill('SIGKILL')
      },
    })
    assert.equal((await begun.done).signal, 'SIGKILL')
    assert.equal((await away()).length, 1, 'it is marked, and maybe off')
    const { result } = await lab.site.succeed(['drill', 'failover', '--undo'])
    assert.equal((result as { readonly putBack: readonly string[] }).putBack.length, 1)
    assert.deepEqual(await away(), [])

    const outcome = await lab.site.succeed([...drill, '--yes', '--wait'])
    const drilled = outcome.result as Drilled
    console.log(JSON.stringify(drilled))
    assert.equal(drilled.way, 'power')
    assert.match(drilled.probe, /^TCP port 7000 of 3 hosts$/)
    assert.equal(drilled.outage.lasts, false)
    assert.ok(drilled.outage.longest > 0 && (drilled.restarted ?? 0) > 0 && (drilled.detected ?? 0) > 0 && drilled.whole > 0)
    assert.ok(told(outcome, 'notice').some(({ message }) => message === `${drilled.host} comes back`))
    assert.deepEqual(await away(), [])
  })

  test('a drill by a drain moves the service as for planned work', async () => {
    const drill = ['drill', 'failover', '--service', 'records', '--drain']
    assert.equal(((await lab.site.run([...drill, '--plan'])).result as { readonly way: string }).way, 'drain')
    const drilled = (await lab.site.succeed([...drill, '--yes', '--wait'])).result as Drilled
    console.log(JSON.stringify(drilled))
    assert.deepEqual([drilled.way, drilled.detected, drilled.outage.lasts], ['drain', undefined, false])
    assert.ok((drilled.restarted ?? 0) > 0 && drilled.whole > 0)
    assert.deepEqual(await away(), [])
  })

  test('leave every record that was acknowledged, and a site as it was', async () => {
    const report = await run(lab, { seed, kinds, goesOn: (done) => done < rounds, machine: 'the machine of the tests' })
    console.log(inText(report))
    assert.ok(isGood(report), JSON.stringify(report.failure ?? report.left))
    assert.ok(report.rounds.some(({ faults }) => faults.length === 2))
    for (const { acknowledged } of Object.values(report.records)) assert.ok(acknowledged > 100)
  })
})
