import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deployPhases, planPhases } from '../../../coordinator/run/deploy.ts'
import { listRuns, readRun } from '../../../coordinator/run/journal.ts'
import { HiveError } from '../../../proto/errors.ts'
import { phaseOf, startLab, thing } from './support/lab.ts'

const id = (name: string, host: string) => `setup-hosts/${name}@${host}`

test('steps run on their hosts in the order of their needs, and a second deploy changes nothing', async (t) => {
  const lab = await startLab(t, ['h0', 'h1', 'repo'])
  const phase = phaseOf([thing('init', 'h0'), thing('join', 'h1', [id('init', 'h0')]), thing('label', 'h0', [id('join', 'h1')]), thing('registry', 'repo')])
  const first = await deployPhases(lab.input([phase]))
  assert.deepEqual({ ok: first.ok, changed: first.changed, errors: first.errors }, { ok: true, changed: 4, errors: [] })
  assert.deepEqual(
    lab.script.order.filter((done) => done !== 'repo:registry'),
    ['h0:init', 'h1:join', 'h0:label'],
  )
  lab.events.length = 0
  const second = await deployPhases(lab.input([phase]))
  assert.equal(second.changed, 0)
  const planned = lab.events.find((event) => event.code === 'phase.planned')
  assert.equal(planned?.code === 'phase.planned' && planned.planCalls, 3)
  assert.ok(!lab.events.some(({ code }) => code.startsWith('step.')))
})

test('a failed step skips what needs it, others go on, and no later phase begins', async (t) => {
  const lab = await startLab(t, ['h0', 'h1', 'repo'])
  lab.script.failing.add('h0:bad')
  const phase = phaseOf([thing('bad', 'h0'), thing('after', 'h1', [id('bad', 'h0')]), thing('apart', 'h1')])
  const later = phaseOf([thing('later', 'h0')], { name: 'build-networks' })
  const result = await deployPhases(lab.input([phase, later]))
  assert.equal(result.ok, false)
  assert.equal(result.changed, 1)
  assert.deepEqual(
    result.errors.map(({ host, stepId, message }) => ({ host, stepId, message })),
    [{ host: 'h0', stepId: id('bad', 'h0'), message: 'no h0:bad today' }],
  )
  const ends = new Map(lab.events.flatMap((event) => (event.code === 'step.finished' ? [[event.stepId, event.result]] : [])))
  assert.deepEqual(
    ends,
    new Map([
      [id('bad', 'h0'), 'failed'],
      [id('after', 'h1'), 'skipped'],
      [id('apart', 'h1'), 'changed'],
    ]),
  )
})

test('a blocked step is told before anything of its phase is touched', async (t) => {
  const lab = await startLab(t, ['h0', 'repo'])
  lab.script.blocking.add('h0:doubtful')
  const result = await deployPhases(lab.input([phaseOf([thing('fine', 'h0'), thing('doubtful', 'h0')])]))
  assert.deepEqual(
    result.errors.map(({ code, hint, stepId }) => ({ code, hint, stepId })),
    [{ code: 'blocked', hint: 'decide', stepId: id('doubtful', 'h0') }],
  )
  assert.deepEqual(lab.script.order, [])
  const limited = await deployPhases(
    lab.input([phaseOf([thing('fine', 'repo'), thing('doubtful', 'h0')])], { limit: { hosts: new Set(['repo']), services: undefined, volumes: undefined } }),
  )
  assert.equal(limited.ok, true)
  assert.deepEqual(lab.script.order, ['repo:fine'])
})

test('what destroys data is refused unless it is named', async (t) => {
  const lab = await startLab(t, ['h0', 'repo'])
  lab.script.destroying.add('h0:wipe')
  const refused = await deployPhases(lab.input([phaseOf([thing('wipe', 'h0')])]))
  assert.equal(refused.errors[0]?.code, 'blocked')
  assert.deepEqual(lab.script.order, [])
  const allowed = await deployPhases(lab.input([phaseOf([thing('wipe', 'h0')])], { allow: new Set(['h0']) }))
  assert.equal(allowed.ok, true)
  assert.deepEqual(lab.script.order, ['h0:wipe'])
})

