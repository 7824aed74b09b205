import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { type Picture, usersOf, type VolumeView } from '../../../agent/watchers/failover/picture.ts'
import { type Finding, findings, signatureOf } from '../../../agent/watchers/failover/signatures.ts'
import {
  afterAction,
  emptyMemory,
  hostLimit,
  keyOf,
  longestGap,
  type Memory,
  released,
  superviseOnce,
  volumeLimit,
} from '../../../agent/watchers/failover/supervise.ts'
import { type Bucket, refilled, taken } from '../../../agent/watchers/failover/token-bucket.ts'
import { connectionOf, containerOf, dockerFolder, dockerOf, majority, mountOf, taskOf, volumeOf } from './pictures.ts'

const idle: Picture = { volumes: [volumeOf('data', { role: 'Primary' })], docker: undefined }
const calm: Picture = { volumes: [volumeOf('data')], docker: undefined }
const holds = signatureOf('idle-primary').holds * 1000

/** Looks one after the other; answers the actions. `result` is what became of each. */
function watch(
  looks: readonly (readonly [at: number, picture: Picture, held?: string | undefined])[],
  result: 'helped' | 'did-not-help' = 'helped',
  memory: Memory = emptyMemory(),
) {
  const acted: { readonly at: number; readonly finding: Finding }[] = []
  const told: string[] = []
  let current = memory
  for (const [at, picture, held] of looks) {
    const outcome = superviseOnce(picture, current, at, held)
    current = outcome.memory
    told.push(...outcome.evidence.map(({ kind }) => kind))
    if (outcome.action === undefined) continue
    acted.push({ at, finding: outcome.action })
    const after = afterAction(current, outcome.action, { kind: result, what: 'looked', lines: [] }, at)
    current = after.memory
    told.push(...after.evidence.map(({ kind }) => kind))
  }
  return { acted, told, memory: current }
}
const every = (milliseconds: number, until: number, picture: Picture, held?: string) =>
  Array.from({ length: Math.floor(until / milliseconds) + 1 }, (_, index) => [index * milliseconds, picture, held] as const)

suite('acting', () => {
  test('waits until the finding has held for as long as its signature says', () => {
    assert.deepEqual(
      watch([
        [0, idle],
        [holds - 1, idle],
      ]).acted,
      [],
    )
    assert.deepEqual(
      watch([
        [0, idle],
        [holds, idle],
      ]).acted.map(({ at }) => at),
      [holds],
    )
    assert.deepEqual(
      watch([
        [0, idle],
        [holds / 2, calm],
        [holds, idle],
      ]).acted,
      [],
      'it was away in between',
    )
    assert.deepEqual(
      watch([
        [0, idle],
        [longestGap + 1, idle],
      ]).acted,
      [],
      'nobody looked in between',
    )
  })

  test('on a resync waits for as long as its numbers stay the same', () => {
    const resync = (outOfSyncKib: bigint): Picture => {
      const peerDevices = connectionOf(1).peerDevices.map((device) => ({ ...device, replicationState: 'SyncTarget', outOfSyncKib }))
      return { volumes: [volumeOf('data', { connections: [connectionOf(1, { peerDevices }), connectionOf(2)] })], docker: undefined }
    }
    const slow = Array.from({ length: 100 }, (_, index) => [index * 5_000, resync(BigInt(1_000 - Math.floor(index / 20)))] as const)
    assert.deepEqual(watch(slow).acted, [])
    assert.deepEqual(
      watch(every(5_000, 400_000, resync(40n))).acted.map(({ at, finding }) => [at, finding.signature]),
      [[180_000, 'resync-latched']],
    )
  })

  test('tells its evidence before, and what became of it after', () => {
    assert.deepEqual(
      watch([
        [0, idle],
        [holds, idle],
      ]).told,
      ['acts', 'helped'],
    )
  })

  test('is not done while held, which is told once', () => {
    const { acted, told } = watch(every(5_000, 200_000, idle, 'admin holds it'))
    assert.deepEqual([acted, told], [[], ['held']])
  })

  test('is given up where it did not help twice, until released', () => {
    const first = watch(every(5_000, 3_600_000, idle), 'did-not-help')
    assert.equal(first.acted.length, 2)
    assert.deepEqual(first.told.slice(0, 2), ['acts', 'did-not-help'])
    assert.equal(first.told.filter((kind) => kind === 'did-not-help').length, 2)
    assert.deepEqual(
      first.memory.givenUp.map(({ volume, signature }) => [volume, signature]),
      [['data', 'idle-primary']],
    )
    const later = every(5_000, 60_000, idle).map(([at, picture]) => [at + 4_000_000, picture] as const)
    assert.equal(watch(later, 'helped', first.memory).acted.length, 0)
    assert.equal(watch(later, 'helped', released(first.memory)).acted.length, 1)
  })

  test('that did not help once and then helped is not given up', () => {
    const first = watch(every(5_000, holds, idle), 'did-not-help')
    const again = (from: number) => every(5_000, 100_000, idle).map(([at, picture]) => [at + from, picture] as const)
    const second = watch(again(200_000), 'helped', first.memory)
    assert.equal(watch(again(400_000), 'did-not-help', second.memory).memory.givenUp.length, 0)
  })

  test('is done to the volumes that lost everything first', () => {
    const lost = volumeOf('lost', { role: 'Primary', quorum: false }, { mounts: [mountOf(dockerFolder('lost'))], holders: undefined })
    const picture: Picture = {
      volumes: [volumeOf('data', { role: 'Primary' }), lost],
      docker: dockerOf([containerOf('lost')], { kind: 'no-majority', said: 'no leader' }, ['lost']),
    }
    assert.equal(
      watch([
        [0, picture],
        [40_000, picture],
      ]).acted[0]?.finding.volume,
      'lost',
    )
  })
})

