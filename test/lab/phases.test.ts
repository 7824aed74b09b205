/** Every phase on real hosts: applied again, limited, changed, drifted from, switched off and taken away. The tests build on each other. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { parse } from 'yaml'
import type { Drift } from '../../coordinator/drift/drift.ts'
import type { LastDrift } from '../../coordinator/drift/last-drift.ts'
import { phaseNames } from '../../coordinator/events.ts'
import { openDashboard } from '../support/dashboard-client.ts'
import { eventually, patience } from './harness/eventually.ts'
import { LabSite } from './harness/lab-site.ts'
import { leftovers } from './harness/leftovers.ts'
import { changedBy, nothingLeft, openIn, plan, told } from './harness/plans.ts'
import { bundleOf, secretsOf } from './harness/support-bundle.ts'
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
    assert.deepEqual(['setup-hosts', 'build-images', 'build-networks', 'build-volumes', 'deploy-services'].map(callsOf), [4, 1, 1, 3, 4])
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
    const onEach = hives.flatMap((hive) => [`build-volumes/early_data@${hive}.small`, `setup-hosts/firewall@${hive}.small`])
    assert.deepEqual(changedBy(changed), ['deploy-services/early@p-hive0.small', ...onEach].sort())
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
    const lines = (await site.text(['logs', 'early', '--from', 'containers'])).out
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

  test('a shell in a container is a terminal of the operator’s size, Ctrl-C is for what runs in it, and its exit code is the command’s', async () => {
    const { code, out } = await site.onTerminal(
      ['shell', 'store'],
      [
        [/# /, 'echo "$COLOUR on $(busybox tty)"; busybox stty size; busybox sleep 1000\r'],
        [/33 101\s+$/, '\x03'],
        [/# /, 'exit 7\r'],
      ],
    )
    assert.match(out, /green on \/dev\/pts\/\d+\s+33 101/)
    assert.equal(code, 7)
  })

  test('files go into a container and come out of it, with folders, links and modes', async () => {
    const here = mkdtempSync(join(tmpdir(), 'hive-lab-copy-'))
    try {
      const tree = join(here, 'tree')
      mkdirSync(join(tree, 'deep'), { recursive: true })
      writeFileSync(join(tree, 'deep/page'), 'a page\n', { mode: 0o640 })
      symlinkSync('/etc/passwd', join(tree, 'away'))
      await site.succeed(['cp', tree, 'store:/scratch'])
      await site.succeed(['cp', join(tree, 'deep/page'), 'store:/scratch/renamed'])
      const listed = await site.text([
        'exec',
        'store',
        'busybox',
        'sh',
        '-c',
        'cd /scratch; cat tree/deep/page renamed; readlink tree/away; stat -c %a:%u renamed',
      ])
      assert.deepEqual(listed, { code: 0, out: 'a page\na page\n/etc/passwd\n640:0\n' })

      await site.succeed(['cp', 'store:/scratch/tree', join(here, 'back')])
      assert.equal(readFileSync(join(here, 'back/deep/page'), 'utf8'), 'a page\n')
      assert.equal(readlinkSync(join(here, 'back/away')), '/etc/passwd')
      await site.succeed(['cp', 'store:/scratch/renamed', here])
      assert.equal(readFileSync(join(here, 'renamed'), 'utf8'), 'a page\n')
      const nothing = await site.run(['cp', 'store:/scratch/nothing', here])
      assert.deepEqual([nothing.code, nothing.errors.map(({ code, message }) => [code, message])], [1, [['not-found', 'store has no file /scratch/nothing']]])
    } finally {
      rmSync(here, { recursive: true, force: true })
    }
  })

  test('tasks are listed, and a service is scaled, restarted and rolled back by its name', async () => {
    const tasks = async (service: string) =>
      ((await site.succeed(['ps', service])).result as { id: string; node: string; state: string; desiredState: string; containerId: string }[]).filter(
        ({ state, desiredState }) => state === 'running' && desiredState === 'running',
      )
    assert.deepEqual((await tasks('web')).map(({ node }) => node).sort(), ['p-hive0', 'p-hive1', 'p-hive2'])
    assert.match((await site.run(['scale', 'web', '2'])).errors[0]?.message ?? '', /runs on each host/)
    await site.succeed(['scale', 'early', '2'])
    await eventually('two tasks', patience, async () => (await tasks('early')).length === 2)
    await site.succeed(['rollback', 'early'])
    const [before] = await eventually('one task', patience, async () => {
      const running = await tasks('early')
      return running.length === 1 ? running : undefined
    })
    await site.succeed(['restart', 'early'])
    await eventually('another container', patience, async () => {
      const running = await tasks('early')
      return running.length === 1 && running[0]?.containerId !== before?.containerId
    })
    await nothingLeft(site)
  })

  test('the dashboard shows the site and follows a service that is restarted from it', async () => {
    await site.onHost('p-hive0.small', 'docker node update --label-rm hives p-hive1')
    const command = site.start(['dashboard', '--operate'])
    try {
      const { url } = await eventually('an address', patience, async () => {
        const [, document = ''] = /^(\{.*?\n\})/s.exec(command.out()) ?? []
        return document === '' ? undefined : (JSON.parse(document) as { readonly url: string })
      })
      const dashboard = await openDashboard(url)
      assert.equal((await fetch(url)).status, 403, 'an address opens once')
      const hosts = await dashboard.section('hosts', (markup) => [...markup.matchAll(/agent \d+\.\d+\.\d+, up /g)].length === 4, patience)
      for (const name of [...hives, repository]) assert.ok(hosts.includes(`data-key="${name}.small"`), name)
      await dashboard.section('troubles', (markup) => /labels-missing: p-hive1\.small: .* lacks the labels hives/.test(markup), patience)
      await site.onHost('p-hive0.small', 'docker node update --label-add hives=true p-hive1')
      const taskOf = (markup: string): string | undefined =>
        /data-key="store"(?:(?!<\/tr>).)*?<li data-key="(\w+)"[^>]*>(?:(?!<\/li>).)*mark good">running/s.exec(markup)?.[1]
      const before = taskOf(await dashboard.section('services', (markup) => taskOf(markup) !== undefined, patience))
      assert.equal(await dashboard.answer('restart', 'store', { confirm: 'web' }), 400)
      assert.equal(await dashboard.answer('restart', 'store', { confirm: 'store' }), 303)
      await dashboard.section('operations', (markup) => markup.includes('restart store') && markup.includes('done'), patience)
      await dashboard.section('services', (markup) => ![undefined, before].includes(taskOf(markup)), patience)
      // What was scaled is the change that is taken back.
      const wanted = () => site.onHost('p-hive0.small', "docker service inspect --format '{{.Spec.Mode.Replicated.Replicas}}' store")
      assert.equal(await dashboard.answer('scale', 'store', { confirm: 'store', replicas: '0' }), 303)
      await dashboard.section('operations', (markup) => markup.includes('scale store 0') && !markup.includes('goes on'), patience)
      assert.equal((await wanted()).trim(), '0')
      assert.equal(await dashboard.answer('rollback', 'store', { confirm: 'store' }), 303)
      await dashboard.section('operations', (markup) => markup.includes('rollback store') && !markup.includes('goes on'), patience)
      assert.equal((await wanted()).trim(), '1')
      await dashboard.section('services', (markup) => taskOf(markup) !== undefined, patience)

      const running = await hostOf('store')
      const unused = hives.findLast((hive) => hive !== running) ?? ''
      assert.match((await dashboard.get(`confirm?do=drain&name=${unused}`)).text, /The guard says that the site goes on/)
      assert.equal(await dashboard.answer('drain', unused, { confirm: unused }), 303)
      await dashboard.section('operations', (markup) => markup.includes(`${unused} is drained`), patience)
      await dashboard.section('hosts', (markup) => markup.includes(`confirm?do=undrain&amp;name=${unused}`), patience)
      assert.equal(await dashboard.answer('undrain', unused, { confirm: unused }), 303)
      await dashboard.section('operations', (markup) => markup.includes(`${unused} takes tasks`), patience)
      await dashboard.section('hosts', (markup) => markup.includes(`confirm?do=drain&amp;name=${unused}`), patience)
      const audited = (await site.succeed(['audit', '--since', '10m'])).result as readonly {
        readonly rpc: string
        readonly role: string
        readonly ok: boolean
      }[]
      for (const name of ['ServiceService/Restart', 'ServiceService/Scale', 'ServiceService/Rollback', 'SwarmService/SetAvailability'])
        assert.ok(
          audited.some(({ rpc, role, ok }) => rpc.endsWith(name) && role === 'hive:admin' && ok),
          name,
        )
    } finally {
      command.kill('SIGINT')
      assert.equal((await command.done).code, 0)
    }
    await nothingLeft(site)
  })

  test('a change whose tasks fail is taken back where the service says so, and the deploy tells', async () => {
    const right = 'echo early is there;'
    site.edit(services, (text) => text.replace('  early:\n', '  early:\n    update_config: {failure_action: rollback, monitor: 10s}\n'))
    assert.deepEqual(changedBy(await site.succeed(['deploy'])), ['deploy-services/early@p-hive0.small'])
    site.edit(services, (text) => text.replace(right, 'exit 3;'))
    const outcome = await site.run(['deploy'])
    assert.deepEqual([outcome.code, outcome.errors.length], [1, 1])
    assert.match(outcome.errors[0]?.message ?? '', /docker took the change of service early back/)
    assert.match(outcome.errors[0]?.hint ?? '', /hivecoord ps early --all/)
    assert.deepEqual(openIn(await plan(site)), ['deploy-services/early@p-hive0.small: change: other command'])
    site.edit(services, (text) => text.replace('exit 3;', right))
    await nothingLeft(site)
  })

  test('secrets and configs are files in the containers; others replace the tasks, and old ones go', async () => {
    const steps = ['deploy-services/early@p-hive0.small']
    const secrets = async () => (await on('p-hive0', 'docker secret ls --format "{{.Name}}"')).trim().split('\n')
    const inside = async (file: string) => (await site.text(['exec', 'early', 'busybox', 'sh', '-c', `stat -c %a ${file}; cat ${file}`])).out
    const content = (text: string): string => `    secrets: [{name: token, content: ${text}, mode: '0400'}]\n`
    const head = '  early:\n'
    site.edit(services, (text) => text.replace(head, `${head}${content('open sesame')}    configs: [{name: motd, content: welcome, target: /motd}]\n`))
    const first = await site.succeed(['deploy'])
    assert.deepEqual(changedBy(first), steps)
    assert.equal(await inside('/run/secrets/token'), '400\nopen sesame')
    assert.equal(await inside('/motd'), '444\nwelcome')
    assert.equal((await secrets()).length, 1)
    let before = 'open sesame'
    for (const next of ['open rye', 'open barley']) {
      site.edit(services, (text) => text.replace(content(before), content(next)))
      assert.deepEqual(changedBy(await site.succeed(['deploy'])), steps)
      assert.equal(await inside('/run/secrets/token'), `400\n${next}`)
      // The one before is what docker would go back to.
      assert.equal((await secrets()).length, 2)
      before = next
    }
    await nothingLeft(site)
    assert.doesNotMatch(JSON.stringify(first.events), /sesame/)
    site.edit(services, (text) => text.replace(content(before), ''))
    await site.succeed(['deploy'])
    await nothingLeft(site)
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

  test('drift is told by host and service, with what the inventory does not know, and kept for the status', async () => {
    const look = async () => {
      const { code, result } = await site.run(['drift'])
      return { code, ...(result as Pick<Drift, 'differences' | 'strangers' | 'unknown'>) }
    }
    assert.deepEqual(await look().then(({ code, differences, strangers, unknown }) => [code, differences, strangers, unknown]), [0, [], [], []])
    await on('p-hive1', "sed -i '/p-hive2/d' /etc/hosts")
    await on('p-hive0', 'docker network create -d overlay left-behind && docker service update -d --env-add COLOUR=red store')
    const found = await look()
    assert.equal(found.code, 4)
    assert.deepEqual(found.differences.map(({ step, service, host }) => `${step}: ${service === '' ? host : service}`).sort(), [
      'deploy-services/store@p-hive0.small: store',
      'setup-hosts/hosts-file@p-hive1.small: p-hive1.small',
    ])
    assert.deepEqual(
      found.strangers.map(({ kind, name, command }) => [kind, name, command]),
      [['network', 'left-behind', `hivecoord call p-hive0 NetworkService/Remove '{"name": "left-behind"}'`]],
    )
    const kept = ((await site.succeed(['status'])).result as { readonly drift?: LastDrift }).drift
    assert.deepEqual([kept?.differences, kept?.strangers, kept?.unknown], [2, 1, 0])
    await site.succeed(['call', 'p-hive0', 'NetworkService/Remove', '{"name": "left-behind"}'])
    await site.succeed(['deploy'])
    await nothingLeft(site)
    assert.equal((await look()).code, 0)
  })

  test('the doctor names what is wrong with hosts and swarm, and the commands it names set it right', async () => {
    interface Found {
      readonly state: string
      readonly hosts: readonly string[]
      readonly command: string
    }
    // How full its disks are is this machine's own.
    const doctor = async (...options: readonly string[]): Promise<readonly string[]> =>
      ((await site.succeed(['doctor', ...options])).result as { readonly findings: readonly Found[] }).findings
        .filter(({ state }) => !state.startsWith('disk-'))
        .map(({ state, hosts, command }) => `${state} ${hosts.map((host) => host.replace('.small', '')).join(',')} ${command}`.trimEnd())
    assert.deepEqual(await doctor(), [])
    await on('p-hive0', 'docker node update --availability drain p-hive2 && docker node update --label-rm hives p-hive1')
    await on('p-hive1', 'systemctl stop hive-logs.service && systemd-run --unit hive-broken false; sleep 1')
    await on(repository, 'systemctl stop docker-registry')
    await on('p-hive2', 'systemctl kill --signal=STOP hive-agent')
    // A service whose tasks are being moved from the drained host is down for a moment.
    let found: readonly string[] = []
    const all = [
      'logs-not-collected p-hive1 hivecoord node unit p-hive1 start hive-logs.service',
      'labels-missing p-hive1 hivecoord setup-hosts',
      'agent-silent p-hive2 hivecoord ssh p-hive2 sudo systemctl restart hive-agent',
      'registry-away p-hive3 hivecoord setup-hosts --limit p-hive3',
      'failed-units p-hive1 hivecoord node unit p-hive1 restart hive-broken.service',
      'node-drained p-hive2 hivecoord host undrain p-hive2',
    ]
    await eventually('all of it is named', patience, async () => {
      found = await doctor()
      return isDeepStrictEqual(found, all)
    }).catch(() => assert.deepEqual(found, all))
    assert.equal((await site.run(['doctor', '--exit-code'])).code, 4)
    await site.text(['ssh', 'p-hive2', 'systemctl kill --signal=CONT hive-agent'])
    await on('p-hive1', 'systemctl reset-failed hive-broken')
    assert.ok(!(await doctor('--repair')).some((line) => line.startsWith('logs-not-collected')))
    assert.equal((await on('p-hive1', 'systemctl is-active hive-logs.service')).trim(), 'active')
    await site.succeed(['host', 'undrain', 'p-hive2'])
    await site.succeed(['setup-hosts'])
    await eventually('nothing is wrong', patience, async () => (await doctor()).length === 0)
    await nothingLeft(site)
  })

  test('a service that a failure left on one host is spread again, and nothing else moves', async () => {
    const crowd =
      '  crowd:\n    image: busybox:1\n    command: [busybox, sh, -c, "trap exit TERM; while :; do sleep 1 & wait $!; done"]\n    replicas: 3\n    stop_grace_period: 1s\n'
    const nodesOf = async (service: string): Promise<readonly string[]> =>
      (await on('p-hive0', `docker service ps ${service} --filter desired-state=running --format '{{.Node}}'`)).trim().split('\n').sort()
    site.edit(services, (text) => text.replace('  web:\n', `${crowd}  web:\n`))
    await site.succeed(['deploy'])
    assert.deepEqual(await nodesOf('crowd'), ['p-hive0', 'p-hive1', 'p-hive2'])
    assert.deepEqual((await site.succeed(['rebalance', 'crowd', '--plan'])).result, { moves: [], kept: [] })
    await on('p-hive0', 'docker node update --availability drain p-hive1 && docker node update --availability drain p-hive2')
    // A task that takes the place of one that is being stopped is not listed before that has gone.
    const onOne = Array.from({ length: 5 }, () => 'p-hive0')
    await eventually('all is on one host', patience, async () => isDeepStrictEqual(await nodesOf('crowd store early'), onOne))
    await on('p-hive0', 'docker node update --availability active p-hive1 && docker node update --availability active p-hive2')
    await eventually(
      'each service is whole',
      patience,
      async () => (await status()).services?.every(({ running, desired }) => running === desired && desired > 0) === true,
    )
    const store = await tasksOf('store')
    const preview = await eventually('it is seen crowded', patience, async () => {
      const { code, result } = await site.run(['rebalance', '--plan'])
      return code === 4
        ? (result as { readonly moves: readonly { readonly service: string }[]; readonly kept: readonly { readonly service: string; readonly why: string }[] })
        : undefined
    })
    assert.deepEqual(
      preview.moves.map(({ service }) => service),
      ['crowd'],
    )
    // Their only task would stop: they are named first.
    for (const { why } of preview.kept) assert.match(why, /one task and the mirrored volume/)
    const { moved } = (await site.succeed(['rebalance'])).result as { readonly moved: readonly { readonly service: string }[] }
    assert.deepEqual(
      moved.map(({ service }) => service),
      ['crowd'],
    )
    assert.deepEqual(await nodesOf('crowd'), ['p-hive0', 'p-hive1', 'p-hive2'])
    assert.deepEqual(await tasksOf('store'), store)
    site.edit(services, (text) => text.replace(crowd, ''))
    await on('p-hive0', 'docker service rm crowd')
    await nothingLeft(site)
  })

  test('a support bundle has what tells of the stage, and none of its secrets', async () => {
    const files = await bundleOf(site)
    const names = [...files.keys()]
    for (const name of [
      'README.txt',
      'versions.json',
      'inventory.json',
      'status.json',
      'doctor.json',
      'drift.json',
      'swarm.json',
      'hosts/p-hive2.small/journal-agent.txt',
    ])
      assert.ok(names.includes(name), `${name} is there: ${names.join(', ')}`)
    assert.deepEqual(
      names.filter((name) => name.endsWith('.missing.txt')).map((name) => `${name}: ${files.get(name)}`),
      [],
    )
    assert.equal(names.filter((name) => name.startsWith('runs/')).length, Math.min(5, ((await site.succeed(['runs'])).result as unknown[]).length))
    const secrets = await secretsOf(
      site,
      [...hives, repository].map((host) => `${host}.small`),
    )
    assert.ok(secrets.has('store_password') && secrets.size > 10, [...secrets.keys()].join(', '))
    for (const [what, secret] of secrets) for (const [name, text] of files) assert.ok(!text.includes(secret), `${name} has the ${what}`)
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
