import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { awaitProgress, type Clock, type Sight } from '../../../coordinator/hosts/await-progress.ts'

function waiting(sights: (look: number) => Sight<string>) {
  let time = 0
  let looks = 0
  const controller = new AbortController()
  const told: string[] = []
  const clock: Clock = {
    now: () => time,
    pause: async (milliseconds) => {
      time += milliseconds
    },
  }
  const end = awaitProgress('it is so', async () => sights(looks++), { patience: 10_000, signal: controller.signal, clock, told: (doubt) => told.push(doubt) })
  return { end, told, controller, time: () => time }
}

describe('waiting with progress', () => {
  it('goes on as long as something new is seen, however long that takes', async () => {
    const { end, told, time } = waiting((look) => (look < 500 ? { doubt: 'filling', measure: String(500 - Math.floor(look / 9)) } : { done: 'done' }))
    assert.equal(await end, 'done')
    assert.deepEqual(told, ['filling'])
    assert.equal(time(), 500_000)
  })

  it('ends where nothing moves, or only goes round in circles', async () => {
    const still = waiting(() => ({ doubt: 'nobody answers' }))
    await assert.rejects(still.end, /it is so: nothing moved for 10 s: nobody answers/)
    const circle = waiting((look) => ({ doubt: ['starting', 'failed'][look % 2] ?? '', measure: '' }))
    await assert.rejects(circle.end, /nothing moved/)
    assert.ok(circle.time() < 20_000)
  })

  it('takes a look that fails for a doubt, and ends with its signal', async () => {
    const { end, told, controller } = waiting((look) => {
      if (look === 3) controller.abort(new Error('interrupted'))
      throw new Error(`no answer ${look}`)
    })
    await assert.rejects(end, /interrupted/)
    assert.deepEqual(told, ['no answer 0', 'no answer 1', 'no answer 2', 'no answer 3'])
  })
})
