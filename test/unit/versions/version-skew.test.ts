import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareVersions, versionSkew } from '../../../proto/version-skew.ts'

const part = fc.nat({ max: 30 })
const version = fc.tuple(part, part, part).map((parts) => parts.join('.'))

test('one minor version apart works together, also below 1.0; farther apart, or another major, does not', () => {
  const skews = ['0.2.0', '0.2.9', '0.3.0', '0.1.7', '0.4.0', '0.0.3', '1.2.0', '0.2.0-rc.1'].map((agent) => [agent, versionSkew('0.2.0', agent)])
  assert.deepEqual(skews, [
    ['0.2.0', 'same'],
    ['0.2.9', 'compatible'],
    ['0.3.0', 'compatible'],
    ['0.1.7', 'compatible'],
    ['0.4.0', 'agent-newer'],
    ['0.0.3', 'agent-older'],
    ['1.2.0', 'agent-newer'],
    ['0.2.0-rc.1', 'compatible'],
  ])
})

test('what both sides may do together does not depend on who asks', () => {
  const mirrored = { same: 'same', compatible: 'compatible', 'agent-older': 'agent-newer', 'agent-newer': 'agent-older' } as const
  fc.assert(fc.property(version, version, (a, b) => assert.equal(versionSkew(a, b), mirrored[versionSkew(b, a)])))
})

test('versions are ordered by their numbers, a pre-release before its release', () => {
  fc.assert(fc.property(version, version, (a, b) => assert.equal(Math.sign(compareVersions(a, b)), -Math.sign(compareVersions(b, a)) + 0)))
  const sorted = ['0.9.0', '0.10.0-rc.1', '0.10.0', '0.10.2', '1.0.0', '10.0.0']
  assert.deepEqual([...sorted].reverse().sort(compareVersions), sorted)
})

test('programs that run from source have no version to be apart by', () => {
  assert.equal(versionSkew('0.0.0-source', '7.1.0'), 'same')
  assert.equal(compareVersions('0.0.0-source', '7.1.0'), 0)
})
