import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { allocateNodeIds, type NodeIds, nodeIdsOf } from '../../../coordinator/phases/build-volumes/node-ids.ts'
import { HiveError } from '../../../proto/errors.ts'

const hive = (name: string) => ({ name, isHive: true })
const host = fc.integer({ min: 0, max: 40 }).map((index) => `hive${index}.site`)
const hosts = fc.uniqueArray(host, { maxLength: 12 })

suite('node ids', () => {
  test('of the first hosts are their places in the list sorted as text, as hive-builder counts', () => {
    const names = Array.from({ length: 11 }, (_, index) => `hive${index}.site`)
    const ids = allocateNodeIds({}, names)
    assert.deepEqual([ids['hive0.site'], ids['hive1.site'], ids['hive10.site'], ids['hive2.site'], ids['hive9.site']], [0, 1, 2, 3, 10])
  })

  test('never move, are never given twice, and are the lowest that nobody ever had', () => {
    fc.assert(
      fc.property(fc.array(hosts, { minLength: 1, maxLength: 8 }), (stages) => {
        let ids: NodeIds = {}
        for (const present of stages) {
          const ever = new Set([...Object.keys(ids), ...present])
          if (ever.size > 32) return
          const next = allocateNodeIds(ids, present)
          for (const [name, id] of Object.entries(ids)) assert.equal(next[name], id)
          for (const name of present) assert.ok(Object.hasOwn(next, name))
          assert.deepEqual(
            Object.values(next).sort((a, b) => a - b),
            Array.from({ length: ever.size }, (_, id) => id),
          )
          if (Object.keys(ids).length === 0)
            assert.deepEqual(
              Object.keys(next).sort((a, b) => (next[a] ?? 0) - (next[b] ?? 0)),
              [...present].sort(),
            )
          ids = next
        }
      }),
    )
  })

  test('end at 31: nothing is given again', () => {
    const names = Array.from({ length: 32 }, (_, index) => `hive${index}.site`)
    const all = allocateNodeIds({}, names)
    assert.throws(
      () => allocateNodeIds(all, ['hive32.site']),
      (error) => error instanceof HiveError && error.code === 'conflict',
    )
    assert.deepEqual(allocateNodeIds(all, ['hive5.site']), all)
  })

  test('are written down once, and not at all where nobody is new', () => {
    const memory = new Map<string, unknown>()
    let writes = 0
    const set = (key: string, value: unknown): void => {
      writes += 1
      memory.set(key, value)
    }
    const state = { get: (key: string) => memory.get(key), set }
    const idOf = nodeIdsOf([hive('b'), hive('a'), { name: 'repository', isHive: false }], state)
    assert.deepEqual([idOf(hive('a')), idOf(hive('b'))], [0, 1])
    assert.deepEqual(memory.get('drbdNodeIds'), { a: 0, b: 1 })
    nodeIdsOf([hive('b')], state)
    assert.equal(writes, 1)
    assert.throws(() => idOf({ name: 'repository' }), /no node id/)
  })

  test('that are damaged are not guessed', () => {
    for (const damaged of [[], 'x', { a: 0, b: 0 }, { a: 32 }, { a: '1' }])
      assert.throws(
        () => nodeIdsOf([hive('a')], { get: () => damaged, set: () => assert.fail('nothing is written') }),
        (error) => error instanceof HiveError && error.code === 'invalid-input',
      )
  })
})
