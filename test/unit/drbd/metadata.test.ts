import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { deviceKib, isJustCreated, parseGenerations, parseMetadata } from '../../../agent/adapters/drbd/metadata.ts'
import { claims } from '../../../agent/adapters/drbd/resource-store.ts'
import { parseUnits } from '../../../agent/adapters/drbd/resource-unit.ts'
import { hideSecret } from '../../../agent/adapters/drbd/tools.ts'
import { HiveError } from '../../../proto/errors.ts'
import { recordedText } from './support/recorded.ts'

test('metadata as create-md leaves it: room, no node id yet, no generation', () => {
  assert.deepEqual(parseMetadata(recordedText('drbdmeta-dump-md.txt')), { maxPeers: 7, nodeId: -1, currentUuid: '0000000000000004' })
})

test('a dump that is none is refused, not taken for empty metadata', () => {
  assert.throws(() => parseMetadata('No valid meta data found\n'), HiveError)
})

test('generations: just created, and with data', () => {
  const fresh = parseGenerations(recordedText('05-created-inconsistent/s-hive0/get-gi.txt'))
  assert.deepEqual(fresh.length, 2)
  assert.ok(isJustCreated(fresh))
  const used = parseGenerations(recordedText('06-after-new-current-uuid/s-hive0/get-gi.txt'))
  assert.deepEqual(
    used.map(({ current }) => current),
    ['98C3EE38DBFE0D1E', '98C3EE38DBFE0D1E'],
  )
  assert.ok(!isJustCreated(used))
})

test('no answer is not "just created", and neither is a generation with a history', () => {
  assert.ok(!isJustCreated(parseGenerations('')))
  assert.ok(!isJustCreated(parseGenerations('0000000000000004:0000000000000000:98C3EE38DBFE0D1E:0000000000000000:0:0:0\n')))
})

test('the device on a disk is as large as DRBD made it', () => {
  const mib = 2n ** 20n
  assert.deepEqual(
    [64n, 128n, 256n, 320n].map((size) => deviceKib(size * mib, 7)),
    [65484n, 131008n, 262052n, 327572n],
  )
})

test('a device grows with its disk and shrinks with the room for peers', () => {
  const size = fc.bigInt({ min: 1n, max: 2n ** 34n }).map((blocks) => blocks * 2n ** 20n)
  fc.assert(
    fc.property(size, fc.integer({ min: 1, max: 31 }), (bytes, peers) => {
      assert.ok(deviceKib(bytes, peers) * 1024n < bytes)
      assert.ok(deviceKib(bytes, peers) <= deviceKib(bytes, 1))
      assert.ok(deviceKib(bytes + 2n ** 22n, peers) > deviceKib(bytes, peers))
    }),
  )
})

test('minors and ports of a resource file, in both ways of writing them; comments do not count', () => {
  const text = `resource a {
  # device minor 9; address 10.0.0.1:7009;
  on x { device /dev/drbd3 minor 3; address 10.0.0.1:7003; }
  on y { device minor 4; address ipv4 10.0.0.2:7004; }
}`
  assert.deepEqual(
    [[...claims(text).minors], [...claims(text).ports]],
    [
      [3, 4],
      [7003, 7004],
    ],
  )
})

test('units: name and state', () => {
  const text = 'drbd-resource@a-b.service loaded active exited Mirrored volume a-b\ndrbd-resource@c.service loaded failed failed Mirrored volume c\n'
  assert.deepEqual(
    [...parseUnits(text)],
    [
      ['drbd-resource@a-b.service', 'active'],
      ['drbd-resource@c.service', 'failed'],
    ],
  )
})

test('the shared secret is in nothing that is shown', () => {
  for (const text of [
    '    shared-secret "k3y-Of/It";  # why',
    'drbdsetup new-peer v 1 --_name=b --shared-secret=k3y-Of/It --protocol=C',
    "Command 'drbdsetup net-options v 1 --shared-secret=k3y-Of/It' terminated",
  ])
    assert.ok(!hideSecret(text).includes('k3y-Of/It'), hideSecret(text))
})
