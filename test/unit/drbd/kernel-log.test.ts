import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { lineOf, parseDmesg, parseJournal } from '../../../agent/adapters/drbd/kernel-log.ts'

describe('the kernel log of a resource', () => {
  it('is read from the journal, with times', () => {
    const text = [
      '-- Journal begins at Sun 2026-11-22 08:00:00 UTC. --',
      '1795335570.174306 s-hive1 kernel: drbd hive: Preparing cluster-wide state change',
      '',
    ].join('\n')
    assert.deepEqual(parseJournal(text), [{ at: new Date('2026-11-22T08:19:30.174Z'), message: 'drbd hive: Preparing cluster-wide state change' }])
    assert.deepEqual(parseJournal('-- No entries --'), [])
  })

  it("is read from the kernel's buffer", () => {
    assert.deepEqual(parseDmesg('2026-11-22T09:19:30,174306+01:00 drbd hive s-hive0.pdns: conn( Unconnected -> Connecting ) [connecting]\n'), [
      { at: new Date('2026-11-22T08:19:30.174Z'), message: 'drbd hive s-hive0.pdns: conn( Unconnected -> Connecting ) [connecting]' },
    ])
  })

  it('leaves out what tells of others', () => {
    const recorded = [
      'drbd hive: Preparing cluster-wide state change 1',
      'drbd hive s-hive0.pdns: Restarting receiver thread',
      'drbd hive/0 drbd1: sending new current UUID: FBDD7CAAA9B08FDF',
      'drbd hive/0 drbd1 s-hive1.pdns: Online verify found 7 4k blocks out of sync!',
    ]
    const others = ['drbd hive2: Preparing', 'drbd two/0 drbd2 hive: resync', 'drbd: initialized. Version: 9.3.3', 'EXT4-fs (drbd1): mounted filesystem']
    assert.deepEqual(
      [...recorded, ...others].filter((line) => lineOf('hive').test(line)),
      recorded,
    )
    assert.ok(!lineOf('h.ve').test(recorded[0] ?? ''))
  })
})
