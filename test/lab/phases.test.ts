/** Every phase on real hosts: applied again, limited, changed, drifted from, switched off and taken away. The tests build on each other. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { parse } from 'yaml'
import { phaseNames } from '../../coordinator/events.ts'
import { eventually, patience } from './harness/eventually.ts'
import { LabSite } from './harness/lab-site.ts'
import { leftovers } from './harness/leftovers.ts'
import { changedBy, nothingLeft, openIn, plan, told } from './harness/plans.ts'
import { tinyImageFolder } from './harness/tiny-image.ts'
import { labObstacle } from './obstacle.ts'

const services = 'inventory/services.yml'
/** Comes before all others in its file, mirrored volume, automatic port and all; writes to its log. */
const early = `  early:
    image: busybox:1
    command: [busybox, sh, -c, "echo early is there; trap exit TERM; while :; do sleep 1 & wait $!; done"]
    endpoint_mode: dnsrr
    ports:
      - target_port: 7000
        protocol: tcp
        mode: host
    volumes:
      - source: early_data
        target: /data
        type: volume
        drbd:
          fstype: ext4
          size: 50M
    stop_grace_period: 1s
`

interface Inventory {
  readonly volumes: readonly { readonly name: string; readonly deviceId: number | null }[]
  readonly services: readonly { readonly name: string; readonly ports: readonly { readonly published: number; readonly target: number }[] }[]
}

interface Status {
  readonly name: string
  readonly stage: string
  readonly hosts: readonly {
    readonly name: string
    readonly address: string
    readonly power: string
    readonly agent?: { readonly host: string; readonly version: string }
    readonly node?: { readonly role: string; readonly state: string; readonly leader: boolean }
  }[]
  readonly services?: readonly { readonly name: string; readonly image: string; readonly running: number; readonly desired: number }[]
  readonly lastRun?: { readonly runId: string; readonly ok?: boolean }
}

