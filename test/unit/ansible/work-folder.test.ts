import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { forgetKeys, removeLeftovers, withContent } from '../../../agent/adapters/ansible/work-folder.ts'
import { writable } from '../../../agent/adapters/gate.ts'
import { BlobStore } from '../../../agent/runs/blobs.ts'

const never = new AbortController().signal

function bed(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'work-folder-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const root = join(folder, 'work')
  const blobs = join(folder, 'blobs')
  let now = Date.now()
  const store = new BlobStore(blobs, () => new Date(now))
  const upload = async (files: Record<string, string>): Promise<string> => {
    const source = mkdtempSync(join(folder, 'source-'))
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(source, name, '..'), { recursive: true })
      writeFileSync(join(source, name), text)
    }
    execFileSync('tar', ['--create', '--file', join(folder, 'content.tar'), '--directory', source, '.'])
    const bytes = readFileSync(join(folder, 'content.tar'))
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    await store.put(sha256, bytes.length, piece(bytes), never)
    return sha256
  }
  const use = async (sha256: string, work: (content: string) => Promise<void> = async () => undefined): Promise<void> =>
    writable(async () => withContent(root, sha256, await store.path(sha256), never, work))
  const forget = (needed: string[] = []): Promise<boolean> => forgetKeys(root, new Set(needed), (sha256) => store.forget(sha256, 1000))
  const here = (sha256: string): boolean[] => [existsSync(join(root, sha256)), existsSync(join(blobs, sha256))]
  return { root, upload, use, forget, here, pass: (milliseconds: number) => (now += milliseconds) }
}
async function* piece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

test('content with the key of the CA goes with its archive once nobody uses or needs it', async (t) => {
  const { upload, use, forget, here, pass } = bed(t)
  const withKey = await upload({ 'context/ca/cakey.pem': 'key' })
  const without = await upload({ 'context/ca/ca.pem': 'certificate' })
  await use(without)
  await use(withKey, async () => {
    pass(5000)
    assert.equal(await forget(), true, 'in use')
  })
  assert.equal(await forget([withKey]), true, 'needed by a run')
  assert.deepEqual(here(withKey), [true, true])
  assert.equal(await forget(), false)
  assert.deepEqual(here(withKey), [false, false])
  assert.deepEqual(here(without), [true, true])
})

test('content that was asked for a moment ago stays for the run that is about to start', async (t) => {
  const { upload, use, forget, here, pass } = bed(t)
  const sha256 = await upload({ 'context/ca/cakey.pem': 'key' })
  await use(sha256)
  assert.equal(await forget(), true)
  assert.deepEqual(here(sha256), [true, true])
  pass(5000)
  assert.equal(await forget(), false)
})

test('only the newest contents are kept, for root alone, and what a killed agent left goes at its start', async (t) => {
  const { root, upload, use } = bed(t)
  for (const text of ['1', '2', '3', '4', '5']) await use(await upload({ text }))
  assert.equal(readdirSync(root).length, 3)
  assert.equal(statSync(root).mode & 0o777, 0o700)
  mkdirSync(join(root, 'run-abc/tmp'), { recursive: true })
  mkdirSync(join(root, 'unpack-abc'))
  await removeLeftovers(root)
  assert.equal(readdirSync(root).length, 3)
})
