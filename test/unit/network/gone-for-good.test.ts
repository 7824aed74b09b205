import assert from 'node:assert/strict'
import { test } from 'node:test'
import { goneForGood } from '../../../agent/adapters/network/firewall.ts'

/** Each look sees the next of these, and the last one from then on. */
async function lost(
  before: readonly string[],
  ...seen: readonly (readonly string[])[]
): Promise<{ readonly lost: readonly string[]; readonly pauses: number }> {
  let at = 0
  let pauses = 0
  const look = async (): Promise<readonly string[]> => seen[Math.min(at++, seen.length - 1)] ?? []
  const found = await goneForGood(before, look, async () => {
    pauses += 1
  })
  return { lost: found, pauses }
}

test('rules that docker has just taken out to put them in anew are not lost', async () => {
  assert.deepEqual(await lost(['a', 'b'], ['a'], ['a'], ['a', 'b']), { lost: [], pauses: 2 })
  assert.deepEqual(await lost(['a', 'b'], ['b'], ['a']), { lost: [], pauses: 1 })
})

test('nothing is waited for where all are there', async () => {
  assert.deepEqual(await lost(['a'], ['b', 'a']), { lost: [], pauses: 0 })
})

test('a rule that does not come back is lost', async () => {
  const found = await lost(['a', 'b'], ['a'])
  assert.deepEqual(found.lost, ['b'])
  assert.ok(found.pauses > 5)
})
