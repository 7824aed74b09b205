/** The fake DRBD answers as the real one did in the recordings: refusals, exit codes, states, configuration. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Player } from '../../fake-drbd/replay/player.ts'
import { LEFT_OUT, REPLAYED } from '../../fake-drbd/replay/table.ts'

const recordings = join(import.meta.dirname, '../../fixtures/drbd9')

describe('the fake DRBD follows the recordings', () => {
  // one cluster from the first state to the last, as it was recorded
  const player = new Player()
  for (const replayed of REPLAYED) {
    it(`${replayed.state}${replayed.without === undefined ? '' : ` (to ${replayed.until} s: ${replayed.without})`}`, () => {
      const before = player.differences.length
      player.play(recordings, replayed)
      const found = player.differences.slice(before)
      player.pass(2_000)
      assert.deepEqual(found, [])
    })
  }

  it('follows every recorded state or says why not', () => {
    const known = [...REPLAYED.map((replayed) => replayed.state), ...Object.keys(LEFT_OUT)].sort()
    const folders = readdirSync(recordings, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && /^\d/.test(entry.name))
      .map((entry) => entry.name)
      .sort()
    assert.deepEqual(folders, known)
  })

  it('finds a difference where there is one', () => {
    const wrong = new Player()
    for (const replayed of REPLAYED.slice(0, 4)) wrong.play(recordings, replayed)
    assert.deepEqual(wrong.differences, [])
    // without the first generation nobody can be Primary, and the recording says that the mount succeeded
    const blank = new Player()
    for (const replayed of REPLAYED.filter((one) => !one.state.startsWith('06')).slice(0, 4)) blank.play(recordings, replayed)
    assert.notDeepEqual(blank.differences, [])
  })
})
