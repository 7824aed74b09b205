import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import { parseStatus } from '../../../agent/adapters/drbd/status.ts'
import type { Holder } from '../../../agent/adapters/mounts.ts'
import { doubtsOf, resultOf } from '../../../agent/server/drbd/carry-out.ts'
import { type Asked, decideOperation, type Facts, type Work } from '../../../agent/server/drbd/decide-operation.ts'
import { snapshotName } from '../../../agent/server/drbd/keep-snapshot.ts'
import { quorumAfter } from '../../../proto/drbd-quorum.ts'
import { HiveError } from '../../../proto/errors.ts'

const fixtures = new URL('../../fixtures/drbd9/', import.meta.url).pathname
function recorded(path: string): DrbdResourceStatus {
  const found = parseStatus(readFileSync(`${fixtures}${path}/drbdsetup-status-R.json`, 'utf8'))[0]
  assert.ok(found !== undefined)
  return found
}
const facts = (path: string | undefined, more: Partial<Facts> = {}): Facts => ({
  status: path === undefined ? undefined : recorded(path),
  holders: [],
  pending: [],
  config: ['-c', '/etc/drbd.d/hive/hive.conf'],
  ...more,
})
const asked = (verb: Asked['verb'], more: Partial<Asked> = {}): Asked => ({ verb, name: 'hive', host: 's-hive0', ...more })
const reader: Holder = { kind: 'open', pid: 4048, command: 'bash', what: '/dev/drbd1' }
const mount: Holder = { kind: 'mount', pid: 1, command: 'systemd', what: '/mnt/v' }

function worked(what: Asked, given: Facts): Work {
  const decision = decideOperation(what, given)
  assert.ok(decision.kind === 'work', JSON.stringify(decision))
  return decision
}
const commandsOf = (what: Asked, given: Facts): string[] => worked(what, given).commands.map((argv) => argv.join(' '))
const refused = (what: Asked, given: Facts, message: RegExp): void => {
  assert.throws(
    () => decideOperation(what, given),
    (error: unknown) => error instanceof HiveError && error.code === 'blocked' && message.test(error.message),
  )
}

describe('down', () => {
  it('is refused while somebody holds the device, a reader of a Secondary, too: it would fail with the connections gone', () => {
    refused(asked('down'), facts('06-after-new-current-uuid/s-hive0', { holders: [reader] }), /in use on this host: bash/)
    refused(asked('down'), facts('07-primary-mounted-autopromote/s-hive0', { holders: [mount] }), /mounted at \/mnt\/v/)
  })

  it('is refused where the kernel says that it is open, and nobody is seen', () => {
    const status = recorded('06-after-new-current-uuid/s-hive0')
    const open = { ...status, devices: status.devices.map((device) => ({ ...device, open: true })) }
    refused(asked('down'), { ...facts(undefined), status: open }, /not visible/)
  })

  it('demotes an idle Primary first, and has nothing to do where it is not up', () => {
    assert.deepEqual(commandsOf(asked('down'), facts('09d-primary-explicit/s-hive0/explicit-primary-not-mounted')), [
      'drbdsetup secondary hive',
      'drbdsetup down hive',
    ])
    assert.equal(decideOperation(asked('down'), facts(undefined)).kind, 'nothing')
  })

  it('raises its effect on the quorum as a doubt', () => {
    const status = recorded('13-primary-killed/s-hive2/promoted-on-s-hive1')
    const work = worked(asked('down', { host: 's-hive2' }), { ...facts(undefined), status })
    const views = [
      { host: 's-hive2', status },
      { host: 's-hive1', status: recorded('13-primary-killed/s-hive1/promoted-on-s-hive1') },
    ]
    assert.match(doubtsOf(work, quorumAfter(views, work.operation)).join(), /s-hive1, which is Primary, would see 1 of 3 voters and needs 2/)
  })
})

describe('connections', () => {
  it('are made to one peer that is StandAlone, and to no other', () => {
    const standAlone = facts('14x-standalone-without-split-brain/s-hive2')
    assert.deepEqual(commandsOf(asked('connect', { peer: 's-hive0' }), standAlone), ['drbdsetup connect hive 0'])
    assert.deepEqual(decideOperation(asked('connect', { peer: 's-hive1.pdns' }), standAlone), { kind: 'nothing', reason: 's-hive1.pdns is Connected' })
    assert.throws(() => decideOperation(asked('connect', { peer: 's-hive9' }), standAlone), /has no peer s-hive9 here/)
  })

  it('that take nothing away raise no doubt, whatever the quorum is', () => {
    const status = recorded('27-primary-isolated-quorum/s-hive0/old-primary-unmounted')
    const work = worked(asked('connect', { peer: 's-hive1' }), { ...facts(undefined), status })
    const effect = quorumAfter([{ host: 's-hive0', status }], work.operation)
    assert.notEqual(effect.verdict, 'safe')
    assert.deepEqual(doubtsOf(work, effect), [])
  })
})