test('an unreachable host is named and left out while a majority is there, else the deploy stops', async (t) => {
  const lab = await startLab(t, ['h0', 'h1', 'h2', 'repo'])
  const phase = phaseOf(['h0', 'h1', 'h2', 'repo'].map((host) => thing('prepare', host)).concat(thing('use', 'h0', [id('prepare', 'h2')])))
  await lab.running.get('h2')?.stop()
  const result = await deployPhases(lab.input([phase]))
  assert.deepEqual({ ok: result.ok, changed: result.changed, unreachable: result.unreachable }, { ok: true, changed: 4, unreachable: ['h2'] })
  await lab.running.get('h1')?.stop()
  const stopped = await deployPhases(lab.input([phase], { agents: lab.otherAgents() }))
  assert.equal(stopped.errors[0]?.code, 'unreachable')
  assert.match(stopped.errors[0].message, /no majority/)
})

test('what comes after the repository server on other hosts is left as it is while that server is away, and all else is done', async (t) => {
  const lab = await startLab(t, ['h0', 'repo'])
  const phase = phaseOf([
    ...['h0', 'repo'].map((host) => thing('prepare', host)),
    thing('watch', 'repo'),
    thing('report', 'h0', [id('watch', 'repo')]),
    thing('serve', 'h0', [id('prepare', 'repo')]),
  ])
  await lab.running.get('repo')?.stop()
  const { ok, errors, unreachable } = await deployPhases(lab.input([phase]))
  assert.deepEqual({ ok, errors, unreachable }, { ok: true, errors: [], unreachable: ['repo'] })
  assert.deepEqual(lab.script.order.toSorted(), ['h0:prepare', 'h0:serve'])
  assert.ok(
    lab.events.some((event) => event.code === 'warning' && event.message === 'h0: do report: left as it is, since repo comes first and does not answer'),
  )
})

test('a second coordinator is told who holds the site', async (t) => {
  const lab = await startLab(t, ['h0', 'repo'])
  let open = () => {}
  lab.script.gates.set('h0:slow', new Promise((resolve) => (open = resolve)))
  const begun = new Promise<void>((resolve) => (lab.script.begun = () => resolve()))
  const phase = phaseOf([thing('slow', 'h0')])
  const first = deployPhases(lab.input([phase]))
  await begun
  await assert.rejects(
    deployPhases(lab.input([phase])),
    (error) => error instanceof HiveError && error.code === 'locked' && /holds the stage since .* for deploy/.test(error.message),
  )
  // From another machine, which does not see this one's lock file.
  const elsewhere = { ...lab.site, contextDir: `${lab.site.contextDir}/elsewhere` }
  await assert.rejects(
    deployPhases(lab.input([phase], { site: elsewhere })),
    (error) => error instanceof HiveError && error.code === 'locked' && /lease ends at/.test(error.message),
  )
  open()
  assert.equal((await first).ok, true)
  assert.equal((await deployPhases(lab.input([phase], { site: elsewhere }))).ok, true)
})

test('a cancelled deploy asks agents to stop, and gives the locks back', async (t) => {
  const lab = await startLab(t, ['h0', 'repo'])
  lab.script.gates.set('h0:endless', new Promise(() => undefined))
  const controller = new AbortController()
  lab.script.begun = () => controller.abort()
  const result = await deployPhases(lab.input([phaseOf([thing('endless', 'h0')])], { signal: controller.signal }))
  assert.equal(result.errors[0]?.code, 'cancelled')
  lab.script.gates.clear()
  lab.script.begun = () => undefined
  assert.equal((await deployPhases(lab.input([phaseOf([thing('endless', 'h0')])]))).ok, true)
})

