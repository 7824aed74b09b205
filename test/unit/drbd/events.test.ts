import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseEvent } from '../../../agent/adapters/drbd/event-line.ts'
import { DrbdEvents } from '../../../agent/adapters/drbd/events.ts'
import { parseStatus } from '../../../agent/adapters/drbd/status.ts'
import { type DrbdChange, DrbdView } from '../../../agent/adapters/drbd/view.ts'

const fixtures = new URL('../../fixtures/drbd9/', import.meta.url).pathname
const linesOf = (path: string): string[] => readFileSync(`${fixtures}${path}/events2-recorded.txt`, 'utf8').trimEnd().split('\n')

function replay(lines: readonly string[], view = new DrbdView()): { readonly view: DrbdView; readonly changes: readonly DrbdChange[] } {
  const changes: DrbdChange[] = []
  for (const line of lines) {
    const event = parseEvent(line)
    if (event === 'dumped') changes.push(...view.dumped())
    else if (event !== undefined) changes.push(...[view.apply(event)].filter((change) => change !== undefined))
  }
  return { view, changes }
}

describe('a line of events2', () => {
  it('keeps values with colons, and knows the end of the dump', () => {
    const path = parseEvent(
      '2026-11-22T08:19:30.194447+00:00 change path name:hive peer-node-id:0 conn-name:s-hive0.pdns local:ipv4:10.77.0.11:7789 peer:ipv4:10.77.0.10:7789 established:no',
    )
    assert.ok(path !== undefined && path !== 'dumped')
    assert.deepEqual(
      [path.at?.toISOString(), path.verb, path.object, path.peerNodeId, path.peer],
      ['2026-11-22T08:19:30.194Z', 'change', 'path', 0, 's-hive0.pdns'],
    )
    assert.equal(path.fields.get('local'), 'ipv4:10.77.0.11:7789')
    assert.equal(parseEvent('2026-11-22T08:19:16.800601+00:00 exists -'), 'dumped')
    assert.equal(parseEvent('exists -'), 'dumped')
  })

  it('is understood in every recorded stream; anything else is passed over', () => {
    const streams = globSync('**/events2-recorded.txt', { cwd: fixtures })
    assert.ok(streams.length > 10)
    for (const stream of streams)
      for (const line of readFileSync(fixtures + stream, 'utf8')
        .trimEnd()
        .split('\n'))
        assert.ok(parseEvent(line) !== undefined, line)
    fc.assert(fc.property(fc.string(), (text) => [undefined, 'dumped'].includes(parseEvent(text) as undefined)))
  })
})

