import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { splitBrain } from '../../../agent/watchers/failover/kernel-evidence.ts'
import type { Picture, VolumeView } from '../../../agent/watchers/failover/picture.ts'
import { findings } from '../../../agent/watchers/failover/signatures.ts'
import { connectionOf, containerOf, dockerFolder, dockerOf, majority, mountOf, recorded, taskOf, volumeOf } from './pictures.ts'

const now = 1_000_000_000
const found = (picture: Picture): readonly string[] => findings(picture, now).map(({ signature, action }) => `${signature}: ${JSON.stringify(action)}`)
const names = (picture: Picture): readonly string[] => findings(picture, now).map(({ signature, peer }) => `${signature} ${peer}`.trimEnd())

suite('recorded states of DRBD', () => {
  const states: Readonly<Record<string, readonly string[]>> = {
    // The race: the survivor that hung up acts, the host that returned does not.
    '14x-standalone-without-split-brain/s-hive2': ['resync-race s-hive0.pdns'],
    '14x-standalone-without-split-brain/s-hive0': [],
    '14y-standalone-again-primary-elsewhere/s-hive2': ['resync-race s-hive0.pdns'],
    '14-killed-returns/s-hive2/right-after-up': ['resync-race s-hive0.pdns'],
    '29-failover-timing-default/s-hive2/returned': ['resync-race s-hive0.pdns'],
    // An isolated Primary comes back: nothing while it is mounted, then it takes its peers' data.
    '27-primary-isolated-quorum/s-hive0/network-back-old-primary-still-mounted': [],
    '27-primary-isolated-quorum/s-hive0/old-primary-unmounted': ['former-primary'],
    '27-primary-isolated-quorum/s-hive1/old-primary-unmounted': ['former-primary-peer s-hive0.pdns'],
    '27-primary-isolated-quorum/s-hive2/old-primary-unmounted': ['former-primary-peer s-hive0.pdns'],
    '27-primary-isolated-quorum/s-hive0/settled': [],
    '27-primary-isolated-quorum/s-hive1/settled': [],
    '27-primary-isolated-quorum/s-hive2/settled': [],
    // Promoted by hand and left.
    '09d-primary-explicit/s-hive0/explicit-primary-not-mounted': ['idle-primary'],
    // Everything that only looks like it: split brain, wrong secret, wrong node id, port taken, disk too small.
    '17-split-brain/s-hive0': [],
    '17-split-brain/s-hive1': [],
    '17b-split-brain-both-primary/s-hive0': [],
    '17b-split-brain-both-primary/s-hive1': [],
    '17b-split-brain-both-primary/s-hive2': [],
    '18-split-brain-resolved/s-hive1/after-victim-only': [],
    '24-wrong-shared-secret/s-hive0': [],
    '24-wrong-shared-secret/s-hive1': [],
    '24-wrong-shared-secret/s-hive2': [],
    '25-node-id-mismatch/s-hive0': [],
    '26-port-conflict/s-hive2/port-taken-by-other-program': [],
    '31-peers-different-size/s-hive1/smaller-disk-joins-late': [],
    // And what is in order.
    '07-primary-mounted-autopromote/s-hive0': [],
    '12-resync-finished/s-hive0': [],
    '13-primary-killed/s-hive1': [],
    '15-quorum-lost/s-hive0': [],
    '16-quorum-regained/s-hive0/one-back': [],
  }
  for (const [place, expected] of Object.entries(states))
    test(`${place}: ${expected.join(', ') || 'nothing to do'}`, () => {
      const picture = recorded(place)
      assert.ok(picture.volumes.length > 0, 'the recording has a resource')
      assert.deepEqual(names(picture), expected)
    })

  test('what was concluded from is told: the state, and the lines of the log', () => {
    const [finding] = findings(recorded('14x-standalone-without-split-brain/s-hive2'), now)
    assert.deepEqual(finding?.action, { kind: 'connect', peers: [{ name: 's-hive0.pdns', nodeId: 0 }] })
    assert.match(finding.evidence[0] ?? '', /^hive is Secondary, disk UpToDate, has quorum, s-hive0.pdns StandAlone, s-hive1.pdns Connected Secondary$/)
    assert.match(finding.evidence[1] ?? '', /Can not start OV\/resync since it is already active \(-8\)/)
    assert.match(finding.evidence.at(-1) ?? '', /conn\( Disconnecting -> StandAlone \)/)
  })

  test('a running resync is latched only where its numbers stay', () => {
    const [running] = findings(recorded('11-resync-running/s-hive2/source-secondary'), now)
    assert.equal(running?.signature, 'resync-latched')
    assert.match(running.unchanged, /^SyncTarget, \d+ KiB out of sync$/)
  })

  test('without the log nothing is connected', () => {
    for (const place of ['14x-standalone-without-split-brain/s-hive2', '27-primary-isolated-quorum/s-hive0/old-primary-unmounted']) {
      const { volumes } = recorded(place)
      assert.deepEqual(names({ volumes: volumes.map((volume) => ({ ...volume, kernelLog: undefined })), docker: undefined }), [])
    }
  })
})

