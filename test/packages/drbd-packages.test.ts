/** DRBD's packages and kernels with a real dnf and rpm, in a root like an EL host's. */
import assert from 'node:assert/strict'
import { before, suite, test } from 'node:test'
import type { Seen } from './guest/drbd.ts'
import { runInDnfRoot } from './harness/dnf-root.ts'

suite("DRBD's packages by dnf", () => {
  let seen: Seen

  before(async () => {
    seen = JSON.parse(await runInDnfRoot('test/packages/guest/drbd.ts', AbortSignal.timeout(600_000))) as Seen
  })

  test('a host whose sources do not have it is told', () => {
    assert.deepEqual(seen.missing, { code: 'not-found', message: 'no package source of this host has DRBD 9' })
  })

  test('a module below the floor is not installed', () => {
    assert.equal(seen.tooOld?.code, 'blocked')
    assert.match(seen.tooOld?.message ?? '', /have DRBD 9\.3\.2 at most \(kmod-drbd9x\)/)
    assert.deepEqual(seen.afterTooOld, ['kernel 5.14.0'])
  })

  test('a module for another kernel is not installed, nor is that kernel', () => {
    assert.deepEqual(seen.newKernelOnly, { code: 'blocked', message: 'no build of kmod-drbd9x is for kernel 5.14.0-1.x86_64' })
    assert.deepEqual(seen.afterNewKernelOnly, ['kernel 5.14.0'])
  })

  test('the newest module that fits the installed kernel is taken, and no kernel comes along', () => {
    assert.equal(seen.fromElrepo, undefined)
    assert.deepEqual(seen.afterElrepo, ['drbd9x-utils 9.34.0', 'kernel 5.14.0', 'kmod-drbd9x 9.3.3'])
  })

  test('an upgrade of the host leaves kernel and module alone, and goes through', () => {
    assert.equal(seen.dnfConf, '[main]\nexclude=kernel* kmod-drbd*\ngpgcheck=1\ninstallonly_limit=3\nbest=True\n')
    assert.deepEqual(seen.stillMissing, [])
    assert.deepEqual(seen.afterUpgrade, seen.afterElrepo)
  })

  test('an archive with another checksum is not opened', () => {
    assert.equal(seen.wrongSum?.code, 'blocked')
    assert.match(seen.wrongSum?.message ?? '', /has the SHA-256/)
  })

  test('unsigned packages of an archive are installed for this kernel only, with what they need', () => {
    assert.equal(seen.fromArchive, undefined)
    assert.deepEqual(seen.afterArchive, ['drbd-km-5.14.0', 'drbd-utils', 'needed-library'])
  })

  test('what they need from a package source still has to be signed', () => {
    assert.equal(seen.unsignedDependency?.code, 'command-failed')
    assert.deepEqual(seen.afterUnsigned, [])
  })

  test('a kernel that is asked for is installed although kernels are held, and boots next', () => {
    assert.equal(seen.kernelInstalled, '5.15.0-1.x86_64')
    assert.equal(seen.boots, '5.15.0-1.x86_64')
    assert.deepEqual(
      seen.afterKernel.filter((line) => line.startsWith('kernel')),
      ['kernel 5.14.0', 'kernel 5.15.0', 'kernel-modules-extra 5.15.0'],
    )
  })
})
