/** Each recorded state of DRBD is named by what was done to it, and what is well is called well. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { diagnose, diagnoseVolume } from '../../../coordinator/doctor/diagnose.ts'
import { type Finding, type RepairAction, rankOf } from '../../../coordinator/doctor/finding.ts'
import { causeOf } from '../../../coordinator/doctor/kernel-cause.ts'
import { recordedPicture } from './recordings.ts'

const short = (host: string): string => host.replace(/^s-hive|\.pdns$/g, '')
const action = (step: RepairAction): string => `${step.kind} ${short(step.host)}${'peer' in step ? `-${short(step.peer)}` : ''}`
/** "split-brain 0,1 [discard 0 | …]" */
const told = ({ state, hosts, repair, choices }: Finding): string =>
  [
    state,
    hosts.map(short).join(','),
    ...(repair === undefined ? [] : [`→ ${repair.actions.map(action).join(', ')}`]),
    ...(choices.size === 0 ? [] : [`choose ${[...choices.keys()].map(short).join(',')}`]),
  ].join(' ')

const staleBits = 'out-of-sync 1,2 → disconnect 1-2, connect 1-2'

/** State, moment within it, what is found. Some recordings carry blocks counted as different from earlier on: `staleBits`. */
const recorded: readonly (readonly [string, string, readonly string[]])[] = [
  ['04-up-without-metadata', '', ['missing-metadata 1']],
  ['05-created-inconsistent', '', ['never-made 0,1,2']],
  ['06-after-new-current-uuid', '', []],
  ['07-primary-mounted-autopromote', '', []],
  ['09d-primary-explicit', 'explicit-primary-not-mounted', ['idle-primary 0 → demote 0']],
  ['09e-down-fails-half-way', '', ['half-down 0 → adjust 0']],
  ['10-secondary-down-while-writing', '', ['not-up 2 → up 2']],
  ['11-resync-running', '', []],
  ['11-resync-running', 'target-promoted', []],
  ['12-resync-finished', '', []],
  ['14-killed-returns', 'right-after-up', ['refused-by-race 0,2 → connect 2-0']],
  ['14x-standalone-without-split-brain', '', ['refused-by-race 0,2 → connect 2-0']],
  ['14x-standalone-without-split-brain', 'after-adjust', []],
  ['14y-standalone-again-primary-elsewhere', '', ['refused-by-race 0,2 → connect 2-0']],
  ['14y-standalone-again-primary-elsewhere', 'after-connect', []],
  ['15-quorum-lost', '', ['no-quorum 0']],
  ['16-quorum-regained', 'both-back', [staleBits]],
  ['17-split-brain', 'both-primary-partitioned', ['two-primaries 0,1', 'connecting-for-good 0,1', 'connecting-for-good 0,2', staleBits]],
  ['17-split-brain', '', ['split-brain 0,1 choose 0', staleBits]],
  ['17b-split-brain-both-primary', '', ['two-primaries 0,1', 'split-brain 0,1', staleBits]],
  ['17b-split-brain-both-primary', 'resolved', [staleBits]],
  ['18-split-brain-resolved', '', [staleBits]],
  ['19-diskless-tiebreaker', 'after-live-adjust', []],
  ['19-diskless-tiebreaker', 'diskless-primary', []],
  ['20-detached', 'secondary-detached', ['disk-detached 1 → adjust 1']],
  ['20-detached', 'primary-detached-too', ['disk-detached 0 → adjust 0', 'disk-detached 1 → adjust 1']],
  ['21-replaced-node', 'up-without-md', ['missing-metadata 2', 'out-of-sync 0,1 → disconnect 0-1, connect 0-1']],
  ['22-verify', 'running', []],
  ['22-verify', 'out-of-sync-found', ['out-of-sync 0,1 → disconnect 0-1, connect 0-1']],
  ['22-verify', 'after-reconnect-resynced', []],
  ['23-online-grow', 'right-after-resize', []],
  ['24-wrong-shared-secret', '', ['wrong-secret 0,2 → connect 0-2, connect 2-0', 'wrong-secret 1,2 → connect 1-2, connect 2-1']],
  ['25-node-id-mismatch', '', ['node-id-mismatch 2']],
  ['27-primary-isolated-quorum', 'isolated-and-taken-over', ['two-primaries 0,1', 'connecting-for-good 0,1', 'connecting-for-good 0,2']],
  ['27-primary-isolated-quorum', 'network-back-old-primary-still-mounted', ['two-primaries 0,1', 'ex-primary 0']],
  ['27-primary-isolated-quorum', 'old-primary-unmounted', ['ex-primary 0 → adjust 1, adjust 0']],
  ['27-primary-isolated-quorum', 'settled', []],
]

