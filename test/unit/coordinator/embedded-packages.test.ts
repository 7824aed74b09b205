import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { packagesOf } from '../../../coordinator/bootstrap/embedded-packages.ts'

const hex = fc.stringMatching(/^[0-9a-f]{64}$/)
const entry = fc.record(
  { kind: fc.constantFrom('rpm', 'deb'), fileName: fc.string(), version: fc.string(), sha256: hex, binarySha256: hex, size: fc.nat() },
  { noNullPrototype: true },
)

test('the list of packages is read as it was written', () => {
  fc.assert(fc.property(fc.array(entry), (entries) => assert.deepEqual(packagesOf(JSON.stringify(entries)), entries)))
})

test('a list that is damaged is told as that, whatever is wrong', () => {
  const damaged = fc.oneof(
    fc.constant('[{"kind": "rpm"'),
    fc.json().filter((text) => !text.startsWith('[')),
    fc
      .tuple(entry, fc.constantFrom('kind', 'fileName', 'version', 'sha256', 'binarySha256', 'size'))
      .map(([good, key]) => JSON.stringify([{ ...good, [key]: null }])),
  )
  fc.assert(fc.property(damaged, (text) => assert.throws(() => packagesOf(text), { code: 'internal' })))
})
