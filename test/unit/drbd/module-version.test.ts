import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareVersions, isDrbd8, parseVersions, reachesFloor } from '../../../agent/adapters/drbd/module-version.ts'

const recorded = new URL('../../fixtures/drbd9/01-unconfigured-module-loaded/s-hive0/', import.meta.url)

test('versions as recorded of DRBD 9.3.3 and drbd-utils 9.22.0', () => {
  assert.deepEqual(parseVersions(readFileSync(new URL('drbdadm-version.txt', recorded), 'utf8')), { module: '9.3.3', tools: '9.22.0' })
})

/** As a test of LINSTOR's has it, of drbd-utils 9.7 with the module of Ubuntu's kernel. */
const withKernelsOwn = `DRBDADM_BUILDTAG=GIT-hash:\\ 0f1b5a1fc2c5a5a0a5d0e1f4\\ build\\ by\\ buildd@lcy01-amd64-008\\,\\ 2018-12-05\\ 10:50:48
DRBDADM_API_VERSION=2
DRBD_KERNEL_VERSION_CODE=0x08040B
DRBD_KERNEL_VERSION=8.4.11
DRBDADM_VERSION_CODE=0x090700
DRBDADM_VERSION=9.7.0
`

test("the kernel's own DRBD is told apart", () => {
  const { module } = parseVersions(withKernelsOwn)
  assert.equal(module, '8.4.11')
  assert.ok(isDrbd8(module))
  assert.ok(!isDrbd8('9.0.0'))
  assert.ok(!isDrbd8(''))
})

test('without a module the tools tell 0, which is no version; other output is none either', () => {
  assert.deepEqual(parseVersions('DRBD_KERNEL_VERSION_CODE=0x000000\nDRBD_KERNEL_VERSION=0\nDRBDADM_VERSION=9.34.0\n'), { module: '', tools: '9.34.0' })
  assert.deepEqual(parseVersions('modprobe: FATAL: Module drbd not found'), { module: '', tools: '' })
})

test('what mirrored volumes are made with', () => {
  for (const version of ['9.2.19', '9.2.20', '9.3.3', '9.3.4-1', '9.3.10', '9.4.0', '10.0.0']) assert.ok(reachesFloor(version), version)
  for (const version of ['', '8.4.11', '9.0.32', '9.1.23', '9.2.18', '9.2.2', '9.3.2', '9.3.0-rc.1']) assert.ok(!reachesFloor(version), version)
})

test('versions are ordered number by number', () => {
  const version = fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(version, version, (one, other) => {
      const length = Math.max(one.length, other.length)
      const padded = (parts: readonly number[]): readonly number[] => [...parts, ...Array<number>(length - parts.length).fill(0)]
      const [left, right] = [padded(one), padded(other)]
      const at = left.findIndex((part, index) => part !== right[index])
      const expected = at === -1 ? 0 : Math.sign((left[at] ?? 0) - (right[at] ?? 0))
      assert.equal(Math.sign(compareVersions(one.join('.'), `${other.join('.')}-1.el9`)), expected)
    }),
  )
})
