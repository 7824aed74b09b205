import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import type { EnsureDrbdResource } from '#gen/hive/v1/steps_storage.ts'
import { decideResource, type FoundMetadata, type ResourceDecision, type ResourceFacts } from '../../../agent/steps/drbd/decide-resource.ts'
import { recordedStatus } from './support/recorded.ts'

const gib = 2n ** 30n
const hosts = ['s-hive0.pdns', 's-hive1.pdns', 's-hive2.pdns']
const spec = (changes: Partial<EnsureDrbdResource> = {}, diskless: readonly string[] = []): EnsureDrbdResource => ({
  name: 'hive',
  minor: 1,
  port: 7001,
  volumeGroup: 'drbdvg',
  thinPool: 'drbdpool',
  sizeBytes: gib,
  nodes: hosts.map((name, nodeId) => ({ name, address: `10.77.0.1${nodeId}`, nodeId, diskless: diskless.includes(name) })),
  maxPeers: 7,
  sharedSecret: 'secret',
  ...changes,
})
const settled: ResourceFacts = {
  disk: { sizeBytes: gib, thin: true, writtenBytes: gib / 2n },
  extentBytes: 2n ** 22n,
  status: recordedStatus('06-after-new-current-uuid/s-hive2'),
  attachedMaxPeers: undefined,
  metadata: { kind: 'not-read' },
  fileAsWanted: true,
  commands: [],
  unit: [],
  toForget: [],
}
const facts = (changes: Partial<ResourceFacts>): ResourceFacts => ({ ...settled, ...changes })
const decide = (changes: Partial<ResourceFacts> = {}, wanted = spec(), host = 's-hive2.pdns'): ResourceDecision => decideResource(wanted, host, facts(changes))
const nothing: FoundMetadata = { kind: 'none', signature: '', endsAreZero: true, madeHere: false }
const unused = { sizeBytes: gib, thin: true, writtenBytes: 0n }

const actionsOf = (decision: ResourceDecision) => (decision.kind === 'change' ? decision.actions : assert.fail(JSON.stringify(decision)))
const refusal = (decision: ResourceDecision): string => (decision.kind === 'blocked' ? decision.reason : assert.fail(JSON.stringify(decision)))

describe('this host’s part', () => {
  test('is left alone when all is as wanted', () => {
    assert.deepEqual(decide(), { kind: 'ok' })
  })

  test('is made from nothing', () => {
    const actions = actionsOf(decide({ disk: undefined, status: undefined, fileAsWanted: false, commands: ['drbdsetup new-resource hive 2'] }))
    assert.deepEqual([actions.makeDisk, actions.makeMetadata, actions.writeFile, actions.adjust, actions.zeroEnds], [true, true, true, true, false])
  })

  test('an adopted resource that runs is adjusted, and nothing else: its disk and metadata are not touched', () => {
    const commands = [
      'drbdsetup net-options hive 0 --set-defaults --cram-hmac-alg=sha256 --shared-secret=***',
      'drbdsetup resource-options hive --set-defaults --quorum=majority',
    ]
    const actions = actionsOf(decide({ fileAsWanted: false, commands }))
    assert.deepEqual([actions.makeDisk, actions.growDisk, actions.makeMetadata, actions.zeroEnds], [false, false, false, false])
    assert.deepEqual([actions.writeFile, actions.adjust], [true, true])
  })

  test('grows, rounded up to whole extents, and never shrinks', () => {
    assert.equal(actionsOf(decide({}, spec({ sizeBytes: gib + 1n }))).growDisk, true)
    assert.equal(decide({ disk: { sizeBytes: gib + 2n ** 22n, thin: true, writtenBytes: 0n } }, spec({ sizeBytes: gib + 1n })).kind, 'ok')
    assert.match(refusal(decide({}, spec({ sizeBytes: gib / 2n }))), /not made smaller/)
  })

  test('waits for the resync that fills a replaced disk', () => {
    assert.equal(actionsOf(decide({ status: recordedStatus('21-replaced-node/s-hive2/full-resync-running') })).awaitSync, true)
  })

  test('an empty new disk gets metadata although the resource was tried without (Diskless, not on purpose)', () => {
    const status = recordedStatus('21-replaced-node/s-hive2/up-without-md')
    assert.equal(actionsOf(decide({ status, disk: unused, metadata: nothing })).makeMetadata, true)
  })

  test('a disk without metadata that is in use, or only looks empty at its ends, is left alone', () => {
    const status = recordedStatus('21-replaced-node/s-hive2/up-without-md')
    assert.match(refusal(decide({ status, disk: unused, metadata: { ...nothing, signature: 'xfs' } })), /holds xfs/)
    assert.match(refusal(decide({ status, disk: unused, metadata: { ...nothing, endsAreZero: false } })), /not empty/)
    assert.match(refusal(decide({ status, metadata: nothing })), /not made by this step/)
    assert.match(refusal(decide({ status, disk: { ...unused, thin: false, writtenBytes: undefined }, metadata: nothing })), /not made by this step/)
  })

  test('a disk of another node id is not taken over', () => {
    const metadata: FoundMetadata = { kind: 'there', metadata: { maxPeers: 7, nodeId: 1, currentUuid: '98C3EE38DBFE0D1E' } }
    assert.match(refusal(decide({ status: recordedStatus('25-node-id-mismatch/s-hive2'), metadata })), /runs with node id 1/)
    assert.match(refusal(decide({ status: undefined, metadata })), /node id 1/)
  })

  test('metadata without room for another disk is not made anew; hosts without a disk need no room', () => {
    const one: FoundMetadata = { kind: 'there', metadata: { maxPeers: 1, nodeId: 2, currentUuid: '98C3EE38DBFE0D1E' } }
    assert.match(refusal(decide({ status: undefined, metadata: one })), /room for 1/)
    assert.match(refusal(decide({ attachedMaxPeers: 1 })), /room for 1/)
    assert.equal(decide({ status: undefined, metadata: one }, spec({}, ['s-hive0.pdns'])).kind, 'change')
  })

  test('gives up its disk only beside another good copy, and not while in use here', () => {
    const wanted = spec({}, ['s-hive2.pdns'])
    const commands = ['drbdsetup detach --diskless 1']
    assert.equal(actionsOf(decide({ fileAsWanted: false, commands }, wanted)).adjust, true)
    const alone = { ...recordedStatus('06-after-new-current-uuid/s-hive2'), connections: [] }
    assert.match(refusal(decide({ status: alone, commands }, wanted)), /no other host/)
    assert.match(refusal(decide({ status: { ...recordedStatus('06-after-new-current-uuid/s-hive2'), role: 'Primary' }, commands }, wanted)), /in use/)
  })

  test('a host that went is forgotten; one that stays is not cut off', () => {
    const two = spec()
    const without = { ...two, nodes: two.nodes.slice(1) }
    assert.equal(actionsOf(decide({ commands: ['drbdsetup del-peer hive 0'] }, without)).adjust, true)
    assert.match(refusal(decide({ commands: ['drbdsetup del-peer hive 0'] })), /del-peer hive 0/)
  })
})

