/** Who looks when, and what becomes of those that fail. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { pino } from 'pino'
import { StepResult } from '#gen/hive/v1/run.ts'
import { readOnly, writable } from '../../../agent/adapters/gate.ts'
import { StepOutcomes } from '../../../agent/runs/step-outcomes.ts'
import { monitoringExecutor } from '../../../agent/steps/ensure-monitoring.ts'
import type { StepContext } from '../../../agent/steps/executor.ts'
import type { CollectContext, Collector } from '../../../agent/watchers/reporter/collector.ts'
import { parseMonitoring } from '../../../agent/watchers/reporter/configuration.ts'
import { LookAround } from '../../../agent/watchers/reporter/look-around.ts'
import { Pace } from '../../../agent/watchers/reporter/pace.ts'
import type { Outgoing } from '../../../agent/watchers/reporter/zabbix-sender.ts'
import { Reporter } from '../../../agent/watchers/reporter.ts'
import { HiveError } from '../../../proto/errors.ts'
import { eventually } from '../../lab/harness/eventually.ts'

const contextAt = (now: number): CollectContext => ({
  configuration: { repository: false } as never,
  round: {} as never,
  signal: new AbortController().signal,
  now,
  mark: () => undefined,
})
const collector = (name: string, more: Partial<Collector> = {}): Collector => ({ name, every: 60, collect: async () => [{ key: name, value: 1 }], ...more })

async function look(around: LookAround, now: number, scale = 1): Promise<string[]> {
  const found: string[] = []
  await around.look(contextAt(now), scale, async ({ samples }) => void found.push(...samples.map(({ key }) => key)))
  return found
}

describe('looking around', () => {
  test('one that fails, or never ends, keeps nobody else from looking, and is told until it works again', async () => {
    let broken = true
    const around = new LookAround([
      collector('fails', {
        collect: async () => {
          if (broken) throw new HiveError('command-failed', 'no such disk')
          return [{ key: 'fails', value: 1 }]
        },
      }),
      collector('hangs', { deadline: 20, collect: () => new Promise(() => undefined) }),
      collector('works'),
    ])
    assert.deepEqual(await look(around, 0), ['works'])
    assert.deepEqual(around.problems(), ['fails: no such disk', 'hangs: no answer within 0.02 s'])
    broken = false
    assert.deepEqual(await look(around, 60_000), ['fails', 'works'])
    assert.deepEqual(around.problems(), ['hangs: no answer within 0.02 s'])
  })

  test("each at its own interval, in proportion to the site's", async () => {
    const around = new LookAround([collector('often'), collector('seldom', { every: 600 }), collector('never', { concerns: ({ repository }) => repository })])
    assert.deepEqual(await look(around, 0), ['often', 'seldom'])
    assert.deepEqual(await look(around, 59_000), ['often'])
    assert.deepEqual(await look(around, 70_000), [])
    assert.deepEqual(await look(around, 119_000, 0.1), ['often', 'seldom'])
  })
})

describe('which values are due', () => {
  test('by the interval of each item; a discovery at once when it changes; every line', () => {
    const pace = new Pace()
    const due = (key: string, value: string, now: number, every = 60): boolean => pace.due({ key, value }, now, every, 1)
    assert.deepEqual(
      [0, 60_000, 299_000, 300_000].map((now) => due('hive.memory.total', '1', now)),
      [true, false, true, false],
    )
    assert.ok(due('hive.drbd.discovery', '[]', 0))
    assert.ok(!due('hive.drbd.discovery', '[]', 60_000))
    assert.ok(due('hive.drbd.discovery', '[{}]', 61_000))
    assert.ok(due('hive.service.error', 'a', 0) && due('hive.service.error', 'a', 0))
    assert.ok(!due('hive.nothing', '1', 0))
  })
  test('what counts since the look before is told after every look', () => {
    const pace = new Pace()
    assert.ok(pace.due({ key: 'hive.service.errors', value: 1 }, 0, 60, 1))
    assert.ok(pace.due({ key: 'hive.service.errors', value: 1 }, 10_000, 60, 1))
  })
})

const inFolder = async (work: (folder: string) => Promise<void>): Promise<void> => {
  const folder = await mkdtemp(join(tmpdir(), 'hive-reporter-'))
  try {
    await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

describe('what runs and plans leave', () => {
  const finished = (stepId: string, result: StepResult) =>
    ({ seq: 1n, at: new Date(), stepId, event: { $case: 'finished' as const, value: { result, milliseconds: 1n, reason: '', error: undefined } } }) as const

  test('a plan finds differences, a run sets them right or fails; kept over a restart', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'outcomes.json')
      const now = () => new Date(0)
      const steps = ['a', 'b', 'c'].map((id) => ({ id, title: `step ${id}` }))
      const outcomes = await StepOutcomes.load(path, now)
      outcomes.planned(steps, [
        { stepId: 'a', outcome: { $case: 'change', value: { reason: '', before: '', after: '', disruption: 0 } } },
        { stepId: 'b', outcome: { $case: 'blocked', value: { reason: '', hint: '' } } },
        { stepId: 'c', outcome: { $case: 'ok', value: { notices: [] } } },
      ])
      assert.deepEqual(outcomes.titles('different'), ['step a', 'step b'])
      outcomes.ran(steps, [finished('a', StepResult.FAILED), finished('b', StepResult.CHANGED), finished('c', StepResult.SKIPPED)])
      await outcomes.settled()
      const again = await StepOutcomes.load(path, now)
      assert.deepEqual([again.titles('failed'), again.titles('different')], [['step a'], []])
      again.ran(steps, [finished('a', StepResult.UNCHANGED)])
      assert.deepEqual(again.titles('failed'), [])
      await again.settled()
    }))
})

describe('the step EnsureMonitoring', () => {
  const spec = {
    absent: false,
    server: '192.0.2.9',
    port: 10051,
    certificate: false,
    pskIdentity: 'site-private',
    psk: '00112233445566778899aabbccddeeff',
    host: 'h.site',
    swarmHost: 'swarm.site',
    interval: 60,
    repository: true,
    registryPort: 5000,
    ignoredUnits: ['kdump'],
    certificates: { b: '/b.pem', a: '/a.pem' },
    passive: { port: 10050, allowed: ['192.0.2.9'], suffix: 'site' },
  }
  const context = {} as StepContext

  const needsRoot = { skip: process.getuid?.() === 0 ? false : 'its owner is root' }
  test('writes what the reporter reads, for root only; again it is nothing to do; and takes it away', needsRoot, () =>
    inFolder(async (folder) => {
      const path = join(folder, 'monitoring.json')
      const step = monitoringExecutor(path)
      const before = await readOnly(() => step.check(spec, context))
      assert.equal(before.kind, 'change')
      assert.ok(!JSON.stringify(before).includes(spec.psk))
      await writable(() => step.apply(spec, context))
      assert.deepEqual(await readOnly(() => step.check(spec, context)), { kind: 'ok' })
      assert.equal((await stat(path)).mode & 0o777, 0o600)
      const read = parseMonitoring(await readFile(path, 'utf8'), path)
      assert.deepEqual(read.encryption, { kind: 'psk', identity: 'site-private', key: spec.psk })
      assert.deepEqual(read.passive, spec.passive)
      const gone = { ...spec, absent: true }
      assert.equal((await readOnly(() => step.check(gone, context))).kind, 'change')
      await writable(() => step.apply(gone, context))
      assert.deepEqual(await readOnly(() => step.check(gone, context)), { kind: 'ok' })
    }),
  )

  test('a file that cannot be used is named with its key', () => {
    assert.throws(() => parseMonitoring('{', '/etc/x.json'), /x\.json is no JSON/)
    assert.throws(() => parseMonitoring('{"encryption": {"kind": "none"}, "server": 5}', '/etc/x.json'), /x\.json: server must be a text/)
  })
})

test('the reporter takes notice of its file, and of its absence', () =>
  inFolder(async (folder) => {
    const sent: Outgoing[] = []
    const path = join(folder, 'monitoring.json')
    const reporter = new Reporter({
      stateDir: folder,
      pkiDir: folder,
      version: '1',
      started: new Date(),
      runs: { lastEnded: () => undefined, failed: () => [], different: () => [] },
      log: pino({ level: 'silent' }),
      now: () => new Date(),
      path,
      collectors: [collector('hive.load1')],
      send: () => async (values) => {
        sent.push(...values)
        return { processed: values.length, failed: 0 }
      },
    })
    reporter.start()
    try {
      const configuration = {
        server: '192.0.2.9',
        port: 10051,
        encryption: { kind: 'none' },
        host: 'h.site',
        swarmHost: '',
        interval: 1,
        repository: false,
        registryPort: 0,
        ignoredUnits: [],
        certificates: {},
      }
      await writeFile(path, JSON.stringify(configuration))
      await eventually('values are sent', 20_000, async () =>
        sent.some(({ key, host, clock }) => key === 'hive.load1' && host === 'h.site' && clock !== undefined),
      )
      assert.ok(sent.some(({ key, clock }) => key === 'hive.agent.ping' && clock === undefined))
      await writeFile(path, JSON.stringify({ ...configuration, host: 'other.site' }))
      await eventually('under another name', 20_000, async () => sent.some(({ host, key }) => host === 'other.site' && key === 'hive.load1'))
      await rm(path)
      await writeFile(path, JSON.stringify({ ...configuration, host: 'third.site' }))
      await eventually('again', 20_000, async () => sent.some(({ host, key }) => host === 'third.site' && key === 'hive.load1'))
      await rm(path)
    } finally {
      await reporter.stop()
    }
  }))
