import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { type Finding, findings, loadFailure, type ModuleFacts, serves } from '../../../agent/adapters/drbd/module-verdict.ts'

const running = '5.14.0-503.14.1.el9_5.x86_64'
const next = '5.14.0-570.12.1.el9_6.x86_64'
const module = (version: string, signer = 'ELRepo.org Secure Boot Key', kernel = running) => ({
  path: `/lib/modules/${kernel}/weak-updates/drbd9x/drbd.ko`,
  version,
  signer,
})

const good: ModuleFacts = {
  versions: { module: '9.3.3', tools: '9.34.0' },
  loaded: '9.3.3',
  onDisk: module('9.3.3'),
  kernel: running,
  nextKernel: running,
  onNextDisk: module('9.3.3'),
  signaturesRequired: false,
  hasVolumes: false,
  wanted: undefined,
  offered: '',
  unset: [],
}
const of = (facts: Partial<ModuleFacts>): readonly Finding[] => findings({ ...good, ...facts })
const kinds = (facts: Partial<ModuleFacts>): readonly string[] => of(facts).map(({ kind }) => kind)
const hintOf = (finding: Finding): string => ('hint' in finding ? (finding.hint ?? '') : '')
const only = (facts: Partial<ModuleFacts>): Finding => {
  const [one, ...others] = of(facts)
  assert.ok(one !== undefined && others.length === 0, JSON.stringify([one, ...others]))
  return one
}

test('a host with a good module says nothing', () => {
  assert.deepEqual(of({}), [])
  assert.deepEqual(of({ hasVolumes: true }), [])
})

suite('a host without mirrored volumes', () => {
  test('gets tools and module', () => {
    const found = of({ versions: undefined, loaded: '', onDisk: undefined, onNextDisk: undefined })
    assert.deepEqual(
      found.map(({ kind, reason }) => `${kind}: ${reason}`),
      ['change: drbd-utils are not installed', `change: the running kernel ${running} has no DRBD 9`],
    )
  })

  test("gets DRBD 9 in place of the kernel's own", () => {
    for (const facts of [{ loaded: '8.4.11' }, { loaded: '' }]) {
      const finding = only({ ...facts, onDisk: module('8.4.11'), onNextDisk: module('8.4.11') })
      assert.equal(finding.kind, 'change')
      assert.match(finding.reason, /DRBD 8\.4\.11 only, which mirrors to one host and knows no quorum/)
    }
    assert.equal(only({ loaded: '8.4.11' }).reason, 'DRBD 8.4.11 is loaded; 9.3.3 is installed')
  })

  test('gets a newer module in place of one below the floor', () => {
    const finding = only({ loaded: '9.3.2', onDisk: module('9.3.2') })
    assert.equal(finding.kind, 'change')
    assert.match(finding.reason, /DRBD 9\.3\.2 is too old: at least 9\.2\.19 or 9\.3\.3 is needed/)
  })

  test('has a module loaded that is only installed', () => {
    assert.deepEqual(only({ loaded: '' }), { kind: 'change', reason: 'its module is not loaded', remedy: 'load' })
  })

  test('is stopped where the module could not be loaded: Secure Boot, not signed', () => {
    const finding = only({ loaded: '', onDisk: module('9.3.3', ''), signaturesRequired: true })
    assert.equal(finding.kind, 'blocked')
    assert.match(finding.reason, /Secure Boot/)
    assert.match(hintOf(finding), /mokutil --import/)
  })

  test('installs the kernel that is asked for, then waits for the reboot, and then is done', () => {
    const wanted = { pattern: '5.14.0-570.12.1.el9_6', installed: undefined }
    const before = { loaded: '', onDisk: undefined, onNextDisk: undefined, versions: undefined }
    assert.ok(of({ ...before, wanted }).some(({ kind, reason }) => kind === 'change' && reason === 'kernel 5.14.0-570.12.1.el9_6 is not installed'))
    const installed = { ...wanted, installed: next }
    const notNext = of({ ...before, versions: good.versions, wanted: installed })
    assert.deepEqual(notNext, [{ kind: 'change', reason: `${next} is not the kernel that boots next`, remedy: 'kernel' }])
    const pending = { ...before, versions: good.versions, wanted: installed, nextKernel: next }
    const withoutModule = only(pending)
    assert.deepEqual([withoutModule.kind, withoutModule.reason], ['change', `kernel ${next} boots next and has no DRBD`])
    const ready = only({ ...pending, onNextDisk: module('9.3.3', 'some key', next) })
    assert.equal(ready.kind, 'blocked')
    assert.match(hintOf(ready), /reboot the hosts one after the other/)
    assert.deepEqual(of({ kernel: next, nextKernel: next }), [])
  })

  test('goes on with the running kernel where that has DRBD, and tells of the reboot', () => {
    const finding = only({ wanted: { pattern: '5.14.0-570*', installed: next }, nextKernel: next, onNextDisk: module('9.3.3', 'key', next) })
    assert.deepEqual([finding.kind, finding.reason], ['notice', `runs ${running}; ${next} boots next`])
  })
})

