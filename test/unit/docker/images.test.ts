import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isReadOnly } from '../../../agent/adapters/ansible/images.ts'
import { eachJsonLine, hasDigest, parseReference } from '../../../agent/adapters/docker/images.ts'

test('a reference is parted into repository, tag and digest', () => {
  assert.deepEqual(parseReference('host:5000/a/b'), { repository: 'host:5000/a/b', tag: 'latest', digest: '' })
  assert.deepEqual(parseReference('host:5000/a:1@sha256:ab'), { repository: 'host:5000/a', tag: '1', digest: 'sha256:ab' })
  assert.deepEqual(parseReference('a@sha256:ab'), { repository: 'a', tag: '', digest: 'sha256:ab' })
})

test('an image has a digest only under the repository it was pulled from', () => {
  const image = { Id: '', Size: 0, Created: 0, RepoDigests: ['host:5000/a@sha256:ab', 'debian@sha256:cd'] }
  assert.ok(hasDigest(image, 'host:5000/a', 'sha256:ab'))
  assert.ok(!hasDigest(image, 'host:5000/b', 'sha256:ab'))
  assert.ok(hasDigest(image, 'docker.io/library/debian', 'sha256:cd'))
})

test('progress lines are read across chunks, multi-byte characters included', async () => {
  const bytes = Buffer.from('{"status":"ä"}\r\n{"error":"no"}')
  const seen: unknown[] = []
  await eachJsonLine(
    (async function* () {
      for (const byte of bytes) yield Buffer.from([byte])
    })(),
    (line) => seen.push(line),
  )
  assert.deepEqual(seen, [{ status: 'ä' }, { error: 'no' }])
})

test('a registry that is read-only is known by what docker makes of its refusal', () => {
  // Docker 20.10 and registry 2.8.
  assert.ok(
    isReadOnly(
      'push of host:5000/a:1 failed: error parsing HTTP 405 response body: invalid character \'M\' looking for beginning of value: "Method not allowed\\n"',
    ),
  )
  assert.ok(isReadOnly('push of host:5000/a:1 failed: unsupported: The operation is unsupported.'))
  assert.ok(!isReadOnly('push of host:5000/image_405:1 failed: unauthorized: authentication required'))
})
