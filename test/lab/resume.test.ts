/** A coordinator that is killed again and again still brings the site up; two at once do not get into each other's way. The tests build on each other. */
import assert from 'node:assert/strict'
import { readdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type HiveEvent, type PhaseName, phaseNames } from '../../coordinator/events.ts'
import { type CommandOutcome, LabSite, type RunningCommand } from './harness/lab-site.ts'
import { openIn, plan, told } from './harness/plans.ts'
import { tinyImageFolder } from './harness/tiny-image.ts'
import { labObstacle } from './obstacle.ts'

const services = 'inventory/services.yml'
const hosts = ['p-hive0', 'p-hive1', 'p-hive2', 'p-hive3']

/** Where a journal can break off: each kind of event in each phase, and a long phase more than once. */
class KillPoints {
  readonly hit = new Map<string, number>()

  /** Asked for one event after the other of one run; answers true where that run is to be killed now. */
  forOneRun(): (event: HiveEvent) => boolean {
    const seen = new Map<string, number>()
    return (event) => {
      if (event.code === 'step.log' || event.code === 'step.progress' || event.code === 'run.finished') return false
      const point = 'phase' in event ? `${event.code} ${event.phase}` : event.code
      const nth = (seen.get(point) ?? 0) + 1
      seen.set(point, nth)
      const before = this.hit.get(point) ?? 0
      const due = before === 0 || (event.code === 'step.finished' && event.phase === 'setup-hosts' && before < 6 && nth === 3)
      if (due) this.hit.set(point, before + 1)
      return due
    }
  }

  has(code: string, phase: PhaseName): boolean {
    return this.hit.has(`${code} ${phase}`)
  }
}

