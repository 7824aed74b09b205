import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { allocationsIn, readPersistents } from '../../../coordinator/inventory/persistents.ts'
import type { Service, Volume } from '../../../coordinator/inventory/site.ts'
import { deleteVolume } from '../../../coordinator/run/delete-volume.ts'
import { HiveError } from '../../../proto/errors.ts'
import { service, volume } from '../phases/sample-site.ts'
import { startLab } from './support/lab.ts'
import { tempFolder } from './support/temp.ts'

/** A stage that once had the volume `old`, and has `data`. */
async function stage(t: TestContext, inventory: { readonly volumes?: readonly Volume[]; readonly services?: readonly Service[] } = {}) {
  const lab = await startLab(t, ['h0', 'h1', 'h2', 'repo'])
  const root = tempFolder(t)
  mkdirSync(join(root, '.hive'))
  writeFileSync(join(root, '.hive/persistents.yml'), 'drbd_device_map: {private: {old: 3, data: 1}}\nallocations_per_stage: {global: true}\n')
  const { volumes = [volume({ name: 'data', kind: 'drbd' })], services = [] } = inventory
  const site = { ...lab.site, root, volumes, services, groups: new Map([['drbd_volumes', volumes.map(({ name }) => `volume_${name}`)]]) }
  for (const host of ['h0', 'h1', 'h2']) lab.script.destroying.add(`${host}:remove old`)
  return {
    lab,
    remove: (name: string) => deleteVolume(lab.input([], { site, agents: lab.otherAgents() }), name),
    devices: () => allocationsIn(readPersistents(root), 'private').devices,
  }
}
const refused = (code: string, message: RegExp) => (error: unknown) =>
  error instanceof HiveError && error.code === code && message.test(`${error.message} ${error.hint}`)

test('a volume that is left over goes from all hive hosts, then its device id is free; doing it again finds nothing', async (t) => {
  const { lab, remove, devices } = await stage(t)
  const result = await remove('old')
  assert.deepEqual({ ok: result.ok, changed: result.changed }, { ok: true, changed: 3 })
  assert.deepEqual([...lab.script.order].sort(), ['h0:remove old', 'h1:remove old', 'h2:remove old'])
  assert.deepEqual(devices(), { data: 1 })
  await assert.rejects(remove('old'), refused('not-found', /given no device id to a mirrored volume old no mirrored volume is left over/))
})

test('while one host cannot do its part nothing is removed anywhere', async (t) => {
  const { lab, remove, devices } = await stage(t)
  lab.script.blocking.add('h1:remove old')
  const result = await remove('old')
  assert.deepEqual(
    result.errors.map(({ code, host }) => [code, host]),
    [['blocked', 'h1']],
  )
  assert.deepEqual(lab.script.order, [])
  assert.deepEqual(devices(), { old: 3, data: 1 })
})

test('the id stays taken while a host is away or failed, and the next time finishes the job', async (t) => {
  const { lab, remove, devices } = await stage(t)
  await lab.running.get('h2')?.stop()
  const away = await remove('old')
  assert.deepEqual([away.ok, away.unreachable, devices()], [true, ['h2'], { old: 3, data: 1 }])
  await lab.restart('h2', '0.0.0')
  lab.script.failing.add('h2:remove old')
  const failed = await remove('old')
  assert.deepEqual([failed.ok, devices()], [false, { old: 3, data: 1 }])
  lab.script.failing.clear()
  const done = await remove('old')
  assert.deepEqual([done.ok, done.changed, devices()], [true, 1, { data: 1 }])
})

test('what the inventory has, or a service mounts, is not deleted', async (t) => {
  const { lab, remove } = await stage(t, {
    services: [service({ name: 'db', mounts: [{ type: 'volume', source: 'old', target: '/d', readOnly: false }] })],
  })
  await assert.rejects(remove('data'), refused('blocked', /the inventory has the volume data take it out/))
  await assert.rejects(remove('old'), refused('blocked', /the volume old, mounted by db/))
  await assert.rejects(remove('other'), refused('not-found', /volumes that the inventory has no more: old/))
  assert.deepEqual(lab.script.order, [])
})