for (const [state, moment, expected] of recorded) {
  test(`recorded: ${state}${moment === '' ? '' : `, ${moment}`}`, () => {
    const picture = recordedPicture(state, moment, 'hive', state.startsWith('19') ? ['s-hive0.pdns', 's-hive1.pdns'] : undefined)
    assert.deepEqual(diagnoseVolume(picture).map(told), expected)
  })
}

const recordedOfTwo: readonly (readonly [string, string, readonly string[]])[] = [
  ['26-port-conflict', 'port-taken-by-other-program', ['port-taken 2 → adjust 2', 'inconsistent-only 2 choose 2']],
  ['31-peers-different-size', 'all-start-together', []],
  ['31-peers-different-size', 'smaller-disk-joins-late', ['port-taken 2 → adjust 2', 'peer-too-small 0,1']],
  ['32-io-error', 'primary-lost-its-disk', ['disk-detached 0 → adjust 0']],
  ['32-io-error', 'disk-back-adjusted', []],
]
for (const [state, moment, expected] of recordedOfTwo) {
  test(`recorded: ${state}, ${moment}`, () => {
    assert.deepEqual(diagnoseVolume(recordedPicture(state, moment, 'two')).map(told), expected)
  })
}

test('a split brain shows both sides, discards nothing by itself, and never offers to give up what is in use', () => {
  const [found] = diagnoseVolume(recordedPicture('17-split-brain', ''))
  assert.ok(found !== undefined && found.repair === undefined)
  assert.ok(found.evidence.some((line) => line.includes('Split-Brain detected')))
  const chosen = found.choices.get('s-hive0.pdns')
  assert.equal(chosen?.discards, true)
  assert.deepEqual(chosen?.actions.map(action), ['discard 0', 'adjust 1', 'adjust 0'])
})

test('only choices discard; what is offered as a repair never does', () => {
  for (const [state, moment] of recorded) {
    for (const { repair, choices } of diagnoseVolume(recordedPicture(state, moment))) {
      assert.equal(repair?.discards ?? false, false)
      assert.ok(repair?.actions.every(({ kind }) => kind !== 'discard' && kind !== 'declare-valid') ?? true)
      for (const choice of choices.values()) assert.equal(choice.discards, true)
    }
  }
})

test('a resync that has not moved between two looks is latched, one that has is not', () => {
  const now = recordedPicture('11-resync-running', '')
  const earlier = new Map([...now.hosts].flatMap(([host, seen]) => (seen === undefined ? [] : [[host, seen] as const])))
  assert.deepEqual(
    diagnoseVolume({ ...now, earlier }).map(({ state }) => state),
    ['resync-latched'],
  )
  const moved = structuredClone(earlier)
  for (const seen of moved.values())
    for (const { peerDevices } of seen.status?.connections ?? []) for (const device of peerDevices) device.outOfSyncKib += 1024n
  assert.deepEqual(diagnoseVolume({ ...now, earlier: moved }), [])
})

