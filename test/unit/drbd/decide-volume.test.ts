import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import type { EnsureDrbdVolume } from '#gen/hive/v1/steps_storage.ts'
import { type Generation, justCreated, parseGenerations } from '../../../agent/adapters/drbd/metadata.ts'
import { decideVolume, type VolumeDecision, type VolumeFacts } from '../../../agent/steps/drbd/decide-volume.ts'
import { recordedStatus, recordedText } from './support/recorded.ts'

const mib = 2n ** 20n
const hosts = ['s-hive0.pdns', 's-hive1.pdns', 's-hive2.pdns']
const spec = (changes: Partial<EnsureDrbdVolume> = {}): EnsureDrbdVolume => ({
  name: 'hive',
  minor: 1,
  fstype: 'ext4',
  sizeBytes: 256n * mib,
  diskful: hosts,
  noFormat: false,
  thin: true,
  volumeGroup: 'drbdvg',
  ...changes,
})
const nothing: VolumeFacts = {
  status: undefined,
  diskBytes: 256n * mib,
  generations: [],
  fileSystem: undefined,
  empty: false,
  begun: false,
  halfMade: false,
  maxPeers: undefined,
}
const fresh: VolumeFacts = {
  ...nothing,
  status: recordedStatus('05-created-inconsistent/s-hive0'),
  generations: parseGenerations(recordedText('05-created-inconsistent/s-hive0/get-gi.txt')),
  empty: true,
}
const used: VolumeFacts = { ...nothing, status: recordedStatus('06-after-new-current-uuid/s-hive0'), fileSystem: { type: 'ext4', sizeBytes: 262052n * 1024n } }
const decide = (facts: VolumeFacts, changes: Partial<EnsureDrbdVolume> = {}, host = 's-hive0.pdns'): VolumeDecision => decideVolume(spec(changes), host, facts)
const reason = (decision: VolumeDecision): string =>
  decision.kind === 'blocked' || decision.kind === 'wait' ? `${decision.kind}: ${decision.reason}` : decision.kind

describe('the first generation', () => {
  test('is made where every disk is connected and new; thick disks are copied', () => {
    assert.deepEqual(decide(fresh), { kind: 'first-generation', how: 'clear-bitmap' })
    assert.deepEqual(decide(fresh, { thin: false }), { kind: 'first-generation', how: 'copy' })
  })

  test('waits for a host that is not connected, and for one that is to hold a disk and has none yet', () => {
    const { status } = fresh
    assert.ok(status !== undefined)
    const [first, ...rest] = status.connections
    assert.ok(first !== undefined)
    const apart = { ...status, connections: [{ ...first, state: 'Connecting' }, ...rest] }
    assert.match(reason(decide({ ...fresh, status: apart })), /^wait: s-hive1.pdns is not connected/)
    const peerDevices = first.peerDevices.map((device) => ({ ...device, peerDiskState: 'Diskless' }))
    assert.match(
      reason(decide({ ...fresh, status: { ...status, connections: [{ ...first, peerDevices }, ...rest] } })),
      /^wait: the disk of s-hive1.pdns is Diskless/,
    )
    assert.match(reason(decide({ ...fresh, status: { ...status, connections: rest } })), /^wait: s-hive1.pdns is not in the resource/)
  })

  test('waits where a host that is to hold none still has one', () => {
    assert.match(reason(decide(fresh, { diskful: hosts.slice(0, 2) })), /^wait: s-hive2.pdns still has a disk/)
  })

  test('is not made over a disk that holds something, that had data, or where it is forbidden', () => {
    assert.match(reason(decide({ ...fresh, empty: false })), /^blocked: .*holds something/)
    assert.match(reason(decide({ ...fresh, generations: [{ current: '98C3EE38DBFE0D1E', withoutHistory: true }] })), /^blocked: no disk .* is valid/)
    assert.match(reason(decide({ ...fresh, generations: [] })), /^blocked: no disk/)
    assert.match(reason(decide(fresh, { noFormat: true })), /^blocked: .*no_format/)
  })

  test('is not made on a replaced disk: it is filled from the others', () => {
    const status = recordedStatus('21-replaced-node/s-hive2/full-resync-running')
    assert.match(reason(decide({ ...fresh, status }, {}, 's-hive2.pdns')), /^wait: this disk is filled from/)
  })
})

