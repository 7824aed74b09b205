/** A host whose parts fail or hang tells all else, and names them with the reason. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readOnly } from '../../../agent/adapters/gate.ts'
import { type ConditionSources, hostCondition } from '../../../agent/server/doctor/host-condition.ts'
import { HiveError } from '../../../proto/errors.ts'

const now = new Date('2026-11-26T12:00:00Z')
const fails = async (): Promise<never> => {
  throw new HiveError('internal', 'its memory is damaged')
}
const follower = { addresses: [], rules: [], marks: [], problems: [], heard: now }

test('what fails is named, and keeps nothing else from being told', async (context) => {
  const pkiDir = mkdtempSync(join(tmpdir(), 'hive-condition-'))
  context.after(() => rmSync(pkiDir, { recursive: true }))
  writeFileSync(join(pkiDir, 'revoked.json'), '[{"serial": "AB"}]')
  const sources: ConditionSources = {
    pkiDir,
    supervisor: { status: fails },
    follower: { status: () => follower },
    lease: { get: async () => ({ held: true, owner: 'o', purpose: 'p', since: now, expires: now, granted: false }) },
    keeper: { schedule: async () => ({ at: '02:00', targets: [] }) as never, list: fails },
    now: () => now,
  }
  const told = await readOnly(() => hostCondition(sources, AbortSignal.timeout(60_000)))
  assert.deepEqual(
    told.unlooked
      .filter(({ what }) => ['supervisor', 'backups', 'certificate', 'lock', 'revoked certificates'].includes(what))
      .map(({ what }) => what)
      .sort(),
    ['backups', 'certificate', 'supervisor'],
  )
  assert.match(told.unlooked.find(({ what }) => what === 'backups')?.why ?? '', /its memory is damaged/)
  assert.deepEqual([told.now, told.lock?.owner, told.refused, told.follower, told.supervisor, told.backups], [now, 'o', ['AB'], follower, undefined, undefined])
})

test('a host that keeps no backups tells of none', async () => {
  const sources: ConditionSources = {
    pkiDir: '/nowhere',
    supervisor: { status: fails },
    follower: { status: () => follower },
    lease: { get: fails },
    keeper: { schedule: async () => undefined, list: fails },
    now: () => now,
  }
  const told = await readOnly(() => hostCondition(sources, AbortSignal.timeout(60_000)))
  assert.equal(told.backups, undefined)
  assert.ok(!told.unlooked.some(({ what }) => what === 'backups'))
})