describe('the picture of the events', () => {
  for (const [path, before] of [
    ['13-primary-killed/s-hive1', 'Connected'],
    ['13-primary-killed/s-hive2', 'Connected'],
    ['15-quorum-lost/s-hive0', 'Connected'],
  ] as const)
    it(`is at the end what status says: ${path}`, () => {
      const { view, changes } = replay(linesOf(path))
      const seen = view.resource('hive')
      const [status] = parseStatus(readFileSync(`${fixtures}${path}/drbdsetup-status-R.json`, 'utf8'))
      assert.ok(seen !== undefined && status !== undefined)
      assert.deepEqual(
        [seen.role, ...seen.devices.map(({ minor, disk, quorum, client }) => ({ minor, disk, quorum, client }))],
        [status.role, ...status.devices.map(({ minor, diskState: disk, quorum, client }) => ({ minor, disk, quorum, client }))],
      )
      const told = seen.connections.map(({ peerNodeId, state, role, peerDevices }) => ({ peerNodeId, state, role, disk: peerDevices[0]?.disk }))
      const said = status.connections.map(({ peerNodeId, state, peerRole: role, peerDevices }) => ({
        peerNodeId,
        state,
        role,
        disk: peerDevices[0]?.peerDiskState,
      }))
      assert.deepEqual(
        told.toSorted((a, b) => a.peerNodeId - b.peerNodeId),
        said.toSorted((a, b) => a.peerNodeId - b.peerNodeId),
      )
      assert.ok(changes.some((change) => change.changes.some(({ key, before: was }) => key === 'connection' && was === before)))
    })

  it('tells may_promote with old and new while a Primary is lost, and the disk in between', () => {
    const { changes } = replay(linesOf('13-primary-killed/s-hive1'))
    const of = (key: string): string[] =>
      changes
        .filter(({ event }) => event.verb === 'change')
        .flatMap((change) => change.changes.filter((one) => one.key === key).map(({ before, after }) => `${before}>${after}`))
    assert.deepEqual(of('may_promote'), ['no>yes', 'yes>no', 'no>yes'])
    assert.deepEqual(of('disk'), ['UpToDate>Consistent', 'Consistent>UpToDate'])
    const helpers = changes.filter(({ event }) => event.object === 'helper')
    assert.deepEqual(
      helpers.map(({ event }) => `${event.verb} ${event.fields.get('helper')} ${event.fields.get('status') ?? ''}`),
      ['call disconnected ', 'response disconnected 0'],
    )
  })

  it('follows a resource that is made, resynchronized and settled; its progress goes with the resync', () => {
    const lines = linesOf('12-resync-finished/s-hive2')
    const running = replay(lines.slice(0, lines.findIndex((line) => line.includes('eta:nan')) + 1))
    const device = running.view
      .resource('hive')
      ?.connections.flatMap(({ peerDevices }) => peerDevices)
      .find(({ replication }) => replication === 'SyncTarget')
    assert.deepEqual([device?.percentDone, device?.secondsLeft, device?.outOfSyncKib], [0, undefined, 61536])
    const to = 'name:hive peer-node-id:2 conn-name:s-hive2.pdns volume:0'
    const { view } = replay(linesOf('12-resync-finished/s-hive0'))
    const syncing = (): unknown[] => {
      const peer = view.resource('hive')?.connections.find(({ peerNodeId }) => peerNodeId === 2)?.peerDevices[0]
      return [peer?.replication, peer?.percentDone, peer?.secondsLeft]
    }
    assert.deepEqual(syncing(), ['SyncSource', 44.6, 36])
    replay([`change peer-device ${to} replication:Established peer-disk:UpToDate peer-client:no`], view)
    assert.deepEqual(syncing(), ['Established', undefined, undefined])
  })

  it('forgets with a connection its peer devices, with a resource all', () => {
    const { view } = replay(linesOf('13-primary-killed/s-hive1'))
    replay(['destroy connection name:hive peer-node-id:0 conn-name:s-hive0.pdns'], view)
    assert.deepEqual(
      view.resource('hive')?.connections.map(({ name }) => name),
      ['s-hive2.pdns'],
    )
    replay(['rename resource name:hive new_name:nest'], view)
    assert.equal(view.resource('nest')?.devices[0]?.minor, 1)
    const { changes } = replay(['destroy resource name:nest'], view)
    assert.deepEqual([view.resources().length, changes[0]?.before?.name, changes[0]?.after], [0, 'nest', undefined])
  })
})

describe('the follower', () => {
  const dump = linesOf('13-primary-killed/s-hive1').slice(0, 9)
  const later = linesOf('13-primary-killed/s-hive1').slice(9)

  it('is started again when it ends, later each time, and tells what changed in between', { timeout: 10_000 }, async () => {
    const pauses: number[] = []
    const stop = new AbortController()
    const down = dump.map((line) => line.replace('connection:Connected role:Primary', 'connection:Connecting role:Unknown'))
    const runs = [[...dump.slice(0, 4)], dump, down]
    const events = new DrbdEvents({
      pause: async (milliseconds) => void pauses.push(milliseconds),
      follow: async function* (signal) {
        yield* runs.shift() ?? []
        if (runs.length === 0) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      },
    })
    const told: DrbdChange[] = []
    for await (const change of events.changes(stop.signal)) {
      told.push(change)
      if (change.event.verb === 'change' && change.changes.length === 2) stop.abort()
    }
    assert.deepEqual(pauses, [500, 1000])
    assert.deepEqual(
      told.filter(({ event }) => event.verb === 'change').flatMap(({ changes }) => changes),
      [
        { key: 'connection', before: 'Connected', after: 'Connecting' },
        { key: 'role', before: 'Primary', after: 'Unknown' },
      ],
    )
    assert.equal(told.filter(({ event }) => event.verb === 'exists').length, 8)
  })

  it('runs while somebody listens, once for all', { timeout: 10_000 }, async () => {
    let running = 0
    let started = 0
    const gone = Promise.withResolvers<void>()
    const events = new DrbdEvents({
      follow: async function* (signal) {
        running++
        started++
        try {
          yield* [...dump, ...later]
          if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        } finally {
          running--
          gone.resolve()
        }
      },
    })
    const ended = Promise.withResolvers<void>()
    const first: DrbdChange[] = []
    const one = events.subscribe((change) => {
      first.push(change)
      if (change.after?.mayPromote === true && change.after.devices[0]?.disk === 'UpToDate') ended.resolve()
    })
    const two = events.subscribe(() => undefined)
    await events.ready(AbortSignal.timeout(5000))
    await ended.promise
    assert.equal(started, 1)
    one()
    one()
    assert.equal(running, 1)
    two()
    await gone.promise
    assert.equal(running, 0)
    assert.equal(events.view.resource('hive')?.promotionScore, 10102)
  })
})
