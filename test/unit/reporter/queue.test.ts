/** Values on their way: in order, nothing lost, nothing twice, wherever it is killed. */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { appendFile, mkdtemp, readdir, readFile, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Delivery, type Send } from '../../../agent/watchers/reporter/delivery.ts'
import { clockWork, type Value } from '../../../agent/watchers/reporter/value.ts'
import { defaultLimits, ValueQueue } from '../../../agent/watchers/reporter/value-queue.ts'

const nobody = new AbortController().signal

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'hive-queue-'))
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** What Zabbix does with what it gets: it keeps the same time of an item once, and knows only some items. */
class Receiver {
  readonly kept: Value[] = []
  readonly #seen = new Set<string>()
  away = false
  requests = 0
  knows: (value: Value) => boolean = () => true
  /** Takes the values, and its answer is lost. */
  losesAnswer: () => boolean = () => false

  readonly send: Send = async (values) => {
    this.requests++
    if (this.away) throw new Error('nobody there')
    let failed = 0
    for (const value of values as readonly Value[]) {
      if (!this.knows(value)) failed++
      else if (!this.#seen.has(identity(value))) {
        this.#seen.add(identity(value))
        this.kept.push(value)
      }
    }
    if (this.losesAnswer()) throw new Error('the answer was lost')
    return { processed: values.length - failed, failed }
  }
}

const identity = ({ host, key, clock, ns }: Value): string => `${host} ${key} ${clock} ${ns}`

/** Values of a few items, numbered by their text. */
function makeValues(now: () => number): (count: number, start: number) => Value[] {
  const stamp = clockWork(now)
  return (count, start) =>
    Array.from({ length: count }, (_, index) => ({ host: 'h', key: `k[${(start + index) % 7}]`, value: String(start + index), ...stamp() }))
}

const numbers = (values: readonly Value[]): number[] => values.map(({ value }) => Number(value))

function assertInOrder(kept: readonly Value[]): void {
  const last = new Map<string, number>()
  for (const { key, value } of kept) {
    assert.ok(Number(value) > (last.get(key) ?? -1), `${key}: ${value} came after ${last.get(key)}`)
    last.set(key, Number(value))
  }
}

