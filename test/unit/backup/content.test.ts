import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { type Content, inspect } from '../../../agent/watchers/backup/content.ts'

const pieces = async function* (bytes: Buffer, cuts: readonly number[] = []): AsyncGenerator<Buffer> {
  let from = 0
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    if (cut <= from || cut >= bytes.length) continue
    yield bytes.subarray(from, cut)
    from = cut
  }
  yield bytes.subarray(from)
}
const look = (bytes: Buffer, cuts?: readonly number[]): Promise<Content> => inspect(pieces(bytes, cuts))

const mysql = (end = '\n-- Dump completed on 2026-11-26  1:00:01\n'): Buffer =>
  Buffer.from(
    `/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB\n--\n${'INSERT INTO a VALUES (1);\n'.repeat(5000)}${end}`,
  )

suite('what a dump holds', () => {
  let folder = ''
  let archive = Buffer.alloc(0)
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'backup-content-'))
    mkdirSync(join(folder, 'in/deep'), { recursive: true })
    for (let index = 0; index < 40; index += 1) writeFileSync(join(folder, 'in/deep', `file ${index}`), randomBytes(index * 97))
    writeFileSync(join(folder, 'in', `${'long'.repeat(40)}`), 'x')
    archive = execFileSync('tar', ['-C', join(folder, 'in'), '-cf', '-', '.'])
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  test('is the same however it is cut into pieces', async () => {
    const packed = gzipSync(archive)
    const expected = await look(packed)
    assert.deepEqual({ ...expected, digest: '' }, { form: 'tar', gzip: true, unpacked: archive.length, entries: 42, digest: '', problem: undefined })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: packed.length }), { maxLength: 20 }), async (cuts) =>
        assert.deepEqual(await look(packed, cuts), expected),
      ),
      { numRuns: 20 },
    )
  })

  test('of an archive is known wherever it breaks off', async () => {
    const packed = gzipSync(archive)
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 2, max: packed.length - 1 }), async (length) =>
        assert.notEqual((await look(packed.subarray(0, length))).problem, undefined),
      ),
      { numRuns: 40 },
    )
    // Not by gzip: the tar itself ended early.
    for (const length of [512, 1024, 5120, archive.length - 10_240])
      assert.notEqual((await look(gzipSync(archive.subarray(0, length)))).problem, undefined, String(length))
  })

  test('does not depend on the order or the way that entries are named', async () => {
    const whole = await look(archive)
    const other = execFileSync('sh', ['-c', 'cd "$1" && tar --sort=name -cf - *', 'sh', join(folder, 'in')])
    assert.equal((await look(other)).digest, whole.digest)
    writeFileSync(join(folder, 'in/deep/file 3'), 'another size')
    assert.notEqual((await look(execFileSync('tar', ['-C', join(folder, 'in'), '-cf', '-', '.']))).digest, whole.digest)
  })

  test('of SQL is known by the line that its program writes last', async () => {
    for (const pack of [(plain: Buffer) => plain, gzipSync]) {
      assert.equal((await look(pack(mysql()))).problem, undefined)
      assert.match((await look(pack(mysql('')))).problem ?? '', /SQL dump breaks off/)
    }
    const postgres = (end: string): Buffer => Buffer.from(`--\n-- PostgreSQL database dump\n--\n\nSET x = 1;\n${end}`)
    assert.equal((await look(postgres('--\n-- PostgreSQL database dump complete\n--\n'))).problem, undefined)
    assert.match((await look(postgres(''))).problem ?? '', /breaks off/)
  })

  test('that is of an unknown form is taken as it is; nothing is not', async () => {
    assert.deepEqual((await look(Buffer.from('x'))).problem, undefined)
    assert.deepEqual((await look(randomBytes(100_000))).problem, undefined)
    assert.match((await look(Buffer.alloc(0))).problem ?? '', /empty/)
    assert.match((await look(gzipSync(''))).problem ?? '', /empty/)
  })

  test('an empty folder is whole', async () => {
    mkdirSync(join(folder, 'empty'))
    const found = await look(gzipSync(execFileSync('tar', ['-C', join(folder, 'empty'), '-cf', '-', '.'])))
    assert.deepEqual([found.form, found.entries, found.problem], ['tar', 0, undefined])
  })
})