suite('a host that has mirrored volumes', () => {
  const live = { hasVolumes: true, loaded: '9.3.2', onDisk: module('9.3.2'), onNextDisk: module('9.3.2') }

  test('goes on with a module below the floor, and tells it', () => {
    const finding = only(live)
    assert.equal(finding.kind, 'notice')
    assert.match(finding.reason, /DRBD 9\.3\.2 is too old.*No new volume is made with it/)
    assert.match(hintOf(finding), /hive_drbd_download_url/)
  })

  test('is not changed by an archive of the same version, and is by a better one', () => {
    assert.deepEqual(kinds({ ...live, offered: '9.3.2' }), ['notice'])
    assert.deepEqual(kinds({ ...live, loaded: '9.3.0', offered: '9.3.1' }), ['notice'])
    assert.deepEqual(kinds({ ...live, offered: '9.3.4' }), ['change'])
  })

  test('keeps the loaded module until the next reboot', () => {
    const finding = only({ ...live, onDisk: module('9.3.4') })
    assert.deepEqual([finding.kind, finding.reason], ['notice', 'DRBD 9.3.2 runs until the next reboot; 9.3.4 is installed'])
    assert.deepEqual(only({ hasVolumes: true, onDisk: module('9.3.4') }), {
      kind: 'notice',
      reason: 'DRBD 9.3.4 is installed; 9.3.3 runs until the next reboot',
    })
  })

  test('tells of a kernel that boots next without the module', () => {
    for (const onNextDisk of [undefined, module('8.4.11', '', next)]) {
      const finding = only({ hasVolumes: true, nextKernel: next, onNextDisk })
      assert.equal(finding.kind, 'notice')
      assert.match(finding.reason, /boots next and has .*: volumes would not come up/)
      assert.match(hintOf(finding), new RegExp(`grubby --set-default /boot/vmlinuz-${running}`))
    }
    const older = only({ hasVolumes: true, nextKernel: next, onNextDisk: module('9.3.2', '', next) })
    assert.deepEqual([older.kind, older.reason], ['notice', `kernel ${next} boots next and has DRBD 9.3.2, which is too old`])
    assert.deepEqual(of({ hasVolumes: true, nextKernel: next, onNextDisk: module('9.3.3', 'key', next) }), [])
    const unsigned = only({ hasVolumes: true, nextKernel: next, onNextDisk: module('9.3.3', '', next), signaturesRequired: true })
    assert.deepEqual([unsigned.kind, /not signed/.test(unsigned.reason)], ['notice', true])
  })

  test('with the same old module for the next kernel it is told once', () => {
    const both = { ...live, nextKernel: next, onNextDisk: module('9.3.2', '', next) }
    for (const wanted of [undefined, { pattern: next, installed: next }]) assert.deepEqual(kinds({ ...both, wanted }), ['notice'])
  })

  test('has its old module loaded where it is not, and not replaced', () => {
    assert.deepEqual(
      of({ ...live, loaded: '' }).map((one) => (one.kind === 'change' ? one.remedy : one.kind)),
      ['notice', 'load'],
    )
  })

  test('whatever its DRBD is like, no deploy is stopped', () => {
    const version = fc.constantFrom('', '8.4.11', '9.1.23', '9.2.19', '9.3.2', '9.3.3', '9.4.0')
    const onDisk = fc.option(fc.record({ path: fc.constant('/lib/drbd.ko'), version, signer: fc.constantFrom('', 'key') }), { nil: undefined })
    const facts: fc.Arbitrary<ModuleFacts> = fc.record({
      versions: fc.option(fc.record({ module: version, tools: fc.constantFrom('', '9.34.0') }), { nil: undefined }),
      loaded: version,
      onDisk,
      kernel: fc.constant(running),
      nextKernel: fc.constantFrom(undefined, running, next),
      onNextDisk: onDisk,
      signaturesRequired: fc.boolean(),
      hasVolumes: fc.constant(true),
      wanted: fc.constantFrom(undefined, { pattern: 'x', installed: undefined }, { pattern: 'x', installed: next }),
      offered: version,
      unset: fc.constantFrom([], ['not held: kernel*']),
    })
    fc.assert(fc.property(facts, (one) => assert.ok(findings(one).every(({ kind }) => kind !== 'blocked'))))
  })
})