test('both sides that wait for a list of changed blocks, twice in a row', () => {
  const now = structuredClone(recordedPicture('06-after-new-current-uuid', ''))
  const device = now.hosts.get('s-hive0.pdns')?.status?.connections.find(({ name }) => name === 's-hive1.pdns')?.peerDevices[0]
  assert.ok(device !== undefined)
  device.replicationState = 'WFBitMapS'
  assert.deepEqual(diagnoseVolume(now), [], 'once may be passing')
  const earlier = new Map([...now.hosts].flatMap(([host, seen]) => (seen === undefined ? [] : [[host, seen] as const])))
  assert.deepEqual(diagnoseVolume({ ...now, earlier }).map(told), ['waiting-for-bitmap 0,1 → disconnect 0-1, connect 0-1'])
})

test('all outdated: each copy may be declared valid by name, and a silent host is spoken of', () => {
  const now = structuredClone(recordedPicture('06-after-new-current-uuid', ''))
  for (const seen of now.hosts.values()) for (const device of seen?.status?.devices ?? []) device.diskState = 'Outdated'
  const [found] = diagnoseVolume(now)
  assert.equal(found?.state, 'all-outdated')
  assert.deepEqual([...(found?.choices.keys() ?? [])].map(short), ['0', '1', '2'])
  const partial = { ...now, hosts: new Map([...now.hosts].map(([host, seen]) => [host, host === 's-hive2.pdns' ? undefined : seen])) }
  assert.match(diagnoseVolume(partial)[0]?.advice ?? '', /do not answer/)
})

test('an ex-Primary that keeps trying is told as one, not as a broken network', () => {
  const now = structuredClone(recordedPicture('27-primary-isolated-quorum', 'old-primary-unmounted'))
  for (const { status } of [...now.hosts.values()].flatMap((seen) => seen ?? []))
    for (const connection of status?.connections ?? []) if (connection.state === 'StandAlone') connection.state = 'Connecting'
  assert.deepEqual(diagnoseVolume(now).map(told), ['ex-primary 0 → adjust 1, adjust 0'])
})

test('secrets that differ are repaired by writing the files, not by connecting', () => {
  const now = structuredClone(recordedPicture('24-wrong-shared-secret', ''))
  const file = now.hosts.get('s-hive2.pdns')?.file
  assert.ok(file !== undefined)
  file.sha256 = 'another'
  const found = diagnoseVolume(now)
  assert.deepEqual(found.map(told), ['files-differ 2', 'wrong-secret 0,2', 'wrong-secret 1,2'])
})

test('findings are told with the gravest first, and silent hosts are named', () => {
  const hosts = ['s-hive0.pdns', 's-hive1.pdns', 's-hive2.pdns']
  const volumes = [{ name: 'hive', diskful: new Set(hosts) }]
  const picture = recordedPicture('17-split-brain', '')
  const examinations = new Map(
    [...picture.hosts]
      .filter(([host]) => host !== 's-hive2.pdns')
      .map(([host, seen]) => [
        host,
        { host, problems: [{ state: 'module', title: 'x', evidence: [], advice: '' }], volumes: seen === undefined ? [] : [seen] },
      ]),
  )
  const found = diagnose({ volumes, hosts, examinations })
  const ranks = found.map(({ state }) => rankOf(state))
  assert.deepEqual(ranks, ranks.toSorted())
  assert.ok(found.some(({ state, hosts: silent }) => state === 'host-unreachable' && silent[0] === 's-hive2.pdns'))
  assert.equal(found.filter(({ state }) => state === 'module').length, 2)
})

test('a cause is forgotten once the connection has been up, and belongs to its own peer', () => {
  const lines = [
    'drbd hive s-hive2.pdns: Authentication of peer failed',
    'drbd hive s-hive2.pdns: conn( Connecting -> Connected ) peer( Unknown -> Secondary ) [connected]',
    'drbd hive/0 drbd1 s-hive0.pdns: Split-Brain detected but unresolved, dropping connection!',
  ]
  assert.equal(causeOf(lines, 's-hive2.pdns'), undefined)
  assert.equal(causeOf(lines, 's-hive0.pdns')?.cause, 'split-brain')
  assert.equal(causeOf(lines, 's-hive1.pdns'), undefined)
})