suite('tokens', () => {
  test('never give more than the limit, whatever the clock does', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -10_000, max: 10_000 }), { maxLength: 60 }), (steps) => {
        const limit = { most: 3, every: 1_000 }
        let now = 1_000_000
        let bucket: Bucket | undefined
        let forward = 0
        let got = 0
        for (const step of steps) {
          now += step
          if (step > 0) forward += step
          const full = refilled(bucket, limit, now)
          const next = taken(full)
          if (next !== undefined) got += 1
          bucket = next ?? full
        }
        assert.ok(got <= limit.most + Math.floor(forward / limit.every))
      }),
    )
  })
})

/** Anything that a host may look like, with the states that lead to actions often. */
const role = fc.constantFrom('Primary', 'Secondary')
const connection = (id: number) =>
  fc
    .record({
      state: fc.constantFrom('Connected', 'StandAlone', 'Connecting'),
      sync: fc.constantFrom('Established', 'WFBitMapS', 'SyncTarget'),
      peerRole: role,
    })
    .map(({ state, sync, peerRole }) => {
      const base = connectionOf(id)
      return connectionOf(id, { state, peerRole, peerDevices: base.peerDevices.map((device) => ({ ...device, replicationState: sync, outOfSyncKib: 4n })) })
    })
const raceLog = (resource: string, peer: string): readonly string[] => [
  `drbd ${resource} ${peer}: conn( Unconnected -> Connecting ) [connecting]`,
  `drbd ${resource} ${peer}: conn( Connecting -> Connected ) peer( Unknown -> Secondary ) [remote]`,
  `drbd ${resource}: State change failed: Can not start OV/resync since it is already active (-8)`,
  `drbd ${resource}/0 drbd1 ${peer}: Failed: repl( SyncSource -> WFBitMapS ) resync-susp( no -> peer ) [peer-state]`,
  `drbd ${resource} ${peer}: conn( Connected -> Disconnecting ) peer( Secondary -> Unknown )`,
  `drbd ${resource} ${peer}: conn( Disconnecting -> StandAlone ) [disconnected]`,
]
const split = (resource: string): string => `drbd ${resource}/0 drbd1 hive2: Split-Brain detected but unresolved, dropping connection!`
const volume = (name: string): fc.Arbitrary<VolumeView> =>
  fc
    .record({
      role,
      quorum: fc.boolean(),
      open: fc.boolean(),
      suspended: fc.boolean(),
      connections: fc.tuple(connection(1), connection(2)),
      busy: fc.boolean(),
      mounted: fc.boolean(),
      holders: fc.constantFrom(undefined, [], [{ kind: 'open', pid: 1, command: 'dd', what: '/dev/drbd1' } as const]),
      log: fc.constantFrom('none', 'race', 'split'),
    })
    .map(({ busy, mounted, holders, log, ...status }) =>
      volumeOf(name, status, {
        busy,
        mounts: mounted ? [mountOf(dockerFolder(name))] : [],
        holders,
        kernelLog: log === 'none' ? undefined : [...(log === 'split' ? [split(name)] : []), ...raceLog(name, 'hive1')],
      }),
    )
const docker = fc
  .record({
    states: fc.array(fc.tuple(fc.constantFrom('a', 'b'), fc.constantFrom('running', 'paused', 'exited', 'created', 'dead')), { maxLength: 2 }),
    swarm: fc.constantFrom('unknown', 'no-majority', 'here', 'elsewhere', 'nowhere'),
  })
  .map(({ states, swarm }) => {
    const containers = states.map(([name, state]) => containerOf(name, state))
    const tasks = swarm === 'nowhere' ? [] : ['a', 'b'].map((name) => taskOf(name, { nodeId: swarm === 'here' ? 'self' : 'other' }))
    const view =
      swarm === 'unknown'
        ? ({ kind: 'unknown' } as const)
        : swarm === 'no-majority'
          ? ({ kind: 'no-majority', said: 'no leader' } as const)
          : majority(...tasks)
    return dockerOf(containers, view, ['a', 'b'])
  })
