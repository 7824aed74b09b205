import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { isRotated } from '../../../agent/server/logs/log-files.ts'
import { type LogQuestion, readLog } from '../../../agent/server/logs/read-log.ts'
import { timeOfLine } from '../../../agent/server/logs/wanted-lines.ts'

const base = mkdtempSync(join(tmpdir(), 'hive-read-log-'))
after(() => rmSync(base, { recursive: true, force: true }))
let folders = 0

const minute = 60_000
const start = new Date(2026, 10, 26, 10, 0, 0)
const two = (number: number): string => String(number).padStart(2, '0')
const stamp = (at: Date): string =>
  `${at.getFullYear()}/${two(at.getMonth() + 1)}/${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
/** Line number n, written n minutes after the start. */
const line = (n: number): string => `${stamp(new Date(start.getTime() + n * minute))} web[1]:  line ${n}`
const range = (from: number, to: number): string => Array.from({ length: to - from }, (_, index) => `${line(from + index)}\n`).join('')

/** 0–9 compressed, 10–19 rotated, 20–29 current. */
function log(): string {
  const folder = mkdtempSync(join(base, `${++folders}-`))
  const put = (name: string, content: string | Buffer, lastLine: number): void => {
    writeFileSync(join(folder, name), content)
    const at = new Date(start.getTime() + lastLine * minute)
    utimesSync(join(folder, name), at, at)
  }
  put('web.log.2.gz', gzipSync(range(0, 10)), 9)
  put('web.log.1', range(10, 20), 19)
  put('web.log', range(20, 30), 29)
  put('web.log.1.log', 'of another service\n', 29)
  put('web.login', 'of a third\n', 29)
  return join(folder, 'web.log')
}

const question = (file: string, changes: Partial<LogQuestion> = {}): LogQuestion => ({ file, tail: 0, since: undefined, grep: '', follow: false, ...changes })

async function read(asked: LogQuestion): Promise<string[] | undefined> {
  const lines = await readLog(asked, new AbortController().signal)
  if (lines === undefined) return undefined
  const all: string[] = []
  for await (const text of lines) all.push(text)
  return all
}
const numbers = async (asked: LogQuestion): Promise<number[]> => ((await read(asked)) ?? []).map((text) => Number(/line (\d+)/.exec(text)?.[1]))
const upTo = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index)

describe('a log', () => {
  test('is read with what was rotated away, compressed or not, in order', async () => {
    assert.deepEqual(await numbers(question(log())), upTo(0, 30))
  })

  test('gives its last lines, across files', async () => {
    const file = log()
    for (const tail of [1, 9, 10, 11, 20, 25, 30, 100])
      assert.deepEqual(await numbers(question(file, { tail })), upTo(Math.max(0, 30 - tail), 30), String(tail))
  })

  test('gives what is not older than a time', async () => {
    const file = log()
    for (const n of [0, 5, 10, 15, 25])
      assert.deepEqual(await numbers(question(file, { since: new Date(start.getTime() + n * minute) })), upTo(n, 30), String(n))
    assert.deepEqual(await numbers(question(file, { since: new Date(start.getTime() + 15 * minute), tail: 3 })), [27, 28, 29])
  })

  test('gives lines that match, the last ones of these', async () => {
    const file = log()
    assert.deepEqual(await numbers(question(file, { grep: 'line \\d*5$' })), [5, 15, 25])
    assert.deepEqual(await numbers(question(file, { grep: 'line \\d*5$', tail: 2 })), [15, 25])
    assert.deepEqual(await read(question(file, { grep: 'nothing' })), [])
    await assert.rejects(read(question(file, { grep: '(oops' })), /grep: .*parenthes/)
  })

  test('keeps lines without a time beside the one they belong to', async () => {
    const file = log()
    writeFileSync(file, `${line(40)}\n  at main.js\n${line(41)}\n  at other.js\n`)
    assert.deepEqual(await read(question(file, { since: new Date(start.getTime() + 41 * minute) })), [line(41), '  at other.js'])
  })

  test('that is none is told apart from an empty one', async () => {
    const file = log()
    assert.equal(await read(question(`${file}.none`)), undefined)
    writeFileSync(`${file}.empty`, '')
    assert.deepEqual(await read(question(`${file}.empty`)), [])
  })

  test('is no link', async () => {
    const file = log()
    symlinkSync('/etc/passwd', `${file}.link`)
    assert.equal(await read(question(`${file}.link`)), undefined)
  })

  test('has all of its characters, whatever is cut through', async () => {
    const file = log()
    const long = `${'日本語'.repeat(50_000)}end`
    writeFileSync(file, `${long}\n${long}2\n`)
    assert.deepEqual(await read(question(file, { tail: 2 })), [long, `${long}2`])
  })

  test('of errors is read by service', async () => {
    const file = log()
    const errors = ['/var/log/services/web.log web: a', '/var/log/services/web2.log web2: b', '/var/log/services/s-hive0.site.web.log web: c']
    writeFileSync(file, errors.map((text) => `${stamp(start)} ${text}\n`).join(''))
    const found = await read(question(file, { errorsOf: 'web', tail: 10 }))
    assert.deepEqual(
      found?.map((text) => text.at(-1)),
      ['a', 'c'],
    )
  })
})

describe('a log that is followed', () => {
  /** Reads `count` more lines, then stops. */
  async function follow(asked: LogQuestion, count: number, meanwhile: (seen: readonly string[]) => void): Promise<string[]> {
    const controller = new AbortController()
    const signal = AbortSignal.any([controller.signal, AbortSignal.timeout(20_000)])
    const lines = await readLog({ ...asked, follow: true }, signal)
    const seen: string[] = []
    for await (const text of lines ?? []) {
      seen.push(text)
      meanwhile(seen)
      if (seen.length >= count) break
    }
    controller.abort()
    return seen
  }

  test('goes on with what is written, whole lines only, through a rotation', async () => {
    const file = log()
    const seen = await follow(question(file, { tail: 1 }), 6, (so) => {
      if (so.length === 1) appendFileSync(file, `${line(30)}\n${line(31).slice(0, 10)}`)
      if (so.length === 2) appendFileSync(file, `${line(31).slice(10)}\n`)
      if (so.length === 3) {
        renameSync(`${file}.1`, `${file}.2`)
        renameSync(file, `${file}.1`)
        writeFileSync(file, '')
        appendFileSync(`${file}.1`, `${line(32)}\n`)
      }
      if (so.length === 4) {
        appendFileSync(`${file}.1`, `${line(33)}\n`)
        appendFileSync(file, `${line(34)}\n`)
      }
    })
    assert.deepEqual(seen, [29, 30, 31, 32, 33, 34].map(line))
  })

  test('begins with the line that is being written', async () => {
    const file = log()
    appendFileSync(file, line(30).slice(0, 30))
    const seen = await follow(question(file, { tail: 1 }), 2, (so) => {
      if (so.length === 1) appendFileSync(file, `${line(30).slice(30)}\n`)
    })
    assert.deepEqual(seen, [29, 30].map(line))
  })

  test('is filtered as it grows', async () => {
    const file = log()
    const seen = await follow(question(file, { tail: 1, grep: 'line \\d0$' }), 2, (so) => {
      if (so.length === 1) appendFileSync(file, range(35, 41))
    })
    assert.deepEqual(seen, [20, 40].map(line))
  })

  test('may come later', async () => {
    const file = `${log()}.later`
    setImmediate(() => writeFileSync(file, `${line(1)}\n`))
    assert.deepEqual(await follow(question(file), 1, () => undefined), [line(1)])
  })
})

test('names that logrotate gives are known, others are not', () => {
  for (const name of ['web.log.1', 'web.log.12.gz', 'web.log-20261126', 'web.log-20261126.gz', 'web.log-20261126-1764140400.gz'])
    assert.ok(isRotated(name, 'web.log'), name)
  for (const name of ['web.log', 'web.log.1.log', 'web.log.gz', 'web.login', 'web2.log.1', 'web.log-x', 'web.log.1.gz.tmp'])
    assert.ok(!isRotated(name, 'web.log'), name)
})

test('the time of a line is this host\u2019s', () => {
  assert.deepEqual(timeOfLine('2026/11/26 10:00:07 web: x'), new Date(2026, 10, 26, 10, 0, 7))
  assert.equal(timeOfLine('  at main.js'), undefined)
})
