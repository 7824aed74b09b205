import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, suite, test } from 'node:test'
import pino from 'pino'
import { hasResources } from '../../../agent/adapters/drbd/resource-store.ts'
import { assertMayMutate } from '../../../agent/adapters/gate.ts'
import { KeyedLock } from '../../../agent/runs/keyed-lock.ts'
import { hasHelped } from '../../../agent/watchers/failover/carry-out.ts'
import type { Picture } from '../../../agent/watchers/failover/picture.ts'
import type { Result } from '../../../agent/watchers/failover/supervise.ts'
import { exclusiveKey, FailoverSupervisor } from '../../../agent/watchers/failover-supervisor.ts'
import { connectionOf, containerOf, dockerFolder, dockerOf, mountOf, volumeOf } from './pictures.ts'

const idle: Picture = { volumes: [volumeOf('data', { role: 'Primary' })], docker: undefined }
const helped: Result = { kind: 'helped', what: 'data is Secondary', lines: [] }
const useless: Result = { kind: 'did-not-help', what: 'held open', lines: ['open: /dev/drbd1 by dd (pid 7)'] }

let folder: string
const makeFolder = (): void => {
  folder = mkdtempSync(join(tmpdir(), 'supervisor-'))
}
const removeFolder = (): void => rmSync(folder, { recursive: true })

/** A supervisor with a clock of its own; each `look` is five seconds after the one before. */
function bench({
  seen = () => Promise.resolve(idle),
  result = helped,
  keys = new KeyedLock(),
}: {
  seen?: () => Promise<Picture>
  result?: Result
  keys?: KeyedLock
} = {}) {
  let now = Date.parse('2026-11-26T03:00:00Z')
  const logged: Record<string, unknown>[] = []
  const acts: string[] = []
  const log = pino({ base: null }, { write: (line: string) => void logged.push(JSON.parse(line)) })
  const supervisor = new FailoverSupervisor({
    stateDir: folder,
    keys,
    log,
    now: () => new Date(now),
    concerned: async () => true,
    look: ({ busy }) => {
      assert.throws(() => assertMayMutate('look'), 'a look may not change anything')
      return seen().then((picture) => ({ ...picture, volumes: picture.volumes.map((volume) => ({ ...volume, busy: busy(volume.name) })) }))
    },
    act: async ({ volume, signature }, { look, signal }) => {
      assertMayMutate('act')
      assert.ok(keys.holderOf(exclusiveKey(volume)) !== undefined, 'the volume is ours while we act')
      assert.equal((await look(signal)).volumes[0]?.busy, false, 'our own key does not hide the volume from us')
      acts.push(`${signature} ${volume}`)
      assert.ok(
        logged.some((line) => line['kind'] === 'acts'),
        'the evidence was told before',
      )
      return result
    },
  })
  const look = async (times: number): Promise<void> => {
    for (let left = times; left > 0; left -= 1) {
      now += 5_000
      await supervisor.once()
    }
  }
  const kinds = async (): Promise<readonly string[]> => (await supervisor.status()).evidence.map(({ kind }) => kind)
  return { supervisor, look, acts, logged, kinds, pass: (seconds: number) => (now += seconds * 1000) }
}

