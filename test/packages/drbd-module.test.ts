/** The step for DRBD's module from a new host to a live one, with a real dnf; the module itself and what loads it are stand-ins. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { before, suite, test } from 'node:test'
import type { CheckOutcome } from '../../agent/steps/executor.ts'
import type { Seen } from './guest/drbd-module.ts'
import { runInDnfRoot } from './harness/dnf-root.ts'

suite("the step for DRBD's module", () => {
  let seen: Seen
  const kernel = readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim()

  before(async () => {
    seen = JSON.parse(await runInDnfRoot('test/packages/guest/drbd-module.ts', AbortSignal.timeout(600_000))) as Seen
  })

  const reason = (outcome: CheckOutcome): string => (outcome.kind === 'ok' ? '' : outcome.reason)
  const notices = (outcome: CheckOutcome): readonly string[] | undefined => (outcome.kind === 'ok' ? (outcome.notices ?? []) : undefined)

  test('a new host is not given a module below the floor', () => {
    assert.deepEqual(seen.tooOld, { code: 'blocked', message: 'hive_drbd_download_url: its DRBD 9.3.2 is too old' })
  })

  test('what a new host lacks is told', () => {
    assert.equal(
      reason(seen.before),
      `drbd-utils are not installed; the running kernel ${kernel} has no DRBD 9; /etc/modules-load.d/hive-drbd.conf is not as wanted; ` +
        '/etc/modprobe.d/hive-drbd.conf is not as wanted; not held: kernel*, kmod-drbd*',
    )
  })

  test('a kernel that refuses the module is told with the key, and what was done till then is kept', () => {
    assert.equal(seen.refused?.code, 'blocked')
    assert.match(seen.refused?.message ?? '', /refuses DRBD's module, which is signed with a key: .*Required key not available/)
    assert.deepEqual(seen.betweenTimes, { kind: 'change', reason: 'its module is not loaded', before: '', after: 'DRBD 9' })
  })

  test('applied again it is loaded, at the next boots too, and kept together with the kernel; then nothing is left to do', () => {
    assert.deepEqual(seen.after, { kind: 'ok' })
    assert.equal(seen.loadedVersion, '9.3.3')
    assert.deepEqual(seen.files, ['drbd\n', 'options drbd usermode_helper=disabled\n', '[main]\nexclude=kernel* kmod-drbd*\ngpgcheck=1\nbest=True\n'])
  })

  test('a live host with an older one has nothing to do, and is told', () => {
    assert.equal(seen.refusedLive, undefined)
    for (const outcome of [seen.live, seen.liveSameArchive, seen.liveSettled]) {
      const [notice, ...others] = notices(outcome) ?? []
      assert.match(notice ?? '', /DRBD 9\.3\.2 is too old.*hive_drbd_download_url/)
      assert.deepEqual(others, [])
    }
  })

  test('a live host takes a better archive, and runs on until its reboot', () => {
    assert.equal(seen.liveBefore.kind, 'change')
    const [notice, ...others] = notices(seen.liveAfter) ?? []
    assert.match(notice ?? '', /DRBD 9\.3\.2 runs until the next reboot; 9\.3\.4 is installed/)
    assert.deepEqual(others, [])
    assert.equal(seen.liveLoaded, '9.3.2')
  })
})