test('files and holds that are not as they should be are put right', () => {
  assert.deepEqual(of({ unset: ['not held: kernel*'] }), [{ kind: 'change', reason: 'not held: kernel*', remedy: 'settings' }])
})

suite('a module that does not load', () => {
  // Words of kmod's modprobe with the kernel's errno, from reports of users of DRBD.
  const failures: readonly (readonly [string, RegExp, RegExp])[] = [
    ["modprobe: ERROR: could not insert 'drbd': Required key not available", /refuses .* signed with Key/, /ELRepo/],
    ["modprobe: ERROR: could not insert 'drbd': Key was rejected by service", /refuses/, /mokutil --import/],
    ["modprobe: ERROR: could not insert 'drbd': Exec format error", /not for the running kernel/, /made for this kernel/],
    ["modprobe: ERROR: could not insert 'drbd': Unknown symbol in module, or unknown parameter (see dmesg)", /not for the running kernel/, /symbol/],
    ['modprobe: FATAL: Module drbd not found in directory /lib/modules/6.1.0-28-amd64', /has no module drbd/, /hive_drbd_download_url/],
    ['modprobe: ERROR: something else', /can't be loaded: modprobe: ERROR: something else/, /journalctl -k/],
  ]
  for (const [said, reason, hint] of failures)
    test(said, () => {
      const failure = loadFailure(`${said}\n`, module('9.3.3', 'Key'))
      assert.match(failure.reason, reason)
      assert.match(failure.hint, hint)
    })

  test('one that is not signed has no key to enrol', () => {
    const { reason, hint } = loadFailure("modprobe: ERROR: could not insert 'drbd': Required key not available", module('9.3.3', ''))
    assert.match(reason, /not signed/)
    assert.doesNotMatch(hint, /mokutil/)
  })
})

test('a module serves the volumes that there are where it is no older than what is loaded, or good enough, and may be loaded', () => {
  assert.ok(serves(module('9.3.3'), '', false))
  assert.ok(serves(module('9.3.3'), '9.3.4', false))
  assert.ok(serves(module('9.2.10'), '9.2.10', true))
  assert.ok(!serves(module('9.2.9'), '9.2.10', false))
  assert.ok(!serves(module('9.2.10'), '', false))
  assert.ok(!serves(module('8.4.11'), '8.4.11', false))
  assert.ok(!serves(undefined, '9.3.3', false))
  assert.deepEqual([serves(module('9.3.3', ''), '9.3.3', false), serves(module('9.3.3', ''), '9.3.3', true)], [true, false])
})