suite('the supervisor', () => {
  beforeEach(makeFolder)
  afterEach(removeFolder)

  test('acts once the finding has held, and serves the evidence', async () => {
    const { look, acts, kinds, supervisor } = bench()
    await look(6)
    assert.deepEqual(acts, [])
    await look(1)
    assert.deepEqual(acts, ['idle-primary data'])
    assert.deepEqual(await kinds(), ['acts', 'helped'])
    assert.deepEqual([(await supervisor.status()).doing, await supervisor.healthy()], ['', true])
  })

  test('keeps away from a volume that a step works on', async () => {
    const keys = new KeyedLock()
    const { look, acts } = bench({ keys })
    const grip = await keys.acquire(exclusiveKey('data'), 'a step', new AbortController().signal)
    await look(20)
    assert.deepEqual(acts, [])
    grip.release()
    await look(7)
    assert.deepEqual(acts, ['idle-primary data'])
  })

  test('does nothing while held, after a restart too, and goes on when the hold has ended', async () => {
    await bench().supervisor.hold({ by: 'admin', reason: 'disks are moved', seconds: 120 })
    const { look, acts, kinds, supervisor } = bench()
    await look(20)
    assert.deepEqual([acts, await kinds()], [[], ['held']])
    const { hold } = await supervisor.status()
    assert.deepEqual([hold?.by, hold?.reason, hold?.until?.toISOString()], ['admin', 'disks are moved', '2026-11-26T03:02:00.000Z'])
    await look(10)
    assert.deepEqual(acts, ['idle-primary data'])
    assert.equal((await supervisor.status()).hold, undefined)
  })

  test('stays held until released where no time was named, and needs a reason', async () => {
    const { supervisor, look, acts } = bench()
    await assert.rejects(supervisor.hold({ by: 'admin', reason: ' ', seconds: 0 }), { code: 'invalid-input' })
    await supervisor.hold({ by: 'admin', reason: 'drill', seconds: 0 })
    await look(100)
    assert.deepEqual(acts, [])
    await supervisor.release('admin')
    await look(7)
    assert.deepEqual(acts, ['idle-primary data'])
  })

  test('gives up after two attempts without help, says so, remembers it over a restart, and tries again once released', async () => {
    const first = bench({ result: useless })
    await first.look(200)
    assert.deepEqual(first.acts.length, 2)
    assert.equal(await first.supervisor.healthy(), false)
    const { evidence } = await first.supervisor.status()
    assert.deepEqual(evidence.find(({ kind }) => kind === 'given-up')?.lines, ['open: /dev/drbd1 by dd (pid 7)'])

    const second = bench()
    await second.look(20)
    assert.deepEqual(second.acts, [])
    assert.deepEqual(
      (await second.supervisor.status()).givenUp.map(({ volume, signature, why }) => [volume, signature, why]),
      [['data', 'idle-primary', 'held open, 2 times']],
    )
    await second.supervisor.release('admin')
    await second.look(7)
    assert.deepEqual(second.acts, ['idle-primary data'])
    assert.equal(await second.supervisor.healthy(), true)
  })

  test('complains once where DRBD does not answer, begins anew after it, and is not healthy while it stays blind', async () => {
    let answers = true
    const { look, acts, logged, supervisor, pass } = bench({ seen: () => (answers ? Promise.resolve(idle) : Promise.reject(new Error('no drbdsetup here'))) })
    await look(4)
    answers = false
    await look(3)
    assert.equal(logged.filter((line) => String(line['msg']).includes('no drbdsetup here')).length, 1)
    answers = true
    await look(6)
    assert.deepEqual(acts, [], 'what was seen before counts no more')
    answers = false
    await look(1)
    assert.equal(await supervisor.healthy(), true)
    pass(200)
    assert.equal(await supervisor.healthy(), false)
    answers = true
    await look(1)
    assert.equal(await supervisor.healthy(), true)
  })

  test('is held where its own memory can not be read', async () => {
    writeFileSync(join(folder, 'supervisor.json'), '{"hold":')
    const { look, acts, supervisor } = bench()
    await look(20)
    assert.deepEqual(acts, [])
    assert.match((await supervisor.status()).hold?.reason ?? '', /can't be read/)
    await supervisor.release('admin')
    await look(7)
    assert.deepEqual(acts, ['idle-primary data'])
  })

  test('stops when the agent does, also in the middle of a look', { timeout: 10_000 }, async () => {
    const begun = Promise.withResolvers<void>()
    const ended = Promise.withResolvers<Picture>()
    const { supervisor, acts } = bench({
      seen: () => {
        begun.resolve()
        return ended.promise
      },
    })
    supervisor.start()
    await begun.promise
    const stopped = supervisor.stop()
    ended.resolve(idle)
    await stopped
    assert.deepEqual(acts, [])
  })
})

suite('a host', () => {
  beforeEach(makeFolder)
  afterEach(removeFolder)

  test('has mirrored volumes where it has resource files', async () => {
    assert.equal(await hasResources(join(folder, 'none')), false)
    writeFileSync(join(folder, 'global_common.conf'), '')
    assert.equal(await hasResources(folder), false)
    writeFileSync(join(folder, 'data.res'), '')
    assert.equal(await hasResources(folder), true)
  })
})

suite('an action has helped', () => {
  const primary = volumeOf('data', { role: 'Primary' })
  const mounted = volumeOf('data', { role: 'Primary' }, { mounts: [mountOf(dockerFolder('data'))] })
  const calm = volumeOf('data')
  const plain: Picture = { volumes: [], docker: undefined }

  test('where the mount is gone and the role fell', () => {
    const action = { kind: 'unmount', mountPoint: dockerFolder('data') } as const
    assert.deepEqual(
      [mounted, primary, calm].map((volume) => hasHelped(action, volume, plain)),
      [false, false, true],
    )
    assert.deepEqual(
      [primary, calm].map((volume) => hasHelped({ kind: 'demote' }, volume, plain)),
      [false, true],
    )
  })

  test('where the containers do not run any more', () => {
    const action = { kind: 'stop-containers', containers: [{ id: 'data-running', name: 'data.1' }] } as const
    const after = (...containers: ReturnType<typeof containerOf>[]): boolean =>
      hasHelped(action, mounted, { volumes: [], docker: dockerOf(containers, { kind: 'unknown' }) })
    assert.deepEqual(
      [after(containerOf('data')), after(containerOf('data', 'exited'), containerOf('other')), hasHelped(action, mounted, plain)],
      [false, true, false],
    )
    assert.equal(hasHelped(action, calm, plain), true)
  })

  test('where the peer is not left alone any more, and a resync moves', () => {
    const with_ = (...connections: ReturnType<typeof connectionOf>[]) => volumeOf('data', { connections })
    const connect = { kind: 'connect', peers: [{ name: 'hive1', nodeId: 1 }] } as const
    assert.equal(hasHelped(connect, with_(connectionOf(1, { state: 'StandAlone' })), plain), false)
    assert.equal(hasHelped(connect, with_(connectionOf(1, { state: 'Connecting' })), plain), true)
    const reconnect = { kind: 'reconnect', peer: { name: 'hive1', nodeId: 1 } } as const
    const resync = (percentDone: number) =>
      connectionOf(1, {
        peerDevices: connectionOf(1).peerDevices.map((device) => ({
          ...device,
          replicationState: 'SyncTarget',
          sync: { percentDone, secondsLeft: 0n, mibPerSecond: 0 },
        })),
      })
    assert.deepEqual(
      [0, 3].map((percent) => hasHelped(reconnect, with_(resync(percent)), plain)),
      [false, true],
    )
    assert.equal(hasHelped(reconnect, with_(connectionOf(1)), plain), true)
  })
})