describe('whatever is found', () => {
  const states = ['UpToDate', 'Inconsistent', 'Outdated', 'Consistent', 'Diskless', 'Failed', 'Attaching', 'DUnknown']
  const peer = fc.record({
    peerNodeId: fc.nat({ max: 3 }),
    name: fc.constantFrom(...hosts),
    state: fc.constantFrom('Connected', 'StandAlone', 'Connecting'),
    peerRole: fc.constantFrom('Primary', 'Secondary', 'Unknown'),
    peerDevices: fc.tuple(
      fc.record({
        volume: fc.constant(0),
        replicationState: fc.constantFrom('Off', 'Established', 'SyncTarget', 'PausedSyncT'),
        peerDiskState: fc.constantFrom(...states),
        peerClient: fc.boolean(),
        resyncSuspended: fc.constant('no'),
        outOfSyncKib: fc.bigInt({ min: 0n, max: 1000n }),
        percentInSync: fc.constant(0),
        sync: fc.constant(undefined),
      }),
    ),
  })
  const status: fc.Arbitrary<DrbdResourceStatus> = fc.record({
    name: fc.constant('hive'),
    nodeId: fc.integer({ min: 1, max: 2 }),
    role: fc.constantFrom('Primary', 'Secondary'),
    suspended: fc.constant(false),
    forceIoFailures: fc.constant(false),
    devices: fc.array(
      fc.record({
        volume: fc.constant(0),
        minor: fc.integer({ min: 1, max: 2 }),
        diskState: fc.constantFrom(...states),
        client: fc.boolean(),
        quorum: fc.boolean(),
        sizeKib: fc.bigInt({ min: 0n, max: 2n ** 20n }),
        open: fc.boolean(),
      }),
      { maxLength: 2 },
    ),
    connections: fc.array(peer, { maxLength: 3 }),
  })
  const command = fc.constantFrom(
    'drbdsetup new-resource hive 2',
    'drbdsetup attach 1 /dev/a /dev/a internal',
    'drbdmeta 1 v09 /dev/a internal apply-al',
    'drbdmeta 1 v09 /dev/a internal create-md 7',
    'drbdsetup detach 1',
    'drbdsetup detach --diskless 1',
    'drbdsetup down hive',
    'drbdsetup del-minor 1',
    'drbdsetup del-peer hive 1',
    'drbdsetup invalidate 1',
    'drbdsetup primary hive --force',
    'drbdsetup connect hive 1',
    'rm -rf /',
  )
  const found: fc.Arbitrary<ResourceFacts> = fc.record({
    disk: fc.option(
      fc.record({
        sizeBytes: fc.constantFrom(gib / 2n, gib, gib + 1n, 2n * gib),
        thin: fc.boolean(),
        writtenBytes: fc.option(fc.constantFrom(0n, 2n ** 10n, 2n ** 28n), { nil: undefined }),
      }),
      { nil: undefined },
    ),
    extentBytes: fc.constant(2n ** 22n),
    status: fc.option(status, { nil: undefined }),
    attachedMaxPeers: fc.option(fc.integer({ min: 1, max: 7 }), { nil: undefined }),
    metadata: fc.oneof(
      fc.constant<FoundMetadata>({ kind: 'not-read' }),
      fc.record({
        kind: fc.constant('there' as const),
        metadata: fc.record({
          maxPeers: fc.integer({ min: 1, max: 7 }),
          nodeId: fc.integer({ min: -1, max: 3 }),
          currentUuid: fc.constantFrom('0000000000000004', '98C3EE38DBFE0D1E'),
        }),
      }),
      fc.record({ kind: fc.constant('none' as const), signature: fc.constantFrom('', 'xfs', 'drbd'), endsAreZero: fc.boolean(), madeHere: fc.boolean() }),
    ),
    fileAsWanted: fc.boolean(),
    commands: fc.array(command, { maxLength: 3 }),
    unit: fc.array(fc.constant('not enabled'), { maxLength: 1 }),
    toForget: fc.array(fc.nat({ max: 31 }), { maxLength: 2 }),
  })

  const check = (holds: (facts: ResourceFacts, actions: ReturnType<typeof actionsOf>, wanted: EnsureDrbdResource) => void): void =>
    fc.assert(
      fc.property(found, fc.boolean(), (facts, diskless) => {
        const wanted = spec({}, diskless ? ['s-hive2.pdns'] : [])
        const decision = decideResource(wanted, 's-hive2.pdns', facts)
        if (decision.kind === 'change') holds(facts, decision.actions, wanted)
      }),
      { numRuns: 3_000 },
    )
  const attached = ({ status: seen }: ResourceFacts): boolean => seen?.devices[0] !== undefined && seen.devices[0].diskState !== 'Diskless'

  test('metadata is written only on a disk that was not there, was made here, or was never used', () => {
    check((seen, actions) => {
      if (!actions.makeMetadata) return
      assert.ok(!attached(seen))
      if (seen.disk === undefined) return assert.ok(actions.makeDisk)
      const { metadata } = seen
      assert.ok(metadata.kind === 'none' && metadata.signature === '')
      const written = seen.disk.writtenBytes
      assert.ok(metadata.madeHere || (metadata.endsAreZero && seen.disk.thin && written !== undefined && written <= 2n ** 20n))
    })
  })

  test('a disk is written over only where it was made here and nothing is recognised on it', () => {
    check((seen, actions) => {
      if (actions.zeroEnds) assert.ok(seen.metadata.kind === 'none' && seen.metadata.madeHere && seen.metadata.signature === '')
    })
  })

  test('a disk that is there is not made again, and becomes larger only', () => {
    check((seen, actions, wanted) => {
      assert.ok(!actions.makeDisk || seen.disk === undefined)
      if (actions.growDisk) assert.ok(seen.disk !== undefined && seen.disk.sizeBytes < wanted.sizeBytes)
      const diskless = wanted.nodes[2]?.diskless === true
      if (diskless) assert.ok(!actions.makeDisk && !actions.growDisk && !actions.makeMetadata && !actions.zeroEnds)
    })
  })

  test('no minor and no node id changes', () => {
    check((seen) => {
      if (seen.status === undefined) return
      assert.equal(seen.status.nodeId, 2)
      for (const device of seen.status.devices) assert.equal(device.minor, 1)
    })
  })

  test('DRBD is given nothing that takes data, a device or a host away', () => {
    check((seen, _, wanted) => {
      for (const line of seen.commands) assert.doesNotMatch(line, /create-md|down|del-minor|del-peer|invalidate|--force|rm|detach 1/)
      if (seen.commands.some((line) => line.includes('detach'))) assert.ok(wanted.nodes[2]?.diskless)
    })
  })

  test('this disk is given up only beside another that is UpToDate', () => {
    check((seen, _, wanted) => {
      if (wanted.nodes[2]?.diskless !== true || !attached(seen)) return
      assert.ok(seen.status?.connections.some(({ peerDevices }) => peerDevices[0]?.peerDiskState === 'UpToDate'))
      assert.notEqual(seen.status?.role, 'Primary')
    })
  })
})