const picture: fc.Arbitrary<Picture> = fc.record({ volumes: fc.tuple(volume('a'), volume('b')), docker: fc.option(docker, { nil: undefined }) })
/** Each picture stays for a while, so that something may hold. */
const history = fc.array(fc.record({ picture, looks: fc.integer({ min: 1, max: 60 }), step: fc.integer({ min: 1_000, max: 70_000 }), held: fc.boolean() }), {
  minLength: 1,
  maxLength: 8,
})

type Look = readonly [at: number, picture: Picture, held: string | undefined]
const looksOf = (parts: readonly { readonly picture: Picture; readonly looks: number; readonly step: number; readonly held: boolean }[]): readonly Look[] => {
  let at = 0
  return parts.flatMap(({ picture: seen, looks, step, held }) =>
    Array.from({ length: looks }, (): Look => {
      at += step
      return [at, seen, held ? 'held' : undefined]
    }),
  )
}

suite('whatever is seen', () => {
  test('nothing that is used is taken away, nothing open is demoted, nothing connects over a split brain', () => {
    let actions = 0
    fc.assert(
      fc.property(history, (parts) => {
        const looks = looksOf(parts)
        for (const { at, finding } of watch(looks).acted) {
          actions += 1
          const [, seen] = looks.find(([time]) => time === at) ?? []
          const about = seen?.volumes.find(({ name }) => name === finding.volume)
          assert.ok(seen !== undefined && about !== undefined)
          assert.equal(about.busy, false)
          const users = seen.docker === undefined ? [] : usersOf(about, seen.docker, at)
          switch (finding.action.kind) {
            case 'unmount':
              assert.deepEqual(users, [])
              assert.equal(finding.action.mountPoint, dockerFolder(finding.volume))
              assert.equal(seen.docker?.swarm.kind, 'majority')
              break
            case 'demote':
              assert.deepEqual([about.mounts, about.holders, about.status.devices.some(({ open }) => open)], [[], [], false])
              break
            case 'stop-containers': {
              assert.ok(about.status.devices.some(({ quorum }) => !quorum) && seen.docker?.swarm.kind === 'no-majority')
              const ids = users.map(({ id }) => id)
              assert.ok(finding.action.containers.every(({ id }) => ids.includes(id)))
              break
            }
            case 'connect':
              assert.ok(about.kernelLog?.some((line) => line.includes('Split-Brain')) === false)
              break
            case 'reconnect': {
              const { peer } = finding.action
              assert.ok(about.status.connections.every(({ state }) => state === 'Connected'))
              assert.equal(about.status.connections.find(({ name }) => name === peer.name)?.peerRole, 'Secondary')
            }
          }
        }
      }),
      { numRuns: 300 },
    )
    assert.ok(actions > 50, `only ${actions} actions came about`)
  })

  test('an action comes only of what was seen all the time its signature asks for, and never while held', () => {
    fc.assert(
      fc.property(history, (parts) => {
        const looks = looksOf(parts)
        for (const { at, finding } of watch(looks).acted) {
          const { holds: seconds } = signatureOf(finding.signature)
          const before = looks.filter(([time]) => time <= at)
          assert.equal(before.at(-1)?.[2], undefined)
          let since = at
          for (const [time, seen] of before.toReversed()) {
            if (since - time > longestGap || !findings(seen, time).some((one) => keyOf(one) === keyOf(finding) && one.unchanged === finding.unchanged)) break
            since = time
          }
          assert.ok(at - since >= seconds * 1000, `${finding.signature} was seen for ${at - since} ms`)
        }
      }),
    )
  })

  test('neither a volume nor a host gets more actions than its limit, nor a finding without its pause', () => {
    fc.assert(
      fc.property(history, fc.constantFrom('helped', 'did-not-help'), (parts, result) => {
        const { acted } = watch(looksOf(parts), result)
        const within = (times: readonly number[], { most, every: one }: typeof volumeLimit): void => {
          for (const [index, from] of times.entries())
            for (const [other, to] of times.entries()) if (other >= index) assert.ok(other - index + 1 <= most + Math.floor((to - from) / one) + 1)
        }
        within(
          acted.map(({ at }) => at),
          hostLimit,
        )
        for (const name of ['a', 'b'])
          within(
            acted.filter(({ finding }) => finding.volume === name).map(({ at }) => at),
            volumeLimit,
          )
        for (const [index, { at, finding }] of acted.entries()) {
          const last = acted.slice(0, index).findLast((one) => keyOf(one.finding) === keyOf(finding))
          if (last !== undefined) assert.ok(at - last.at >= signatureOf(finding.signature).pause * 1000)
        }
        if (result === 'did-not-help') {
          const counts = Map.groupBy(acted, ({ finding }) => `${finding.signature} ${finding.volume}`)
          assert.ok([...counts.values()].every((times) => times.length <= 2))
        }
      }),
    )
  })
})