describe('the queue of values', () => {
  test('what was put in while Zabbix is away comes out in order when it is back, and is gone then', () =>
    inFolder(async (folder) => {
      const now = () => 1_700_000_000_000
      const queue = await ValueQueue.open(folder, { ...defaultLimits, segmentBytes: 2000 }, now)
      const receiver = new Receiver()
      const delivery = new Delivery(queue, receiver.send, now)
      const make = makeValues(now)
      receiver.away = true
      for (let round = 0; round < 20; round++) {
        await queue.append(make(40, round * 40))
        await assert.rejects(delivery.flush(nobody))
      }
      assert.equal(queue.length, 800)
      receiver.away = false
      await delivery.flush(nobody)
      assert.deepEqual(numbers(receiver.kept), [...Array(800).keys()])
      assert.equal(queue.length, 0)
      assert.deepEqual(await readdir(folder), ['settled.json'])
    }))

  test('an answer that is lost leads to no second value', () =>
    inFolder(async (folder) => {
      const queue = await ValueQueue.open(folder)
      const receiver = new Receiver()
      const delivery = new Delivery(queue, receiver.send)
      await queue.append(makeValues(Date.now)(100, 0))
      receiver.losesAnswer = () => true
      await assert.rejects(delivery.flush(nobody))
      receiver.losesAnswer = () => false
      await delivery.flush(nobody)
      assert.equal(receiver.kept.length, 100)
    }))

  test('beyond its size the oldest goes first, and is counted', () =>
    inFolder(async (folder) => {
      const queue = await ValueQueue.open(folder, { bytes: 10_000, segmentBytes: 1000, age: 86_400_000 })
      const receiver = new Receiver()
      const make = makeValues(Date.now)
      for (let round = 0; round < 100; round++) await queue.append(make(10, round * 10))
      const dropped = queue.takeDropped()
      assert.ok(dropped > 0)
      assert.equal(queue.takeDropped(), 0)
      await new Delivery(queue, receiver.send).flush(nobody)
      assert.deepEqual(
        numbers(receiver.kept),
        Array.from({ length: 1000 - dropped }, (_, index) => dropped + index),
      )
    }))

  test('what is too old goes, and is counted', () =>
    inFolder(async (folder) => {
      let now = 1_700_000_000_000
      const queue = await ValueQueue.open(folder, { ...defaultLimits, segmentBytes: 100, age: 3_600_000 }, () => now)
      const make = makeValues(() => now)
      await queue.append(make(5, 0))
      now += 7_200_000
      await queue.append(make(5, 5))
      await queue.append(make(5, 10))
      assert.equal(queue.takeDropped(), 5)
      const receiver = new Receiver()
      await new Delivery(queue, receiver.send, () => now).flush(nobody)
      assert.deepEqual(numbers(receiver.kept), [5, 6, 7, 8, 9, 10, 11, 12, 13, 14])
    }))

  test('marks are as new as the values that are kept', () =>
    inFolder(async (folder) => {
      const queue = await ValueQueue.open(folder)
      const make = makeValues(Date.now)
      await queue.append(make(1, 0), { log: 1 })
      await queue.append(make(1, 1), { log: 2 })
      await queue.append([], { other: 'x' })
      await queue.close()
      const again = await ValueQueue.open(folder)
      assert.deepEqual([again.mark('log'), again.mark('other'), again.length], [2, 'x', 3])
      await new Delivery(again, new Receiver().send).flush(nobody)
      await again.close()
      const settled = await ValueQueue.open(folder)
      assert.deepEqual([settled.mark('log'), settled.mark('other'), settled.length], [2, 'x', 0])
    }))

  test('killed anywhere, with a last line that is torn: everything that was put in comes once, in order, and its mark with it', async () => {
    const action = fc.oneof(
      fc.record({ kind: fc.constant('append' as const), count: fc.integer({ min: 1, max: 30 }) }),
      fc.record({ kind: fc.constant('flush' as const), answerLost: fc.boolean(), away: fc.boolean() }),
      fc.record({ kind: fc.constant('kill' as const), during: fc.constantFrom('nothing', 'append', 'flush'), torn: fc.integer({ min: 0, max: 60 }) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 3, maxLength: 25 }), (actions) =>
        inFolder(async (root) => {
          let now = 1_700_000_000_000
          const clock = () => now
          const limits = { ...defaultLimits, segmentBytes: 1500 }
          let life = 0
          let folder = join(root, String(life))
          let queue = await ValueQueue.open(folder, limits, clock)
          const receiver = new Receiver()
          const make = makeValues(clock)
          let next = 0
          /** Values that are in for sure. */
          const put = new Set<number>()
          const append = async (count: number): Promise<void> => {
            const values = make(count, next)
            next += count
            await queue.append(values, { upTo: next })
            for (const value of numbers(values)) put.add(value)
          }
          for (const one of actions) {
            now += 1000
            if (one.kind === 'append') await append(one.count)
            if (one.kind === 'flush') {
              receiver.away = one.away
              receiver.losesAnswer = () => one.answerLost
              await new Delivery(queue, receiver.send, clock).flush(nobody).catch(() => undefined)
            }
            if (one.kind === 'kill') {
              receiver.away = false
              receiver.losesAnswer = () => false
              const ended = new AbortController()
              // Some turns of the event loop into it.
              const turns = one.torn % 5
              const under =
                one.during === 'append'
                  ? append(20)
                  : one.during === 'flush'
                    ? new Delivery(queue, receiver.send, clock).flush(ended.signal)
                    : Promise.resolve()
              const settled = under.catch(() => undefined)
              for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
              // What was put in by then counts.
              const before = new Set(put)
              const later = join(root, String(++life))
              picture(folder, later)
              ended.abort()
              await settled
              await queue.close()
              for (const value of [...put]) if (!before.has(value)) put.delete(value)
              if (one.torn > 0) await tear(later, one.torn, one.during === 'append')
              folder = later
              queue = await ValueQueue.open(folder, limits, clock)
              // What did not get in is put in again from where the mark says, as a collector would read it again.
              const mark = Number(queue.mark('upTo') ?? 0)
              if (mark < next) {
                for (const value of [...put]) if (value >= mark) assert.fail(`value ${value} was in, and the mark says ${mark}`)
                next = mark
              }
            }
          }
          receiver.away = false
          receiver.losesAnswer = () => false
          await new Delivery(queue, receiver.send, clock).flush(nobody)
          const got = numbers(receiver.kept)
          assert.equal(new Set(got).size, got.length, 'something came twice')
          for (const value of put) assert.ok(got.includes(value), `${value} did not come`)
          assertInOrder(receiver.kept)
          await queue.close()
        }),
      ),
      { numRuns: 40 },
    )
  })
})

