import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Poller } from '../../../coordinator/dashboard/poller.ts'

/** Time that goes on when it is told to. */
class FakeClock {
  #now = 0
  #calls: { readonly at: number; readonly call: () => void }[] = []
  now = (): number => this.#now
  after = (milliseconds: number, call: () => void): (() => void) => {
    const entry = { at: this.#now + milliseconds, call }
    this.#calls.push(entry)
    return () => {
      this.#calls = this.#calls.filter((one) => one !== entry)
    }
  }
  get waiting(): number {
    return this.#calls.length
  }
  async pass(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds
    for (;;) {
      const next = this.#calls.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#now = next.at
      this.#calls = this.#calls.filter((one) => one !== next)
      next.call()
      await settle()
    }
    this.#now = end
    await settle()
  }
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function poller(takes = 0) {
  const clock = new FakeClock()
  const asked: number[] = []
  let underWay = 0
  let most = 0
  const made = new Poller({
    interval: 4_000,
    clock,
    ask: async () => {
      asked.push(clock.now())
      underWay += 1
      most = Math.max(most, underWay)
      if (takes > 0) await new Promise<void>((resolve) => clock.after(takes, resolve))
      underWay -= 1
      return asked.length
    },
  })
  return { clock, asked, made, most: () => most }
}

test('nobody is asked while nobody looks', async () => {
  const { clock, asked, made } = poller()
  await clock.pass(60_000)
  assert.deepEqual(asked, [])
  const end = made.watch(() => undefined)
  await clock.pass(9_000)
  end()
  assert.deepEqual(asked, [60_000, 64_000, 68_000])
  await clock.pass(600_000)
  assert.equal(asked.length, 3)
  assert.equal(clock.waiting, 0)
})

test('all who look are told the same answer, and who comes later the latest at once', async () => {
  const { clock, made } = poller()
  const told: string[] = []
  made.watch((answer) => told.push(`a ${answer}`))
  made.watch((answer) => told.push(`b ${answer}`))
  await clock.pass(1_000)
  made.watch((answer) => told.push(`c ${answer}`))
  assert.deepEqual(told, ['a 1', 'b 1', 'c 1'])
})

test('a page is given a new answer, or what is known where one takes too long', async () => {
  const { clock, made } = poller(10_000)
  const first = made.next(3_000)
  await clock.pass(3_000)
  assert.equal(await first, undefined)
  await clock.pass(10_000)
  assert.equal(made.latest, 1)
  const second = made.next(30_000)
  await clock.pass(20_000)
  assert.equal(await second, 2)
})

test('whoever comes and goes: one question at a time, and not more often than the interval', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 9_000 }),
      fc.array(fc.tuple(fc.constantFrom('come', 'go', 'page'), fc.integer({ min: 0, max: 6_000 })), { maxLength: 30 }),
      async (takes, happenings) => {
        const { clock, asked, made, most } = poller(takes)
        const looking: (() => void)[] = []
        for (const [what, then] of happenings) {
          if (what === 'come') looking.push(made.watch(() => undefined))
          else if (what === 'go') looking.pop()?.()
          else void made.next(1_000)
          await clock.pass(then)
        }
        assert.ok(most() <= 1)
        for (const [index, at] of asked.entries()) assert.ok(index === 0 || at - (asked[index - 1] ?? 0) >= 4_000, asked.join(' '))
        for (const end of looking) end()
        await clock.pass(60_000)
        const before = asked.length
        await clock.pass(60_000)
        assert.equal(asked.length, before)
      },
    ),
    { numRuns: 60 },
  )
})