describe('discarding', () => {
  it('disconnects the whole resource first, leaving out what is StandAlone, and keeps a snapshot', () => {
    const work = worked(asked('discard'), facts('17-split-brain/s-hive0'))
    assert.deepEqual(
      work.commands.map((argv) => argv.join(' ')),
      ['drbdsetup disconnect hive 2', 'drbdsetup connect hive 1 --discard-my-data', 'drbdsetup connect hive 2 --discard-my-data'],
    )
    assert.equal(work.snapshot, true)
    assert.ok(work.doubts.length > 0)
    assert.equal(worked(asked('discard', { withoutSnapshot: true }), facts('17-split-brain/s-hive0')).snapshot, false)
  })

  it('is refused on a Primary, and where no other copy is known', () => {
    refused(asked('discard'), facts('17b-split-brain-both-primary/s-hive0'), /DRBD discards nothing of a Primary/)
    refused(asked('invalidate'), facts('07-primary-mounted-autopromote/s-hive0'), /is Primary here/)
    refused(asked('invalidate'), facts('15-quorum-lost/s-hive0/after-umount'), /no connected host has an UpToDate copy/)
    refused(asked('invalidate'), facts('19-diskless-tiebreaker/s-hive2'), /has no copy/)
    assert.deepEqual(commandsOf(asked('invalidate'), facts('06-after-new-current-uuid/s-hive0')), ['drbdsetup invalidate 1'])
  })

  it('names snapshots by date, in what LVM takes for a name', () => {
    assert.equal(snapshotName('web', new Date('2026-11-22T08:19:30.174Z')), 'web-20261122T081930Z')
  })
})

describe('roles', () => {
  it('are forced only with a doubt, and not changed where they are so', () => {
    assert.deepEqual(decideOperation(asked('primary'), facts('07-primary-mounted-autopromote/s-hive0')), { kind: 'nothing', reason: 'is Primary' })
    assert.deepEqual(commandsOf(asked('primary'), facts('06-after-new-current-uuid/s-hive0')), ['drbdsetup primary hive'])
    const forced = worked(asked('primary', { force: true }), facts('15-quorum-lost/s-hive0/after-umount'))
    assert.deepEqual([forced.commands.at(-1)?.join(' '), forced.operation.kind], ['drbdsetup primary hive --force', 'force-primary'])
    assert.ok(forced.doubts.length > 0)
  })

  it('name who holds the device open', () => {
    const held = facts('07-primary-mounted-autopromote/s-hive0', { holders: [mount] })
    refused(asked('secondary'), held, /mounted at \/mnt\/v/)
    assert.match(worked(asked('secondary', { force: true }), held).doubts[0] ?? '', /I\/O errors: mounted at \/mnt\/v/)
  })
})

describe('adjust', () => {
  it('has nothing to do where nothing differs, and doubts what takes something away', () => {
    const path = '07-primary-mounted-autopromote/s-hive0'
    assert.equal(decideOperation(asked('adjust'), facts(path)).kind, 'nothing')
    assert.deepEqual(worked(asked('adjust'), facts(path, { pending: ['drbdsetup connect hive 0'] })).doubts, [])
    assert.deepEqual(worked(asked('adjust'), facts(path, { pending: ['drbdsetup detach --diskless 1'] })).doubts, [
      'it would run: drbdsetup detach --diskless 1',
    ])
    assert.deepEqual(commandsOf(asked('up'), facts(undefined)), ['drbdadm -c /etc/drbd.d/hive/hive.conf adjust hive'])
  })
})

describe('size', () => {
  it('is changed only with all disks connected, and an unchanged one is told', () => {
    refused(asked('resize'), facts('13-primary-killed/s-hive1'), /s-hive0.pdns is Connecting/)
    const same = recorded('23-online-grow/s-hive0/only-one-grown')
    assert.match(resultOf(asked('resize'), same, same), /as before: the smallest disk decides/)
    assert.match(resultOf(asked('resize'), same, recorded('23-online-grow/s-hive0/settled')), /^\d+ KiB → \d+ KiB/)
  })
})

it('a peer that is Connected is not forgotten', () => {
  refused(asked('forget-peer', { peer: 's-hive1' }), facts('07-primary-mounted-autopromote/s-hive0'), /is Connected/)
  assert.deepEqual(commandsOf(asked('forget-peer', { peer: 's-hive2' }), facts('21-replaced-node/s-hive0/up-without-md')), [
    'drbdsetup disconnect hive 2',
    'drbdsetup del-peer hive 2',
    'drbdsetup forget-peer hive 2',
  ])
})