describe('a volume with data', () => {
  test('is taken as it is, whatever its generation', () => {
    assert.deepEqual(decide(used), { kind: 'ok' })
    assert.deepEqual(decide(used, { noFormat: true }), { kind: 'ok' })
    assert.deepEqual(decide({ ...used, fileSystem: undefined }, { noFormat: true }), { kind: 'ok' })
  })

  test('gets its file system where this host began it, and that is all', () => {
    const begun = { ...used, fileSystem: undefined, begun: true, empty: true }
    assert.deepEqual(decide(begun), { kind: 'format', again: false })
    assert.deepEqual(decide({ ...used, begun: true }), { kind: 'finish' })
    assert.deepEqual(decide({ ...begun, empty: false, halfMade: true }), { kind: 'format', again: true })
    assert.match(reason(decide({ ...begun, empty: false })), /^blocked: .*not.*ext4|^blocked: .*no ext4/)
    assert.match(reason(decide({ ...begun, begun: false })), /^blocked: .*not made by this host/)
    assert.match(reason(decide(begun, { noFormat: true })), /^blocked: .*no_format/)
  })

  test('with another file system than asked for is not formatted', () => {
    assert.match(reason(decide({ ...used, fileSystem: { type: 'xfs', sizeBytes: 1n } })), /^blocked: hive holds xfs/)
    assert.match(reason(decide({ ...used, begun: true, fileSystem: { type: 'xfs', sizeBytes: 1n } })), /^blocked: hive holds xfs/)
  })

  test('grows when its disks have, and only as far as they', () => {
    const grown = { ...used, diskBytes: 320n * mib, maxPeers: 7 }
    assert.deepEqual(decide(grown, { sizeBytes: 320n * mib }), { kind: 'resize', toKib: 327572n })
    assert.deepEqual(decide({ ...grown, diskBytes: 256n * mib }, { sizeBytes: 320n * mib }), { kind: 'ok' })
    assert.deepEqual(decide(grown), { kind: 'ok' })
  })

  test('does not grow while a host with a disk is away or behind', () => {
    const status = {
      ...used.status,
      connections: used.status?.connections.map((one, index) => (index === 0 ? { ...one, state: 'Connecting' } : one)),
    } as DrbdResourceStatus
    assert.match(reason(decide({ ...used, status, diskBytes: 320n * mib, maxPeers: 7 }, { sizeBytes: 320n * mib })), /^wait: hive grows when s-hive1.pdns/)
  })

  test('its file system grows where it is mounted, or here when it is mounted nowhere', () => {
    const status = recordedStatus('23-online-grow/s-hive0/settled')
    const short: VolumeFacts = { ...used, status, diskBytes: 320n * mib }
    assert.equal(status.role, 'Primary')
    assert.deepEqual(decide(short, { sizeBytes: 320n * mib }), { kind: 'grow-file-system', mounted: true })
    assert.deepEqual(decide({ ...short, status: { ...status, role: 'Secondary' } }, { sizeBytes: 320n * mib }), { kind: 'grow-file-system', mounted: false })
    assert.deepEqual(decide({ ...short, status: recordedStatus('23-online-grow/s-hive2/settled') }, { sizeBytes: 320n * mib }, 's-hive2.pdns'), { kind: 'ok' })
  })

  test('that has another minor is not renumbered', () => {
    assert.match(reason(decide(used, { minor: 2 })), /^blocked: .*never changes|^blocked: hive is \/dev\/drbd1/)
  })
})

