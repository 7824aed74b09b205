/**
 * Mirrored volumes on DRBD (a fake one, see test/fake-drbd) when hosts and cables fail: what a service was told is on its disk is there wherever
 * it runs next, and hosts that come back are filled again by themselves. The tests build on each other.
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { type FakeDrbd, startFakeDrbd } from '../fake-drbd/lab/start.ts'
import { cable, nodesReady, power } from './harness/breaking.ts'
import { eventually, patience } from './harness/eventually.ts'
import { LabSite } from './harness/lab-site.ts'
import { doctor, endMirrored, healthy, whole } from './harness/mirrored-volumes.ts'
import { nothingLeft } from './harness/plans.ts'
import { Records } from './harness/records.ts'
import { tinyImageFolder } from './harness/tiny-image.ts'
import { labObstacle } from './obstacle.ts'

const hives = ['p-hive0.mirror', 'p-hive1.mirror', 'p-hive2.mirror']
const volume = 'records_data'

suite('a mirrored volume', { skip: labObstacle() ?? false }, () => {
  let drbd: FakeDrbd
  let site: LabSite
  let records: Records

  before(async () => {
    drbd = await startFakeDrbd()
    site = new LabSite(new URL('sites/mirrored', import.meta.url).pathname, { images: tinyImageFolder(), drbd })
    records = new Records(site, 'records', volume)
    await site.succeed(['deploy'])
  })

  after(async () => {
    records.stop()
    await endMirrored(site, drbd)
  })

  const others = (host: string): [string, string] => hives.filter((name) => name !== host) as [string, string]
  const disks = async (host: string, name: string): Promise<string> => (await site.onHost(host, `drbdadm dstate ${name}`)).trim()

  const isWhole = (): Promise<void> => whole(site, hives, volume)

  test('is built by one deploy, never by force, and a second one finds nothing to do', async () => {
    await isWhole()
    for (const host of hives)
      assert.equal(
        (await site.onHost(host, `docker volume inspect ${volume} --format '{{json .Options}}'`)).trim(),
        '{"device":"/dev/drbd1","type":"ext4"}',
        host,
      )
    await nothingLeft(site)
    assert.doesNotMatch(drbd.log(), /drbdsetup primary \S+ --force|create-md \d+ --force|invalidate/)
    assert.equal(drbd.log().match(/drbdsetup new-current-uuid/g)?.length, 2, 'one first generation a volume')
  })

  test('a host without a disk has a voice, and no task of the volume', async () => {
    const without = 'p-hive2.mirror'
    assert.equal(await disks(without, 'ledger_data'), 'Diskless/UpToDate/UpToDate')
    assert.match(await site.onHost(without, 'drbdsetup status ledger_data --json'), /"client":\s*true/)
    const placement = '{{json .Spec.TaskTemplate.Placement.Constraints}}'
    assert.match(await site.onHost('p-hive0.mirror', `docker service inspect ledger --format '${placement}'`), /node\.hostname\s*!=\s*p-hive2/)
  })

  test('outlives the host that writes it; the host comes back, meets the race of a returning Primary, and is filled by itself', async (context) => {
    const first = await records.writesElsewhere('p-hive0.mirror')
    const [manager] = others(first)
    await drbd.raceOnReturn()
    const began = performance.now()
    await power(site, 'off', first)
    const second = await records.writesElsewhere(manager, first)
    context.diagnostic(`written elsewhere after ${((performance.now() - began) / 1000).toFixed(1)} s`)

    await power(site, 'on', first)
    await nodesReady(site, manager, 3)
    await isWhole()
    assert.match(drbd.log(), /kernel: drbd records_data: State change failed: Can not start OV\/resync since it is already active/, 'the race came about')
    await records.assertWhole(second)
  })

  test('is written by one host only when the writer is cut off, and the writer is let in again', async () => {
    const first = (await records.hostSeenBy('p-hive0.mirror')) ?? ''
    const [manager] = others(first)
    await cable(site, 'unplug', first)
    const second = await records.writesElsewhere(manager, first)
    await cable(site, 'plug', first)
    await nodesReady(site, manager, 3)
    await isWhole()
    await records.assertWhole(second)
    await eventually('the first host has let it go', patience, async () => !(await site.onHost(first, 'cat /proc/mounts')).includes('/dev/drbd1 '))
  })

  test('two hosts go and come back: nothing is written without a majority, and all goes on', async () => {
    const writer = (await records.hostSeenBy('p-hive0.mirror')) ?? ''
    const gone = others(writer)
    await Promise.all(gone.map((host) => power(site, 'off', host)))
    await eventually('the volume has no quorum', patience, async () => /quorum:no/.test(await site.onHost(writer, `drbdsetup status ${volume}`)))
    await Promise.all(gone.map((host) => power(site, 'on', host)))
    await nodesReady(site, writer, 3)
    const found = await records.writesElsewhere(writer)
    await isWhole()
    await records.assertWhole(found)
    await nothingLeft(site)
  })

  test('a split brain is left alone, and mended by the doctor once it is told which side gives up', async () => {
    for (const host of hives) await site.onHost(host, `drbdsetup resource-options ${volume} --quorum=off`)
    const first = (await records.hostSeenBy('p-hive0.mirror')) ?? ''
    const [manager] = others(first)
    // What it tells from here on is what a split brain costs.
    records.stop()
    await cable(site, 'unplug', first)
    const second = await records.writesElsewhere(manager, first)
    await cable(site, 'plug', first)
    await nodesReady(site, manager, 3)
    // What parts it from the third host comes by another reason, and maybe before.
    await eventually('the split is seen', patience, async () => /kernel: .*Split-Brain detected/.test(drbd.log()))
    await eventually('they stand alone', patience, async () => /StandAlone/.test(await site.onHost(first, `drbdadm cstate ${volume}`)))
    await eventually('the first host has stopped to write', patience, async () => !(await site.onHost(first, 'cat /proc/mounts')).includes('/dev/drbd1 '))

    const seen = await doctor(site, volume, '--repair')
    assert.ok(
      seen.some((text) => text.startsWith('split-brain') && text.includes(first)),
      `the doctor names it and leaves it to the operator: ${seen.join('; ')}`,
    )
    await doctor(site, volume, '--give-up', first, '--confirm', volume)
    await doctor(site, volume, '--repair')
    await isWhole()
    await records.assertWhole(second)
    await site.succeed(['build-volumes'])
    await nothingLeft(site)
    await healthy(site, volume)
  })
})
