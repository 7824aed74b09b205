/** Kernels and DRBD's module brought up to date together, with a real dnf and rpm in a root like an EL host's. */
import assert from 'node:assert/strict'
import { before, suite, test } from 'node:test'
import type { CheckOutcome } from '../../agent/steps/executor.ts'
import type { Seen } from './guest/kernel-update.ts'
import { runInDnfRoot } from './harness/dnf-root.ts'

suite('kernel and module by dnf', () => {
  let seen: Seen
  const what = (outcome: CheckOutcome): string => (outcome.kind === 'change' ? (outcome.after ?? '') : outcome.kind)

  before(async () => {
    seen = JSON.parse(await runInDnfRoot('test/packages/guest/kernel-update.ts', AbortSignal.timeout(600_000))) as Seen
  })

  test('a host that has what its sources have has nothing to do', () => {
    assert.equal(what(seen.nothing), 'ok')
  })

  test('both come together, with all other packages, although they are held', () => {
    const { held, pending, refused, versions, boots, after } = seen.both
    assert.deepEqual([what(held), what(pending)], ['note', 'note kernel kmod-drbd9x'])
    assert.equal(refused, undefined)
    assert.deepEqual(versions, ['kernel 90.0', 'kernel 91.0', 'kmod-drbd9x 9.3.4', 'note 1.1'])
    assert.deepEqual([boots, what(after)], ['91.0-1.x86_64', 'ok'])
  })

  test('a kernel for which there is no module is told, and the one before boots next', () => {
    const { held, pending, refused, boots, after } = seen.without
    assert.deepEqual([what(held), what(pending)], ['ok', 'kernel'])
    assert.equal(refused?.code, 'blocked')
    assert.match(refused?.message ?? '', /^kernel 92\.0-1\.x86_64 has no DRBD .*; 91\.0-1\.x86_64 boots next$/)
    assert.equal(boots, '91.0-1.x86_64')
    // Else each update would stop at it until there is one.
    assert.equal(what(after), 'ok')
  })

  test('it boots next when its module has come', () => {
    const { pending, refused, boots, after } = seen.late
    assert.deepEqual([what(pending), refused, boots, what(after)], ['kmod-drbd9x', undefined, '92.0-1.x86_64', 'ok'])
  })

  test('the kernel that the inventory names is taken, not the newest', () => {
    const { pending, refused, versions, boots, after } = seen.named
    assert.deepEqual([what(pending), refused, boots, what(after)], ['kernel 93.0-1', undefined, '93.0-1.x86_64', 'ok'])
    assert.ok(!versions.includes('kernel 94.0') && versions.includes('kmod-drbd9x 9.3.6'), versions.join(', '))
  })

  test('a host without mirrored volumes takes the newest, whatever module there is', () => {
    const { refused, boots, after } = seen.noDrbd
    assert.deepEqual([refused, boots, what(after)], [undefined, '95.0-1.x86_64', 'ok'])
  })

  test('where grub chooses in a way of its own nothing is begun', () => {
    assert.equal(seen.unknown?.code, 'blocked')
  })

  test('kernels and module stay held', () => {
    assert.equal(seen.dnfConf, '[main]\nexclude=kernel* kmod-drbd*\ngpgcheck=1\nbest=True\n')
  })
})
