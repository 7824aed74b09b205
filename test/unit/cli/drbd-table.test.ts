import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { parseStatus } from '../../../agent/adapters/drbd/status.ts'
import { changeLine } from '../../../cli/commands/drbd.ts'
import { type HostStatus, kib, membersOf, viewsOf, volumeDetails, volumeTable } from '../../../cli/commands/drbd-table.ts'

const fixtures = new URL('../../fixtures/drbd9/', import.meta.url).pathname
const hosts = (state: string, names: readonly string[], sub = ''): HostStatus[] =>
  names.map((host) => ({ host: `${host}.pdns`, resources: parseStatus(readFileSync(`${fixtures}${state}/${host}/${sub}drbdsetup-status-R.json`, 'utf8')) }))
const lines = (text: string): string[] => stripVTControlCharacters(text).split('\n')
const away: HostStatus = { host: 's-hive0.pdns', resources: undefined }

describe('the table of mirrored volumes', () => {
  it('shows who is Primary, disks, broken connections and who does not answer', () => {
    const [head, row] = lines(volumeTable([away, ...hosts('13-primary-killed', ['s-hive1', 's-hive2'], 'promoted-on-s-hive1/')], []))
    assert.match(head ?? '', /^volume +minor +size +primary +s-hive0 +s-hive1 +s-hive2 +out of sync +quorum$/)
    assert.match(row ?? '', /^hive +1 +256 MiB +s-hive1 +no answer +UpToDate s-hive0:Connecting +UpToDate s-hive0:Connecting .* yes$/)
    assert.equal(head?.indexOf('s-hive1'), row?.indexOf('UpToDate'))
  })

  it('shows both Primaries of a split brain, the lost quorum, and a diskless host', () => {
    assert.match(lines(volumeTable(hosts('17b-split-brain-both-primary', ['s-hive0', 's-hive1', 's-hive2']), []))[1] ?? '', /s-hive0 and s-hive1/)
    assert.match(lines(volumeTable(hosts('15-quorum-lost', ['s-hive0']), []))[1] ?? '', /not on s-hive0$/)
    assert.match(lines(volumeTable(hosts('19-diskless-tiebreaker', ['s-hive0', 's-hive1', 's-hive2']), []))[1] ?? '', / diskless /)
    assert.equal(volumeTable([{ host: 'a', resources: [] }], []), 'there are no mirrored volumes')
    assert.equal(volumeTable([away], ['web']), 'no host answers')
    assert.match(lines(volumeTable([away, { host: 'a', resources: [] }], ['web']))[1] ?? '', /^web +none +no answer +- +$/)
  })

  it('shows how far a resync is', () => {
    assert.match(lines(volumeTable(hosts('11-resync-running', ['s-hive0', 's-hive1', 's-hive2']), []))[1] ?? '', /s-hive\d:Sync(Source|Target) \d+\.\d %/)
    assert.match(lines(volumeDetails('hive', hosts('22-verify', ['s-hive0'], 'running/'))).join('\n'), /VerifyS 0\.3 % 1\.56 MiB\/s 240 MiB out of sync/)
  })

  it('gives a size in the unit that suits it', () => {
    assert.deepEqual([0, 1023, 1024, 262_052, 1_572_864].map(kib), ['0 KiB', '1023 KiB', '1 MiB', '256 MiB', '1.5 GiB'])
  })
})

it('hosts without the volume that nobody names are no members; hosts that do not answer are not heard', () => {
  const all = [
    ...hosts('07-primary-mounted-autopromote', ['s-hive0', 's-hive1']),
    { host: 's-hive2', resources: [] },
    { host: 'other', resources: [] },
    { host: 'gone', resources: undefined },
  ]
  assert.deepEqual(
    membersOf('hive', all).map(({ host }) => host),
    ['s-hive0.pdns', 's-hive1.pdns', 's-hive2', 'gone'],
  )
  assert.deepEqual(
    viewsOf('hive', all).map(({ host, status }) => [host, status?.role]),
    [
      ['s-hive0.pdns', 'Primary'],
      ['s-hive1.pdns', 'Secondary'],
      ['s-hive2', undefined],
      ['other', undefined],
    ],
  )
})

it('an event is one line', () => {
  const at = new Date('2026-11-22T08:19:30.174Z')
  const change = {
    at,
    resource: 'web',
    verb: 'change',
    object: 'connection',
    peer: 'hive0.site',
    volume: 0,
    helper: '',
    changes: [{ key: 'connection', before: 'Connected', after: 'NetworkFailure' }],
  }
  assert.deepEqual(lines(changeLine('hive1.site', change)), ['2026-11-22T08:19:30.174Z hive1 web → hive0 connection Connected → NetworkFailure'])
})