suite('a split brain', () => {
  const race = recorded('14x-standalone-without-split-brain/s-hive2').volumes[0]?.kernelLog ?? []
  const line = '[  600.0] drbd hive/0 drbd1 s-hive1.pdns: Split-Brain detected but unresolved, dropping connection!'
  const healed = '[  601.0] drbd hive/0 drbd1 s-hive1.pdns: pdsk( Inconsistent -> UpToDate ) repl( SyncSource -> Established ) [resync-finished]'

  test('keeps everything from connecting until that peer is in order again, even where the signature of another peer is there', () => {
    const with_ = (kernelLog: readonly string[]): Picture => {
      const picture = recorded('14x-standalone-without-split-brain/s-hive2')
      return { ...picture, volumes: picture.volumes.map((volume) => ({ ...volume, kernelLog })) }
    }
    assert.deepEqual(names(with_([line, ...race])), [])
    assert.deepEqual(names(with_([line, healed, ...race])), ['resync-race s-hive0.pdns'])
  })

  test('is not every line that has the word', () => {
    assert.equal(splitBrain(['drbd hive/0 drbd1 s-hive0.pdns: Ignore Split-Brain, for now, at least one side unstable'], 'hive'), false)
    assert.equal(splitBrain(['drbd hive/0 drbd1 s-hive0.pdns: helper command: /sbin/drbdadm initial-split-brain'], 'hive'), true)
    assert.equal(splitBrain(['kernel: something about a split-brain, and no peer'], 'hive'), true)
  })
})

suite('a stale mount', () => {
  const mounted = (changes: Partial<VolumeView> = {}): VolumeView =>
    volumeOf('data', { role: 'Primary' }, { mounts: [mountOf(dockerFolder('data'))], holders: undefined, ...changes })
  const stale = (docker: Picture['docker'], changes: Partial<VolumeView> = {}): readonly string[] => names({ volumes: [mounted(changes)], docker })

  test('is unmounted where swarm wants the volume on another host', () => {
    const [finding] = findings({ volumes: [mounted()], docker: dockerOf([], majority(taskOf('data'))) }, now)
    assert.deepEqual(finding?.action, { kind: 'unmount', mountPoint: dockerFolder('data') })
    assert.ok(finding.evidence.includes('swarm wants data-service on hive1'))
  })

  test('is none while a container here has the volume, or a folder in it, or is about to', () => {
    const wanted = majority(taskOf('data'))
    for (const state of ['running', 'paused', 'restarting']) assert.deepEqual(stale(dockerOf([containerOf('data', state)], wanted)), [])
    assert.deepEqual(stale(dockerOf([containerOf('data', 'created', now - 59_000)], wanted)), [])
    assert.deepEqual(stale(dockerOf([{ ...containerOf('other'), volumes: [], folders: [`${dockerFolder('data')}/sub`] }], wanted)), [])
    assert.deepEqual(stale(dockerOf([containerOf('data', 'created', now - 61_000), containerOf('data', 'exited')], wanted)), ['stale-mount'])
  })

  test('is none while swarm wants it here too, nowhere, or can not be asked', () => {
    assert.deepEqual(stale(dockerOf([], majority(taskOf('data'), taskOf('data', { nodeId: 'self' })))), [])
    assert.deepEqual(stale(dockerOf([], majority())), [])
    assert.deepEqual(stale(dockerOf([], majority(taskOf('data', { nodeId: '' })))), [], 'not placed yet')
    assert.deepEqual(stale(dockerOf([], { kind: 'unknown' })), [])
    assert.deepEqual(stale(dockerOf([], { kind: 'no-majority', said: '' })), [])
    assert.deepEqual(stale(undefined), [])
  })

  test('is one where a task failed elsewhere because of it, a moment ago', () => {
    const error =
      "error while mounting volume '/var/lib/docker/volumes/data/_data': failed to mount local volume: mount /dev/drbd1:/var/lib/docker/volumes/data/_data: wrong medium type"
    const failed = taskOf('data', { wanted: false, state: 'rejected', error, at: now - 60_000 })
    assert.deepEqual(stale(dockerOf([], majority(failed))), ['stale-mount'])
    assert.deepEqual(stale(dockerOf([], majority({ ...failed, at: now - 180_000 }))), [])
    assert.deepEqual(stale(dockerOf([], majority({ ...failed, error: error.replaceAll('drbd1', 'drbd12') }))), [])
    assert.deepEqual(stale(dockerOf([], majority({ ...failed, nodeId: 'self' }))), [])
  })

  test('is only the mount that docker makes of the whole device', () => {
    const wanted = dockerOf([], majority(taskOf('data')))
    assert.deepEqual(stale(wanted, { mounts: [mountOf('/mnt/by-hand')] }), [])
    assert.deepEqual(stale(wanted, { mounts: [{ ...mountOf(dockerFolder('data')), root: '/sub' }] }), [])
    assert.deepEqual(stale({ ...wanted, volumes: new Map([['data', { folder: dockerFolder('data'), device: '/dev/vg/other' }]]) }), [])
  })

  test('is left to whoever works on the volume', () => {
    assert.deepEqual(stale(dockerOf([], majority(taskOf('data'))), { busy: true }), [])
  })
})

