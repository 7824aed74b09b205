import assert from 'node:assert/strict'
import test from 'node:test'
import { type UnitStatus, unreadFiles } from '../../../agent/adapters/systemd.ts'
import { unitDifference, type WantedUnit } from '../../../agent/adapters/unit-state.ts'

const unit: UnitStatus = { name: 'docker.service', load: 'loaded', active: 'active', file: 'enabled', needsDaemonReload: false, activeSince: 5_000_000 }
const wanted: WantedUnit = { names: ['docker.service'], enabled: true, state: 'started', watchFiles: ['/etc/docker/daemon.json'], reload: false }

const running = { activeSince: 5_000_000, activeSinceWallMs: 1_000_000, bootId: 'boot' }
const file = (mtimeMs: number, sha256 = 'new') => ({ path: '/f', sha256, mtimeMs })

test('a unit as wanted needs nothing', () => {
  const difference = unitDifference(wanted, unit, [])
  assert.deepEqual([difference.reasons, difference.action, difference.enable], [[], undefined, undefined])
})

test('a unit that does not run is started, not restarted', () => assert.equal(unitDifference(wanted, { ...unit, active: 'failed' }, []).action, 'start'))

test('an unread file asks for a restart, or a reload where that is enough', () => {
  assert.equal(unitDifference(wanted, unit, ['/f']).action, 'restart')
  assert.equal(unitDifference({ ...wanted, reload: true }, unit, ['/f']).action, 'reload')
})

test('changed unit files are read and need a restart even of a unit that is reloaded else', () => {
  const difference = unitDifference({ ...wanted, reload: true }, { ...unit, needsDaemonReload: true }, [])
  assert.deepEqual([difference.daemonReload, difference.action], [true, 'restart'])
})

test('a unit that may stay stopped is not started by a changed file', () =>
  assert.equal(unitDifference({ ...wanted, state: 'any' }, { ...unit, active: 'inactive' }, ['/f']).action, undefined))

test('a static unit is not enabled', () => assert.equal(unitDifference(wanted, { ...unit, file: 'static' }, []).enable, undefined))

test('a file younger than the activation is unread, an older one is read', () => {
  assert.deepEqual(unreadFiles([file(1_000_001)], [], running, undefined), ['/f'])
  assert.deepEqual(unreadFiles([file(999_999)], [], running, undefined), [])
})

test('a file noted for this activation is read although the clock says it is younger', () => {
  const note = { bootId: 'boot', activeSince: 5_000_000, files: { '/f': 'new' } }
  assert.deepEqual(unreadFiles([file(9_000_000)], [], running, note), [])
  assert.deepEqual(unreadFiles([file(9_000_000, 'newer')], [], running, note), ['/f'])
})

test('a note of another activation or boot says nothing', () => {
  const note = { bootId: 'boot', activeSince: 4_000_000, files: { '/f': 'new' } }
  assert.deepEqual(unreadFiles([file(9_000_000)], [], running, note), ['/f'])
  assert.deepEqual(unreadFiles([file(9_000_000)], [], running, { ...note, activeSince: 5_000_000, bootId: 'before' }), ['/f'])
})

test('a noted file that was taken away is a change', () => {
  const note = { bootId: 'boot', activeSince: 5_000_000, files: { '/f': 'new' } }
  assert.deepEqual(unreadFiles([], ['/f'], running, note), ['/f'])
  assert.deepEqual(unreadFiles([], ['/g'], running, note), [])
})
