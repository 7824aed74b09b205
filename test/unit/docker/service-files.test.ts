import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { holds, saltedDigest } from '../../../agent/adapters/docker/service-files.ts'

const objectOf = (digest: string | undefined) => ({ ID: '1', Spec: { Name: 'x', Labels: digest === undefined ? null : { 'hive.digest': digest } } })

suite('what a secret holds', () => {
  test('is known by a salted digest, of nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (one, other) => {
        assert.equal(holds(objectOf(saltedDigest(one)), one), true)
        assert.equal(holds(objectOf(saltedDigest(one)), other), Buffer.compare(one, other) === 0)
      }),
    )
  })

  test('the same content has another digest each time', () => {
    const content = Buffer.from('secret')
    assert.notEqual(saltedDigest(content), saltedDigest(content))
  })

  test('an object without our label, or with a strange one, holds nothing of ours', () => {
    for (const digest of [undefined, '', ':', 'zz:zz', saltedDigest(Buffer.from('x')).slice(0, -2)])
      assert.equal(holds(objectOf(digest), Buffer.from('x')), false)
  })
})
