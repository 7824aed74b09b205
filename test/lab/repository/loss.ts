/** The site without its repository server, and with a new one: who asks the site meanwhile does not notice. The tests build on each other. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { DeployResult } from '../../../coordinator/run/deploy.ts'
import { nodesReady, power } from '../harness/breaking.ts'
import { eventually, patience } from '../harness/eventually.ts'
import { inWords, Load } from '../harness/load.ts'
import { changedBy } from '../harness/plans.ts'
import { type AskZabbix, askZabbix } from './ask-zabbix.ts'
import type { RepositoryLab } from './lab.ts'

const services = 'inventory/services.yml'
const page = 'roles/page/tasks/main.yml'

export function lossTests(lab: RepositoryLab): void {
  let load: Load

  before(() => {
    load = new Load(
      lab.site,
      lab.hives.map((host) => `http://${lab.addresses[host]}:8080/`),
      'page',
    )
  })
  after(() => load.stop())

  /** In the only container of a service on this host. */
  const inside = (host: string, service: string, command: string): Promise<string> =>
    lab.onHost(host, `docker exec $(docker ps -q --filter label=com.docker.swarm.service.name=${service} | head -1) busybox ${command}`, 30_000)

  const containerOf = async (host: string, service: string): Promise<string> =>
    (await lab.onHost(host, `docker ps -q --no-trunc --filter label=com.docker.swarm.service.name=${service}`, 30_000)).trim()

  /** Of all services, on all hosts. */
  const containers = async (): Promise<readonly string[]> => {
    const lists = lab.hives.map((host) => lab.onHost(host, 'docker ps --no-trunc --format "{{.ID}} {{.Image}}" --filter label=com.docker.swarm.service.name'))
    return (await Promise.all(lists)).flatMap((text) => text.trim().split('\n')).sort()
  }

  test('dockerd starts tasks without asking a registry', async () => {
    for (const host of lab.hives) assert.match(await lab.onHost(host, 'systemctl show docker --property Environment'), /DOCKER_SERVICE_PREFER_OFFLINE_IMAGE=1/)
  })

  /** The first value that Zabbix has of this item, and how many it has of a time, seconds since 1970. */
  const valuesOf = async (ask: AskZabbix, from = 0, until = Date.now() / 1000): Promise<{ readonly first: number | undefined; readonly count: number }> => {
    const [item] = await ask<{ itemid: string; value_type: string }[]>('item.get', {
      host: lab.hives[0],
      filter: { key_: 'hive.memory.total' },
      output: ['itemid', 'value_type'],
    })
    if (item === undefined) return { first: undefined, count: 0 }
    const history = await ask<{ clock: string }[]>('history.get', {
      history: Number(item.value_type),
      itemids: [item.itemid],
      time_from: Math.floor(from),
      time_till: Math.floor(until),
      sortfield: 'clock',
    })
    return { first: history[0] === undefined ? undefined : Number(history[0].clock), count: history.length }
  }
  const zabbixBackups = async (): Promise<readonly string[]> => {
    const { backups } = (await lab.site.succeed(['backup', 'list'])).result as { backups: { name: string; files: { file: string }[] }[] }
    return backups.flatMap(({ name, files }) => (name === 'hive-zabbix' ? files.map(({ file }) => file) : []))
  }
  let oldest: number | undefined
  let kept: readonly string[] = []
  let away = 0

  test('what it has of history is copied elsewhere with the backups', async () => {
    const ask = askZabbix(lab)
    oldest = await eventually('a value of the first host', patience, async () => (await valuesOf(ask)).first)
    await lab.site.succeed(['backup', 'run', 'hive-zabbix'])
    kept = await zabbixBackups()
    assert.notDeepEqual(kept, [])
  })

  test('without it and without another host at once the site serves, and moves and restarts its services', async (context) => {
    await load.more(20)
    const old = await eventually('the store runs', patience, () => lab.hostOf('store'))
    const firstLine = await inside(old, 'store', 'head -n 1 /data/log')
    const lines = Number(await inside(old, 'store', 'grep -c . /data/log'))

    const began = Date.now()
    away = began / 1000
    await Promise.all([power(lab.site, 'off', lab.repository), power(lab.site, 'off', old)])
    const found = await eventually('the store runs elsewhere', patience, async () => {
      const host = await lab.hostOf('store')
      return host !== undefined && host !== old && Number(await inside(host, 'store', 'grep -c . /data/log')) > lines ? host : undefined
    })
    context.diagnostic(`the store runs elsewhere after ${((Date.now() - began) / 1000).toFixed(1)} s`)
    assert.equal(await inside(found, 'store', 'head -n 1 /data/log'), firstLine)

    const chatting = await eventually('chatter runs', patience, async () => {
      const host = await lab.hostOf('chatter')
      return host !== undefined && host !== old ? host : undefined
    })
    const killed = await containerOf(chatting, 'chatter')
    await lab.onHost(chatting, `docker kill ${killed}`)
    await eventually('chatter runs again', patience, async () => {
      const now = await containerOf((await lab.hostOf('chatter')) ?? '', 'chatter')
      return now !== '' && now !== killed
    })

    await load.more(20)
    const report = load.report(began)
    context.diagnostic(inWords(report))
    assert.deepEqual(report.failed, [], inWords(report))
    await power(lab.site, 'on', old)
    await nodesReady(lab.site, lab.hives[0], 3)
    await lab.allRun()
  })

  test('a deploy without it changes what needs no new image, and says what is left', async () => {
    lab.site.edit(services, (text) => text.replace('COLOUR: blue', 'COLOUR: green'))
    lab.site.edit(page, (text) => text.replace('echo page', 'echo other page'))
    const outcome = await lab.site.run(['deploy', '--from', 'setup-hosts'])
    lab.site.edit(page, (text) => text.replace('echo other page', 'echo page'))
    const { errors, unreachable } = outcome.result as DeployResult
    assert.deepEqual([outcome.code, errors, unreachable], [5, [], [lab.repository]])
    assert.deepEqual(changedBy(outcome), [`deploy-services/store@${lab.hives[0]}`])
    const warnings = outcome.events.flatMap((event) => (event.code === 'warning' ? [event.message] : []))
    assert.ok(warnings.includes(`service web is left as it is: its image is in the registry of ${lab.repository}, which does not answer`), warnings.join('\n'))
  })

  test('its disk lost with it, one deploy makes it anew, and nobody who asks the site notices', async (context) => {
    const before = await containers()
    const began = Date.now()
    await lab.site.succeed(['lab', 'lose', lab.repository, '--yes'])
    const deployed = await lab.site.succeed(['deploy'], { deadline: 600_000 })
    context.diagnostic(`a new one after ${(deployed.milliseconds / 1000).toFixed(0)} s`)
    // Hosts do nothing but give images back.
    assert.deepEqual(
      changedBy(deployed).filter((id) => !id.endsWith(`@${lab.repository}`) && !id.startsWith('build-images/push-')),
      [],
    )
    assert.deepEqual(await containers(), before)
    await lab.nothingToDo()
    const report = load.report(began)
    context.diagnostic(inWords(report))
    assert.deepEqual([report.failed, report.delayed], [[], 0], inWords(report))

    assert.deepEqual((await zabbixBackups()).slice(-kept.length), kept)
    const ask = askZabbix(lab)
    assert.equal((await valuesOf(ask)).first, oldest)
    await eventually('values of the time without it', patience, async () => (await valuesOf(ask, away + 10, began / 1000 - 5)).count > 0)
  })
}