/** The folder at one moment: copied again where it changed meanwhile. */
function picture(folder: string, copy: string): void {
  const settled = join(folder, 'settled.json')
  const read = (): string => {
    try {
      return readFileSync(settled, 'utf8')
    } catch {
      return ''
    }
  }
  for (;;) {
    const before = read()
    mkdirSync(copy, { recursive: true })
    try {
      for (const name of readdirSync(folder)) copyFileSync(join(folder, name), join(copy, name))
      if (read() === before) return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
    rmSync(copy, { recursive: true, force: true })
  }
}

/** Cuts the newest segment in its last line, as long as that one was not put in for sure: else it only gets half a line more. */
async function tear(folder: string, bytes: number, lastIsDoubtful: boolean): Promise<void> {
  const newest = (await readdir(folder))
    .filter((name) => name.endsWith('.jsonl'))
    .sort()
    .at(-1)
  if (newest === undefined) return
  const path = join(folder, newest)
  const text = await readFile(path, 'utf8')
  if (lastIsDoubtful && !text.endsWith('\n')) await truncate(path, Math.max(0, (await stat(path)).size - bytes))
  else await appendFile(path, '{"f":99999,"v":[["h","k","half a li'.slice(0, bytes))
}

describe('the delivery of values', () => {
  const setUp = async (folder: string) => {
    const at = { now: 1_700_000_000_000 }
    const clock = () => at.now
    const queue = await ValueQueue.open(folder, defaultLimits, clock)
    const receiver = new Receiver()
    return { at, queue, receiver, delivery: new Delivery(queue, receiver.send, clock), make: makeValues(clock) }
  }

  test('values of an item that Zabbix does not know yet wait, in order, and hold up nobody else', () =>
    inFolder(async (folder) => {
      const { at, queue, receiver, delivery, make } = await setUp(folder)
      receiver.knows = ({ key }) => key !== 'k[3]'
      for (let round = 0; round < 5; round++) {
        await queue.append(make(70, round * 70))
        await delivery.flush(nobody)
        at.now += 10_000
      }
      assert.equal(receiver.kept.length, 300)
      assert.equal(queue.length, 50)
      receiver.knows = () => true
      at.now += 60_000
      await delivery.flush(nobody)
      assert.equal(receiver.kept.length, 350)
      assert.equal(queue.length, 0)
      assertInOrder(receiver.kept)
      assert.equal(delivery.takeRefused(), 0)
    }))

  test('what Zabbix does not take for ten minutes is given up and told apart, and costs nothing more', () =>
    inFolder(async (folder) => {
      const { at, queue, receiver, delivery, make } = await setUp(folder)
      receiver.knows = ({ key }) => key !== 'k[3]'
      for (let round = 0; round < 14; round++) {
        await queue.append(make(7, round * 7))
        await delivery.flush(nobody)
        at.now += 60_000
      }
      assert.ok(delivery.takeRefused() >= 10)
      const before = receiver.requests
      await queue.append(make(7, 98))
      await delivery.flush(nobody)
      assert.equal(receiver.requests, before + 1)
      assert.equal(queue.length, 0)
      assert.equal(queue.takeDropped(), 0)
    }))

  test('parked values outlive the agent', () =>
    inFolder(async (folder) => {
      const { at, queue, receiver, delivery, make } = await setUp(folder)
      receiver.knows = () => false
      await queue.append(make(7, 0))
      await delivery.flush(nobody)
      await queue.close()
      const again = await ValueQueue.open(folder, defaultLimits, () => at.now)
      assert.equal(again.length, 7)
      receiver.knows = () => true
      at.now += 60_000
      await new Delivery(again, receiver.send, () => at.now).flush(nobody)
      assert.deepEqual(numbers(receiver.kept), [0, 1, 2, 3, 4, 5, 6])
    }))
})