test('what a killed coordinator left running is followed to its end before anything is planned', async (t) => {
  const lab = await startLab(t, ['h0', 'repo'])
  let open = () => {}
  lab.script.gates.set('h0:slow', new Promise((resolve) => (open = resolve)))
  const client = await lab.agents.client('h0')
  const begun = new Promise<void>((resolve) => (lab.script.begun = () => resolve()))
  await client.step.startRun({ key: 'of another', owner: 'someone@elsewhere', deployId: 'gone', steps: [thing('slow', 'h0')] })
  await begun
  const noticed = new Promise<void>((resolve) => {
    lab.events.push = (event) => {
      if (event.code === 'notice' && event.message.includes('someone@elsewhere')) resolve()
      return Array.prototype.push.call(lab.events, event)
    }
  })
  const deploy = deployPhases(lab.input([phaseOf([thing('slow', 'h0')])]))
  await noticed
  open()
  const result = await deploy
  assert.deepEqual({ ok: result.ok, changed: result.changed }, { ok: true, changed: 0 })
  assert.deepEqual(lab.script.order, ['h0:slow'])
})

test('every event of a run is in its journal', async (t) => {
  const lab = await startLab(t, ['h0', 'repo'])
  const { runId } = await deployPhases(lab.input([phaseOf([thing('one', 'h0')])]))
  assert.deepEqual(
    readRun(lab.site.contextDir, runId).map(({ event }) => event.code),
    lab.events.map(({ code }) => code),
  )
  const [record] = listRuns(lab.site.contextDir)
  assert.deepEqual({ runId: record?.runId, ok: record?.ok, changed: record?.changed }, { runId, ok: true, changed: 1 })
})

test('a plan asks no host that does not exist, and lists all of its steps as changes', async (t) => {
  const lab = await startLab(t, ['h0', 'repo'])
  lab.pki.forgetHost('repo')
  lab.script.done.add('h0:one')
  const [report] = await planPhases(lab.input([phaseOf([thing('one', 'h0'), thing('one', 'repo')])]))
  assert.deepEqual(
    report?.steps.map(({ host, outcome }) => [host, outcome.kind, 'reason' in outcome ? outcome.reason : '']),
    [
      ['h0', 'ok', ''],
      ['repo', 'change', 'host is to be created'],
    ],
  )
  assert.equal(report.planCalls, 1)
  assert.deepEqual(lab.script.order, [])
})

test('what a host tells of a step that has nothing to do is a notice of plan and deploy', async (t) => {
  const lab = await startLab(t, ['h0', 'h1', 'repo'])
  lab.script.done.add('h0:module').add('h1:module')
  lab.script.notices.set('h1:module', ['old, and this is the way'])
  const phase = phaseOf([thing('module', 'h0'), thing('module', 'h1')])
  const [report] = await planPhases(lab.input([phase]))
  assert.deepEqual(report?.notices, ['h1: old, and this is the way'])
  lab.events.length = 0
  const { ok, changed } = await deployPhases(lab.input([phase]))
  assert.deepEqual({ ok, changed }, { ok: true, changed: 0 })
  assert.deepEqual(
    lab.events.flatMap((event) => (event.code === 'notice' ? [event.message] : [])),
    ['h1: old, and this is the way'],
  )
})

test('a host of a site that stands and cannot be reached for its repair does not stop the others', async (t) => {
  const lab = await startLab(t, ['h0', 'h1', 'h2', 'repo'])
  await lab.running.get('h2')?.stop()
  const infrastructure = {
    absent: async () => new Set<string>(),
    plan: async () => ({
      steps: [
        {
          phase: 'build-infra',
          host: 'h2',
          stepId: 'agent@h2',
          title: 'install the agent',
          outcome: { kind: 'change', reason: '', before: '', after: '', disruption: 0 },
        } as const,
      ],
      notices: [],
    }),
    apply: async () => {
      throw new HiveError('unreachable', 'no ssh to h2')
    },
  }
  const phases = ['build-infra', phaseOf(['h0', 'h1', 'h2'].map((host) => thing('prepare', host)))] as const
  const result = await deployPhases(lab.input([], { phases, infrastructure }))
  assert.deepEqual({ ok: result.ok, changed: result.changed, unreachable: result.unreachable }, { ok: true, changed: 2, unreachable: ['h2'] })
  lab.pki.forgetHost('h2')
  const made = await deployPhases(lab.input([], { phases, infrastructure }))
  assert.equal(made.errors[0]?.message, 'no ssh to h2')
})
