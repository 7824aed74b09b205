import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { explained } from '../../../agent/adapters/lvm.ts'
import { groupFields, parseGroups, parsePools, parseVolumes, volumeFields } from '../../../agent/adapters/lvm-report.ts'
import { HiveError } from '../../../proto/errors.ts'
import { FakeLvm, type LvmAnswer, type LvmTool, sizeOf } from '../../fake-drbd/lab/fake-lvm.ts'

const MiB = 1024 * 1024
const json = ['--reportformat', 'json', '--units', 'b', '--nosuffix', '--options']

/** As agent/adapters/lvm.ts calls it. */
const make = (lvm: FakeLvm, name: string, bytes: number): LvmAnswer =>
  lvm.run('lvcreate', ['--yes', '--name', name, '--virtualsize', `${bytes}b`, '--thinpool', 'drbdpool', 'drbdvg'])
const volumes = (lvm: FakeLvm) => parseVolumes(lvm.run('lvs', [...json, volumeFields.join(',')]).stdout)

describe('the fake LVM', () => {
  test('has a group with a thin pool, as the agent reads them', () => {
    const lvm = new FakeLvm()
    assert.deepEqual(
      parseGroups(lvm.run('vgs', [...json, groupFields.join(',')]).stdout).map(({ name, extentBytes, missing }) => [name, extentBytes, missing]),
      [['drbdvg', 4n * 1024n * 1024n, 0]],
    )
    assert.deepEqual(
      parsePools(lvm.run('lvs', [...json, volumeFields.join(',')]).stdout).map(({ name, active }) => [name, active]),
      [['drbdpool', true]],
    )
    assert.deepEqual(volumes(lvm), [])
  })

  test('makes, grows, copies and removes volumes, and tells what that means for files', () => {
    const lvm = new FakeLvm()
    assert.deepEqual(
      make(lvm, 'data', 50 * MiB).effects.map(({ kind, volume }) => [kind, volume.name, volume.bytes]),
      [['made', 'data', 52 * MiB]],
    )
    assert.deepEqual(
      lvm.run('lvextend', ['--yes', '--size', `${80 * MiB}b`, 'drbdvg/data']).effects.map(({ kind, volume }) => [kind, volume.bytes]),
      [['changed', 80 * MiB]],
    )
    assert.equal(lvm.run('lvcreate', ['--yes', '--snapshot', '--name', 'data_copy', 'drbdvg/data']).code, 0)
    assert.deepEqual(
      volumes(lvm).map(({ name, sizeBytes, pool, origin, active }) => ({ name, sizeBytes, pool, origin, active })),
      [
        { name: 'data', sizeBytes: 80n * 1024n * 1024n, pool: 'drbdpool', origin: undefined, active: true },
        { name: 'data_copy', sizeBytes: 80n * 1024n * 1024n, pool: 'drbdpool', origin: 'data', active: false },
      ],
    )
    assert.equal(lvm.run('lvremove', ['--yes', 'drbdvg/data_copy']).code, 0)
    assert.deepEqual(
      volumes(lvm).map(({ name }) => name),
      ['data'],
    )
  })

  const refused: readonly (readonly [LvmTool, readonly string[], RegExp])[] = [
    ['lvcreate', ['--name', 'data', '--virtualsize', '4m', '--thinpool', 'drbdpool', 'drbdvg'], /"data" already exists in volume group "drbdvg"/],
    ['lvcreate', ['--name', 'b', '--virtualsize', '4m', '--thinpool', 'drbdpool', 'nothere'], /Volume group "nothere" not found/],
    ['lvextend', ['--size', '4m', 'drbdvg/data'], /not larger than existing size/],
    ['lvextend', ['--size', '8m', 'drbdvg/data'], /matches existing size/],
    ['lvremove', ['--yes', 'drbdvg/nothere'], /Failed to find logical volume "drbdvg\/nothere"/],
    ['lvremove', ['--yes', 'drbdvg/data'], /in use/],
    ['lvs', [...json, 'lv_name,lv_colour'], /FAKE: lvs has no field lv_colour/],
    ['lvs', ['-o', 'lv_name'], /FAKE: lvs answers in JSON/],
  ]
  for (const [tool, argv, words] of refused)
    test(`refuses ${tool} ${argv.join(' ')}`, () => {
      const lvm = new FakeLvm()
      make(lvm, 'data', 8 * MiB)
      const answer = lvm.run(tool, argv, { isOpen: () => true, writtenBytes: () => 0 })
      assert.notEqual(answer.code, 0)
      assert.match(answer.stderr, words)
      assert.deepEqual(answer.effects, [])
    })

  test('a refusal that is not about space stays what it is to the agent', () => {
    const error = new HiveError('command-failed', 'lvcreate', { log: new FakeLvm().run('lvremove', ['drbdvg/x']).stderr.split('\n') })
    assert.equal(explained(error), error)
  })

  test('sizes are whole extents, never less than asked for', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 40 }), (bytes) => {
        const size = sizeOf(`${bytes}b`)
        return size >= bytes && size - bytes < 4 * MiB && size % (4 * MiB) === 0
      }),
    )
    assert.equal(sizeOf('50'), 52 * MiB)
    assert.equal(sizeOf('1.5G'), 1536 * MiB)
  })
})