describe('whatever is found', () => {
  const states = ['UpToDate', 'Inconsistent', 'Outdated', 'Consistent', 'Diskless', 'Failed', 'DUnknown', 'Negotiating']
  // Mostly near to where something is made, so that those ways are taken often.
  const mostly = <T>(value: T, ...others: T[]): fc.Arbitrary<T> =>
    fc.oneof({ arbitrary: fc.constant(value), weight: 12 }, { arbitrary: fc.constantFrom(...others), weight: 1 })
  const statusOf = (own: string, all: DrbdResourceStatus): fc.Arbitrary<DrbdResourceStatus> =>
    fc
      .tuple(
        mostly(own, ...states),
        mostly('Secondary', 'Primary'),
        mostly(1, 2),
        fc.tuple(
          ...all.connections.map((connection) =>
            fc.record({
              state: mostly('Connected', 'Connecting', 'StandAlone'),
              peerRole: mostly('Secondary', 'Primary', 'Unknown'),
              peerDiskState: mostly(own, ...states),
              replicationState: mostly('Established', 'Off', 'SyncTarget', 'SyncSource'),
              name: fc.constant(connection.name),
            }),
          ),
        ),
      )
      .map(([diskState, role, minor, peers]) => ({
        ...all,
        role,
        devices: all.devices.map((device) => ({ ...device, diskState, minor })),
        connections: all.connections.map((connection, index) => {
          const changed = peers[index]
          if (changed === undefined) return connection
          const { state, peerRole, peerDiskState, replicationState } = changed
          return { ...connection, state, peerRole, peerDevices: connection.peerDevices.map((device) => ({ ...device, peerDiskState, replicationState })) }
        }),
      }))
  const generation: fc.Arbitrary<Generation> = fc.record({
    current: mostly(justCreated, '98C3EE38DBFE0D1E', '0000000000000000'),
    withoutHistory: mostly(true, false),
  })
  const facts: fc.Arbitrary<VolumeFacts> = fc.constantFrom(fresh, used).chain((base) =>
    fc.record({
      status: statusOf(base.status?.devices[0]?.diskState ?? '', base.status as DrbdResourceStatus),
      diskBytes: fc.constantFrom(undefined, 256n * mib, 320n * mib),
      generations: fc.array(generation, { maxLength: 2 }),
      fileSystem: mostly<VolumeFacts['fileSystem']>(undefined, { type: 'ext4', sizeBytes: 1n }, { type: 'xfs', sizeBytes: 1n }),
      empty: mostly(true, false),
      begun: fc.boolean(),
      halfMade: fc.boolean(),
      maxPeers: fc.constantFrom(undefined, 7),
    }),
  )
  const wanted = fc.record({
    noFormat: fc.boolean(),
    thin: fc.boolean(),
    sizeBytes: fc.constantFrom(256n * mib, 320n * mib),
    diskful: mostly(hosts, hosts.slice(0, 2)),
  })

  const check = (kind: VolumeDecision['kind'], holds: (facts: VolumeFacts, wanted: EnsureDrbdVolume, decision: VolumeDecision) => void): void => {
    let met = 0
    fc.assert(
      fc.property(facts, wanted, (seen, changes) => {
        const asked = spec(changes)
        const decision = decideVolume(asked, 's-hive0.pdns', seen)
        if (decision.kind !== kind) return
        met++
        holds(seen, asked, decision)
      }),
      { numRuns: 5_000 },
    )
    assert.ok(met > 20, `${kind} came about ${met} times`)
  }
  const peerStates = ({ status }: VolumeFacts): string[] =>
    (status?.connections ?? []).flatMap(({ peerDevices }) => peerDevices.map(({ peerDiskState }) => peerDiskState))

  test('nothing is declared valid where any disk holds data, is away, or was not made just now', () => {
    check('first-generation', (seen, asked) => {
      assert.equal(seen.status?.devices[0]?.diskState, 'Inconsistent')
      for (const connection of seen.status?.connections ?? []) {
        assert.equal(connection.state, 'Connected')
        const [peer] = connection.peerDevices
        if (asked.diskful.includes(connection.name)) assert.deepEqual([peer?.peerDiskState, peer?.replicationState], ['Inconsistent', 'Established'])
        else assert.equal(peer?.peerDiskState, 'Diskless')
      }
      assert.ok(seen.generations.length > 0 && seen.generations.every(({ current, withoutHistory }) => current === justCreated && withoutHistory))
      assert.ok(seen.empty && !asked.noFormat)
    })
  })

  test('nothing is formatted but what this host has just made and nobody uses', () => {
    check('format', (seen, asked, decision) => {
      assert.ok(seen.begun && seen.fileSystem === undefined && !asked.noFormat)
      assert.equal(seen.status?.devices[0]?.diskState, 'UpToDate')
      assert.ok(seen.empty || seen.halfMade)
      if (decision.kind === 'format' && decision.again) assert.ok(seen.halfMade && seen.status?.role === 'Secondary')
    })
  })

  test('a device grows only with every disk connected and up to date', () => {
    check('resize', (seen, asked) => {
      assert.ok(asked.diskful.length < 3 || peerStates(seen).every((state) => state === 'UpToDate'))
    })
  })

  test('where this host holds good data that it did not begin, nothing is made', () => {
    fc.assert(
      fc.property(facts, wanted, (seen, changes) => {
        if (seen.begun || seen.status?.devices[0]?.diskState !== 'UpToDate') return
        const { kind } = decideVolume(spec(changes), 's-hive0.pdns', seen)
        assert.ok(kind !== 'format' && kind !== 'first-generation')
      }),
      { numRuns: 2_000 },
    )
  })

  test('a minor is not changed', () => {
    fc.assert(
      fc.property(facts, wanted, (seen, changes) => {
        if (seen.status?.devices[0]?.minor !== 1) assert.equal(decideVolume(spec(changes), 's-hive0.pdns', seen).kind, 'blocked')
      }),
    )
  })
})