suite('a coordinator that dies', { skip: labObstacle() ?? false }, () => {
  let site: LabSite
  const killed: string[] = []

  before(() => {
    site = new LabSite(new URL('sites/small', import.meta.url).pathname, { images: tinyImageFolder() })
  })

  after(async () => {
    await site.destroy()
  })

  /** A shell command on a host. */
  const on = (host: string, command: string): Promise<string> => site.onHost(`${host}.small`, command)

  /** Deploys, and kills the coordinator at the first event for which `when` answers true. */
  async function deployKilledAt(when: (event: HiveEvent) => boolean): Promise<CommandOutcome> {
    let over = false
    const running: RunningCommand = site.start(['deploy'], {
      onEvent: (event) => {
        if (over || !when(event)) return
        over = true
        running.kill('SIGKILL')
      },
    })
    return running.done
  }

  /** How often each step was carried out with a change, as all agents' own journals tell. */
  async function changesByAgents(): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>()
    const journals = await Promise.all(hosts.map((host) => on(host, 'cat /var/lib/hive-agent/runs/*.jsonl')))
    for (const line of journals.join('').split('\n')) {
      if (line === '') continue
      const { stepId, event } = JSON.parse(line) as { stepId?: string; event?: { $case: string; value: { result?: number } } }
      // 2: STEP_RESULT_CHANGED
      if (stepId !== undefined && event?.$case === 'finished' && event.value.result === 2) counts.set(stepId, (counts.get(stepId) ?? 0) + 1)
    }
    return counts
  }

  const runIdOf = (outcome: CommandOutcome): string => told(outcome, 'run.started')[0]?.runId ?? ''

  test('at any point of its journal leaves a deploy that the next one finishes', async (context) => {
    const points = new KillPoints()
    let last: CommandOutcome | undefined
    // Each run is killed at a point that none was killed at before, so they come to an end.
    for (let attempt = 0; attempt < 60 && last === undefined; attempt++) {
      const outcome = await deployKilledAt(points.forOneRun())
      if (outcome.signal === 'SIGKILL') {
        if (runIdOf(outcome) !== '') killed.push(runIdOf(outcome))
        continue
      }
      assert.equal(outcome.code, 0, `after ${[...points.hit.keys()].at(-1)}: ${JSON.stringify(outcome.errors)}`)
      last = outcome
    }
    assert.ok(last !== undefined, 'every run was killed')
    context.diagnostic(`killed ${killed.length} times`)
    for (const phase of phaseNames)
      for (const code of ['phase.started', 'phase.planned', 'phase.finished']) assert.ok(points.has(code, phase), `${code} ${phase}`)
    // initialize-services has no steps here; the two of build-networks may be done by an agent whose coordinator was killed right after it gave them away.
    for (const phase of phaseNames.filter((name) => name !== 'initialize-services' && name !== 'build-networks'))
      assert.ok(points.has('step.started', phase) || points.has('step.finished', phase), `a step of ${phase}`)
  })

  test('leaves the same site as one that lives', async () => {
    assert.deepEqual(openIn(await plan(site)), [])
    const { result } = await site.succeed(['status'])
    const { services: running } = result as { services: readonly { name: string; running: number; desired: number }[] }
    assert.deepEqual(running.map((service) => [service.name, service.running, service.desired]).sort(), [
      ['store', 1, 1],
      ['web', 3, 3],
    ])
    assert.deepEqual((await on('p-hive0', "docker node ls --format '{{.Hostname}} {{.Status}}'")).trim().split('\n').sort(), [
      'p-hive0 Ready',
      'p-hive1 Ready',
      'p-hive2 Ready',
    ])
    assert.deepEqual((await on('p-hive0', "docker network ls --filter scope=swarm --format '{{.Name}}'")).trim().split('\n').sort(), [
      'apiarist-ingress',
      'front',
      'hive_default_network',
    ])
    for (const host of hosts) assert.equal((await on(host, 'ls /usr/bin/hive-agent* /etc/hive-agent/*.new 2>/dev/null || true')).trim(), '/usr/bin/hive-agent')
    assert.deepEqual(
      readdirSync(site.contextDir).filter((name) => /\.lock|\.stale|\.\d+\./.test(name)),
      [],
    )
  })

  test('has nothing done twice', async () => {
    const twice = [...(await changesByAgents())].filter(([, count]) => count > 1)
    assert.deepEqual(twice, [])
  })

  test('is listed as a run that is not finished', async () => {
    const { result } = await site.succeed(['runs', '--limit', '100'])
    const unfinished = (result as readonly { runId: string; finished?: string }[]).filter(({ finished }) => finished === undefined).map(({ runId }) => runId)
    // One that was killed at its last event may have ended before that.
    assert.ok(unfinished.length >= killed.length - 3, `${unfinished.length} of ${killed.length}`)
    assert.deepEqual(
      unfinished.filter((runId) => !killed.includes(runId)),
      [],
    )
  })

  test('leaves work to agents that runs watch follows to its end', async () => {
    const step = 'deploy-services/store@p-hive0.small'
    const before = (await changesByAgents()).get(step) ?? 0
    site.edit(services, (text) => text.replace('COLOUR: blue', 'COLOUR: green'))
    const dead = await deployKilledAt((event) => event.code === 'step.started' && event.stepId === step)
    assert.equal(dead.signal, 'SIGKILL')
    const watched = await site.succeed(['runs', 'watch'])
    assert.deepEqual(watched.result, { watched: 1 })
    assert.deepEqual(
      told(watched, 'step.finished').map(({ stepId, result }) => [stepId, result]),
      [[step, 'changed']],
    )
    const next = await site.succeed(['deploy'])
    assert.deepEqual(told(next, 'step.started'), [])
    assert.equal((await changesByAgents()).get(step), before + 1)
  })

  test('leaves work to agents that the next deploy awaits instead of doing it again', async () => {
    const step = 'deploy-services/store@p-hive0.small'
    const before = (await changesByAgents()).get(step) ?? 0
    site.edit(services, (text) => text.replace('COLOUR: green', 'COLOUR: red'))
    await deployKilledAt((event) => event.code === 'step.started' && event.stepId === step)
    const next = await site.succeed(['deploy'])
    assert.ok(
      told(next, 'notice').some(({ message }) => /p-hive0\.small still works on a run of .*service store/.test(message)),
      JSON.stringify(told(next, 'notice')),
    )
    assert.deepEqual(
      told(next, 'step.finished').map(({ stepId, title, result }) => [stepId, title, result]),
      [[step, 'service store', 'changed']],
    )
    assert.deepEqual(
      told(next, 'phase.planned').flatMap(({ steps }) => steps.filter(({ outcome }) => outcome.kind !== 'ok')),
      [],
    )
    assert.equal((await changesByAgents()).get(step), before + 1)
  })

  test('that only stopped for a while keeps its lock: others are told who has it and since when', async () => {
    const copy = site.copyOfContext()
    try {
      let reached: () => void = () => undefined
      const working = new Promise<void>((resolve) => {
        reached = resolve
      })
      const first: RunningCommand = site.start(['deploy'], {
        onEvent: (event) => {
          if (event.code !== 'phase.planned' || event.phase !== 'setup-hosts') return
          first.kill('SIGSTOP')
          reached()
        },
      })
      await Promise.race([working, first.done])
      // The agents' lease is not renewed meanwhile, so who asks for that comes first.
      const elsewhere = await site.run(['--context-dir', copy, 'deploy'])
      const [here, halted] = await Promise.all([site.run(['deploy']), site.run(['halt'])])
      first.kill('SIGCONT')
      for (const [refused, what] of [
        [here, 'stage'],
        [elsewhere, 'site'],
        [halted, 'stage'],
      ] as const) {
        assert.equal(refused.code, 3, JSON.stringify(refused.errors))
        assert.deepEqual(
          refused.errors.map(({ code }) => code),
          ['locked'],
        )
        const [, who = '', pid, since = '', purpose] =
          new RegExp(`^(\\S+@\\S+) \\(process (\\d+)\\) holds the ${what} since (\\S+) for (\\w+)`).exec(refused.errors[0]?.message ?? '') ?? []
        assert.ok(who !== '', refused.errors[0]?.message)
        assert.equal(Number(pid), first.pid)
        assert.equal(purpose, 'deploy')
        assert.ok(Date.now() - Date.parse(since) < 300_000, since)
        assert.deepEqual(told(refused, 'run.started'), [])
      }
      assert.equal((await first.done).code, 0)
    } finally {
      rmSync(dirname(copy), { recursive: true, force: true })
    }
    assert.equal((await site.run(['deploy'])).code, 0)
  })

  test('is no obstacle to another context folder either', async () => {
    const copy = site.copyOfContext()
    try {
      const dead = await deployKilledAt((event) => event.code === 'phase.planned' && event.phase === 'setup-hosts')
      assert.equal(dead.signal, 'SIGKILL')
      const next = await site.succeed(['--context-dir', copy, 'deploy'])
      assert.deepEqual(told(next, 'step.started'), [])
    } finally {
      rmSync(dirname(copy), { recursive: true, force: true })
    }
  })
})