suite('the phases of a small site', { skip: labObstacle() ?? false }, () => {
  let site: LabSite
  const hives = ['p-hive0', 'p-hive1', 'p-hive2']
  const repository = 'p-hive3'

  before(async () => {
    site = new LabSite(new URL('sites/small', import.meta.url).pathname, { images: tinyImageFolder() })
    const first = await site.succeed(['deploy'])
    assert.deepEqual(
      told(first, 'phase.finished').map(({ phase, ok }) => ({ phase, ok })),
      phaseNames.map((phase) => ({ phase, ok: true })),
    )
  })

  after(async () => {
    await site.destroy()
  })

  /** A shell command on a host. */
  const on = (host: string, command: string): Promise<string> => site.onHost(`${host}.small`, command)

  /** The tasks of a service that are to run: others after any update of it, whoever makes it. */
  const tasksOf = async (...names: readonly string[]): Promise<readonly string[]> =>
    (await on('p-hive0', `docker service ps -q --no-trunc --filter desired-state=running ${names.join(' ')}`)).trim().split('\n').sort()

  const status = async (): Promise<Status> => (await site.succeed(['status'])).result as Status

  test('every phase, planned and applied again, changes nothing', async () => {
    for (const phase of phaseNames) {
      const [planned, ...others] = await plan(site, '--only', phase)
      assert.deepEqual(others, [])
      assert.ok(planned !== undefined)
      assert.equal(planned.phase, phase)
      assert.deepEqual(openIn([planned]), [])
      const again = await site.succeed([phase])
      assert.deepEqual(changedBy(again), [], phase)
      assert.deepEqual(told(again, 'step.started'), [], phase)
      assert.deepEqual(
        told(again, 'phase.finished').map((event) => [event.phase, event.changed]),
        [[phase, 0]],
      )
    }
  })

  test('an unchanged site is deployed with one Plan call for each host and phase, and no change', async () => {
    const again = await site.succeed(['deploy'])
    assert.deepEqual(told(again, 'step.started'), [])
    assert.deepEqual(
      told(again, 'run.finished').map(({ ok, changed }) => ({ ok, changed })),
      [{ ok: true, changed: 0 }],
    )
    const planned = told(again, 'phase.planned')
    assert.deepEqual(
      planned.map(({ phase }) => phase),
      phaseNames,
    )
    for (const { phase, steps, planCalls, unreachable } of planned) {
      assert.equal(planCalls, phase === 'build-infra' ? 0 : new Set(steps.map(({ host }) => host)).size, phase)
      assert.deepEqual(unreachable, [])
    }
    const callsOf = (name: string): number | undefined => planned.find(({ phase }) => phase === name)?.planCalls
    assert.deepEqual(['setup-hosts', 'build-images', 'build-networks', 'build-volumes', 'deploy-services'].map(callsOf), [4, 1, 1, 3, 3])
  })

  test('a limit leaves other hosts, services and volumes alone', async () => {
    const ofHost = told(await site.succeed(['deploy', '--limit', 'p-hive1']), 'phase.planned').filter(({ phase }) => phase !== 'build-infra')
    const hosts = new Set(ofHost.flatMap(({ steps }) => steps.map(({ host }) => host)))
    assert.deepEqual([...hosts], ['p-hive1.small'])
    for (const { planCalls } of ofHost) assert.ok(planCalls <= 1)

    const ofService = told(await site.succeed(['deploy-services', '--limit', 'store']), 'phase.planned').flatMap(({ steps }) => steps)
    assert.deepEqual(
      ofService.map(({ title }) => title).filter((title) => title.startsWith('service ')),
      ['service store'],
    )
    const ofVolume = told(await site.succeed(['build-volumes', '--limit', 'p-hive2,scratch']), 'phase.planned').flatMap(({ steps }) => steps)
    assert.deepEqual(
      ofVolume.map(({ stepId }) => stepId),
      ['build-volumes/scratch@p-hive2.small'],
    )
    const unknown = await site.run(['deploy', '--limit', 'nobody'])
    assert.equal(unknown.code, 2)
    assert.match(unknown.errors[0]?.message ?? '', /nobody/)
    assert.deepEqual(unknown.events, [])
  })

  test('a service with another environment is the only thing that changes', async () => {
    const web = await tasksOf('web')
    site.edit(services, (text) => text.replace('COLOUR: blue', 'COLOUR: green'))
    assert.deepEqual(
      (await plan(site)).flatMap(({ steps }) => steps.map(({ step, outcome }) => `${outcome} ${step}`)),
      ['change deploy-services/store@p-hive0.small'],
    )
    const changed = await site.succeed(['deploy'])
    assert.deepEqual(changedBy(changed), ['deploy-services/store@p-hive0.small'])
    assert.deepEqual(await tasksOf('web'), web)
    assert.equal((await on(await hostOf('store'), "docker exec $(docker ps -q -f name=store. -f status=running) busybox sh -c 'echo $COLOUR'")).trim(), 'green')
  })

  test('a service with another argument is the only thing that changes', async () => {
    const store = await tasksOf('store')
    site.edit(services, (text) => text.replace('httpd, -f,', 'httpd, -f, -v,'))
    const changed = await site.succeed(['deploy'])
    assert.deepEqual(changedBy(changed), ['deploy-services/web@p-hive0.small'])
    assert.deepEqual(await tasksOf('store'), store)
    assert.deepEqual(openIn(await plan(site)), [])
  })

  async function hostOf(service: string): Promise<string> {
    const node = await on('p-hive0', `docker service ps --filter desired-state=running --format '{{.Node}}' ${service}`)
    return node.trim()
  }

  test('what was changed behind its back is found by the plan and repaired', async () => {
    const running = await hostOf('store')
    const unused = hives.find((hive) => hive !== running) ?? ''
    await Promise.all([
      on('p-hive1', "sed -i '/p-hive2/d' /etc/hosts"),
      on(repository, 'systemctl stop docker-registry'),
      on(unused, 'docker ps -aq --filter volume=scratch | xargs -r docker rm --force && docker volume rm scratch'),
      on('p-hive0', 'docker node update --label-rm hives p-hive2 && docker service rm web'),
    ])
    const drifted = [
      `build-volumes/scratch@${unused}.small`,
      'deploy-services/web@p-hive0.small',
      'setup-hosts/hosts-file@p-hive1.small',
      'setup-hosts/labels@p-hive0.small',
      `setup-hosts/registry@${repository}.small`,
    ]
    const found = (await plan(site)).flatMap(({ steps }) => steps)
    // What only the registry can tell is known once it is back.
    assert.deepEqual(
      found
        .filter(({ reason }) => !/^known once|^the registry does not answer/.test(reason))
        .map(({ step }) => step)
        .sort(),
      drifted,
    )
    assert.deepEqual([...new Set(found.map(({ outcome }) => outcome))], ['change'])
    assert.deepEqual(changedBy(await site.succeed(['deploy'])), drifted)
    assert.deepEqual(openIn(await plan(site)), [])
  })

  test('a service that comes before others moves no device id and no port', async () => {
    const inventory = async (): Promise<Inventory> => (await site.succeed(['inventory'])).result as Inventory
    const numbers = ({ volumes, services: all }: Inventory): readonly string[] => [
      ...volumes.map(({ name, deviceId }) => `${name} ${deviceId}`),
      ...all.flatMap(({ name, ports }) => ports.map(({ published, target }) => `${name} ${target}: ${published}`)),
    ]
    const remembered = (): Record<string, unknown> => parse(readFileSync(join(site.folder, '.hive/persistents.yml'), 'utf8')) as Record<string, unknown>
    const first = numbers(await inventory())
    site.edit(services, (text) => text.replace('  web:\n', `${early}  web:\n`))
    const expected = numbers(await inventory())
    const untouched = await tasksOf('web', 'store')
    const changed = await site.succeed(['deploy'])
    assert.deepEqual(changedBy(changed), ['deploy-services/early@p-hive0.small', ...hives.map((hive) => `build-volumes/early_data@${hive}.small`)].sort())
    const kept = numbers(await inventory())
    assert.deepEqual(kept, expected)
    for (const line of first) assert.ok(kept.includes(line), line)

    // The next one goes before that, with an automatic port too.
    const before = remembered()
    site.edit(services, (text) => text.replace('  early:\n', `${early.replaceAll('early', 'earlier')}  early:\n`))
    await site.succeed(['deploy'])
    const later = numbers(await inventory())
    assert.deepEqual(later.filter((line) => !line.startsWith('earlier')).sort(), [...kept].sort())
    assert.equal(new Set(later.map((line) => line.slice(line.lastIndexOf(' ')))).size, later.length)
    for (const [name, scopes] of Object.entries(before)) {
      for (const [scope, value] of Object.entries(scopes as object))
        assert.partialDeepStrictEqual((remembered()[name] as Record<string, unknown>)[scope], value, `${name} ${scope}`)
    }
    assert.deepEqual(await tasksOf('web', 'store'), untouched)
    assert.deepEqual(openIn(await plan(site)), [])
  })

  test('status tells hosts, swarm, services and the last run', async () => {
    const { name, stage, hosts, services: all, lastRun } = await status()
    assert.deepEqual({ name, stage }, { name: 'small', stage: 'private' })
    assert.deepEqual(
      hosts.map((host) => [host.name, host.address, host.power, host.agent?.host, host.node?.role, host.node?.state]),
      [
        ['p-hive0.small', '10.88.0.4', 'running', 'p-hive0.small', 'manager', 'ready'],
        ['p-hive1.small', '10.88.0.5', 'running', 'p-hive1.small', 'manager', 'ready'],
        ['p-hive2.small', '10.88.0.6', 'running', 'p-hive2.small', 'manager', 'ready'],
        ['p-hive3.small', '10.88.0.7', 'running', 'p-hive3.small', undefined, undefined],
      ],
    )
    assert.equal(hosts.filter(({ node }) => node?.leader === true).length, 1)
    assert.deepEqual(all?.map((service) => [service.name, service.running, service.desired]).sort(), [
      ['earlier', 1, 1],
      ['early', 1, 1],
      ['store', 1, 1],
      ['web', 3, 3],
    ])
    assert.equal(lastRun?.ok, true)
  })

  test('runs lists every run of this admin box, newest first, and shows one', async () => {
    const runs = (await site.succeed(['runs'])).result as readonly {
      runId: string
      command: string
      stage: string
      ok: boolean
      changed: number
      errors: number
    }[]
    const [newest, oldest] = [runs[0], runs.at(-1)]
    assert.ok(newest !== undefined && oldest !== undefined)
    assert.deepEqual([newest.command, newest.stage, newest.ok, newest.errors], ['deploy', 'private', true, 0])
    assert.ok(oldest.command === 'deploy' && oldest.changed > 50)
    assert.deepEqual(
      runs.map(({ runId }) => runId),
      runs
        .map(({ runId }) => runId)
        .sort()
        .reverse(),
    )
    const shown = (await site.succeed(['runs', 'show', newest.runId])).result as readonly { at: string; event: { code: string; runId?: string } }[]
    assert.deepEqual([shown[0]?.event.code, shown[0]?.event.runId, shown.at(-1)?.event.code], ['run.started', newest.runId, 'run.finished'])
    assert.deepEqual((await site.succeed(['runs', 'watch'])).result, { watched: 0 })
    const unknown = await site.run(['runs', 'show', 'nothing'])
    assert.deepEqual([unknown.code, unknown.errors[0]?.code], [1, 'not-found'])
  })

  test('exec runs inside the container, logs tell what it wrote', async () => {
    const said = await site.text(['exec', 'store', 'busybox', 'sh', '-c', 'echo $COLOUR; exit 7'])
    assert.deepEqual(said, { code: 7, out: 'green\n' })
    const lines = (await site.text(['logs', 'early'])).out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { service: string; host: string; line: string })
    assert.deepEqual(
      lines.map(({ service, host, line }) => ({ service, host: host.endsWith('.small'), line })),
      [{ service: 'early', host: true, line: 'early is there' }],
    )
    const unknown = await site.run(['logs', 'nobody'])
    assert.deepEqual([unknown.code, unknown.errors[0]?.code], [1, 'not-found'])
  })

  test('one host is asked directly, by typed operations and by any RPC', async () => {
    const info = (await site.succeed(['node', 'info', 'p-hive2'])).result as Record<string, unknown>
    assert.deepEqual([info['host'], info['osFamily'], typeof info['certificateExpires']], ['p-hive2.small', 'debian', 'string'])
    const swarm = (await site.succeed(['call', 'p-hive1', 'SwarmService/Info', '{}'])).result as Record<string, unknown>
    assert.deepEqual([swarm['state'], swarm['manager'], swarm['managers'], swarm['nodes']], ['active', true, 3, 3])
    const wrong = await site.run(['call', 'p-hive1', 'SwarmService/Nothing', '{}'])
    assert.equal(wrong.code === 0, false)
    assert.match(wrong.errors[0]?.message ?? '', /Nothing/)
  })

  test('a halted stage starts again with all its services, and nothing to change', async () => {
    await site.succeed(['halt'])
    assert.deepEqual(
      (await status()).hosts.map(({ power, agent }) => [power, agent === undefined]),
      Array.from({ length: 4 }, () => ['halted', true]),
    )
    assert.deepEqual(
      (await plan(site, '--only', 'build-infra')).flatMap(({ steps }) => steps.map(({ step }) => step)),
      [...hives, repository].map((host) => `nspawn/start@${host}.small`),
    )
    await site.succeed(['start'])
    await eventually('all services of the started stage', patience, async () => {
      const { services: all } = await status()
      return all?.length === 4 && all.every(({ running, desired }) => desired > 0 && running === desired)
    })
    // Swarm still tells of tasks from before the halt for a while, and then replaces them.
    await nothingLeft(site)
    assert.deepEqual(changedBy(await site.succeed(['deploy'])), [])
  })

  test('destroy asks first, and then leaves nothing on this machine', async () => {
    const namespace = readFileSync(join(site.contextDir, 'netns'), 'utf8').trim()
    assert.ok(leftovers(namespace).length > 20, 'what stands is seen')
    const unasked = await site.run(['destroy'])
    assert.deepEqual([unasked.code, unasked.errors[0]?.code], [1, 'blocked'])
    await site.succeed(['destroy', '--yes'])
    assert.deepEqual(leftovers(namespace), [])
    assert.ok(!existsSync(join(site.contextDir, 'run.lock')))
    await site.succeed(['destroy', '--yes'])
    const planned = await plan(site)
    assert.equal(planned.flatMap(({ steps }) => steps).filter(({ step }) => step.startsWith('nspawn/create@')).length, 4)
  })
})