suite('an idle Primary', () => {
  const idle = (status: Parameters<typeof volumeOf>[1], changes: Partial<VolumeView> = {}): readonly string[] =>
    found({ volumes: [volumeOf('data', { role: 'Primary', ...status }, changes)], docker: undefined })

  test('is demoted where nobody holds the device', () => {
    assert.deepEqual(idle({}), ['idle-primary: {"kind":"demote"}'])
  })

  test('is none where somebody does, or where nobody looked', () => {
    for (const kind of ['mount', 'open', 'file', 'names', 'device'] as const)
      assert.deepEqual(idle({}, { holders: [{ kind, pid: 1, command: 'x', what: 'x' }] }), [])
    assert.deepEqual(idle({}, { holders: undefined }), [])
    assert.deepEqual(idle({}, { mounts: [mountOf('/mnt')] }), [])
    assert.deepEqual(idle({ open: true }), [])
    assert.deepEqual(idle({ suspended: true }), [])
  })

  test('is none while a container is about to use it', () => {
    const docker = dockerOf([containerOf('data', 'created', now)], { kind: 'unknown' })
    assert.deepEqual(found({ volumes: [volumeOf('data', { role: 'Primary' })], docker }), [])
  })
})

suite('both quorums lost', () => {
  const lost = volumeOf('data', { role: 'Primary', quorum: false }, { mounts: [mountOf(dockerFolder('data'))], holders: undefined })
  const noMajority = { kind: 'no-majority', said: 'The swarm does not have a leader' } as const

  test("stops the volume's containers and no others", () => {
    const docker = dockerOf([containerOf('data'), containerOf('other'), containerOf('data', 'exited')], noMajority)
    assert.deepEqual(found({ volumes: [lost], docker }), ['quorums-lost: {"kind":"stop-containers","containers":[{"id":"data-running","name":"data.1"}]}'])
  })

  test('is none while one of the two is there', () => {
    assert.deepEqual(names({ volumes: [lost], docker: dockerOf([containerOf('data')], majority(taskOf('data', { nodeId: 'self' }))) }), [])
    assert.deepEqual(names({ volumes: [lost], docker: dockerOf([containerOf('data')], { kind: 'unknown' }) }), [])
    const kept = { ...lost, status: volumeOf('data', { role: 'Primary' }).status }
    assert.deepEqual(names({ volumes: [kept], docker: dockerOf([containerOf('data')], noMajority) }), [])
  })
})

suite('a latched resync', () => {
  const syncing = (changes: Partial<ReturnType<typeof connectionOf>> = {}, paused = 'no') => {
    const base = connectionOf(1)
    const peerDevices = base.peerDevices.map((device) => ({ ...device, replicationState: 'WFBitMapS', outOfSyncKib: 40n, resyncSuspended: paused }))
    return { ...base, peerDevices, ...changes }
  }
  const latched = (...connections: ReturnType<typeof connectionOf>[]): readonly string[] =>
    names({ volumes: [volumeOf('data', { connections })], docker: undefined })

  test('is that of one peer', () => {
    assert.deepEqual(latched(syncing(), connectionOf(2)), ['resync-latched hive1'])
  })

  test("is left where somebody's quorum may hang on the connection, or where it was paused", () => {
    assert.deepEqual(latched(syncing()), [], 'two hosts')
    assert.deepEqual(latched(syncing(), connectionOf(2, { state: 'Connecting' })), [])
    assert.deepEqual(latched(syncing({ peerRole: 'Primary' }), connectionOf(2)), [])
    assert.deepEqual(latched(syncing({}, 'user'), connectionOf(2)), [])
    assert.deepEqual(latched(syncing({}, 'dependency'), connectionOf(2)), [])
  })
})
