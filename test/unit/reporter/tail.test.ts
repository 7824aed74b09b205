/** Lines of a log that is written and rotated while it is read: each is told once. */
import assert from 'node:assert/strict'
import { appendFile, copyFile, mkdtemp, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { readTail, type TailMark } from '../../../agent/watchers/reporter/tail.ts'

const options = { firstBytes: 1_000_000, lines: 10_000 }

async function inFolder<T>(work: (path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'hive-tail-'))
  try {
    return await work(join(folder, 'errors.log'))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

describe('the tail of a log', () => {
  test('no file yet, then its lines, the last one when it is whole', () =>
    inFolder(async (path) => {
      const none = await readTail(path, undefined, options)
      assert.deepEqual(none, { lines: [], leftOut: 0, mark: undefined })
      await writeFile(path, 'one\ntwo\nthr')
      const first = await readTail(path, none.mark, options)
      assert.deepEqual(first.lines, ['one', 'two'])
      await appendFile(path, 'ee\n')
      const second = await readTail(path, first.mark, options)
      assert.deepEqual(second.lines, ['three'])
      assert.deepEqual((await readTail(path, second.mark, options)).lines, [])
    }))

  test('a large old file is not told from its beginning', () =>
    inFolder(async (path) => {
      await writeFile(path, 'old\n'.repeat(1000))
      const first = await readTail(path, undefined, { ...options, firstBytes: 100 })
      assert.deepEqual(first.lines, [])
      await appendFile(path, 'new\n')
      assert.deepEqual((await readTail(path, first.mark, options)).lines, ['new'])
    }))

  test('more lines than are told are counted', () =>
    inFolder(async (path) => {
      await writeFile(path, 'x\n'.repeat(30))
      const { lines, leftOut } = await readTail(path, undefined, { ...options, lines: 10 })
      assert.deepEqual([lines.length, leftOut], [10, 20])
    }))

  test('a file that was cut off and written anew from its beginning', () =>
    inFolder(async (path) => {
      await writeFile(path, 'one\ntwo\n')
      const { mark } = await readTail(path, undefined, options)
      await truncate(path, 0)
      await appendFile(path, 'another, and longer than before\n')
      assert.deepEqual((await readTail(path, mark, options)).lines, ['another, and longer than before'])
    }))

  test('only lines that match count', () =>
    inFolder(async (path) => {
      await writeFile(path, 'a\nb\na\n')
      assert.deepEqual((await readTail(path, undefined, { ...options, matches: (line) => line === 'a' })).lines, ['a', 'a'])
    }))

  test('a piece at a time where there is much', () =>
    inFolder(async (path) => {
      await writeFile(path, Array.from({ length: 100 }, (_, index) => `line ${index}\n`).join(''))
      const told: string[] = []
      let mark: TailMark | undefined
      for (let round = 0; round < 30; round++) {
        const tail = await readTail(path, mark, { ...options, bytes: 64 })
        told.push(...tail.lines)
        mark = tail.mark
      }
      assert.equal(told.length, 100)
      assert.deepEqual(told[99], 'line 99')
    }))

  test('written, rotated by renaming or by copying, and read in any order: each line once, in order', async () => {
    const action = fc.constantFrom('write', 'write', 'half', 'read', 'read', 'rename')
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 5, maxLength: 40 }), (actions) =>
        inFolder(async (path) => {
          let count = 0
          let open = false
          let rotations = 0
          let mark: TailMark | undefined
          const told: string[] = []
          const read = async (): Promise<void> => {
            const tail = await readTail(path, mark, options)
            told.push(...tail.lines)
            mark = tail.mark
          }
          const write = async (text: string): Promise<void> => {
            await appendFile(path, text)
          }
          await write('')
          await read()
          for (const one of actions) {
            if (one === 'write') {
              await write(open ? ' end\n' : `line ${++count} end\n`)
              open = false
            }
            if (one === 'half' && !open) {
              await write(`line ${++count}`)
              open = true
            }
            if (one === 'read') await read()
            if (one === 'rename' && !open) {
              await rename(path, `${path}.${++rotations}`)
              await write('')
            }
          }
          if (open) await write(' end\n')
          await read()
          assert.deepEqual(
            told,
            Array.from({ length: count }, (_, index) => `line ${index + 1} end`),
          )
        }),
      ),
      { numRuns: 40 },
    )
  })

  test('rotated by copying and cutting off', () =>
    inFolder(async (path) => {
      await writeFile(path, 'one\n')
      const { mark } = await readTail(path, undefined, options)
      await appendFile(path, 'two\n')
      const second = await readTail(path, mark, options)
      await copyFile(path, `${path}.1`)
      await truncate(path, 0)
      await appendFile(path, 'three\n')
      assert.deepEqual((await readTail(path, second.mark, options)).lines, ['three'])
    }))
})
