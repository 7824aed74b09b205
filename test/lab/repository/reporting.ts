/** What agents report: real conditions raise alerts, and their end closes them. */
import assert from 'node:assert/strict'
import { after, it } from 'node:test'
import { power, smallDisk } from '../harness/breaking.ts'
import { eventually } from '../harness/eventually.ts'
import { type AskZabbix, askZabbix } from './ask-zabbix.ts'
import type { RepositoryLab } from './lab.ts'

/** Milliseconds: values come every few seconds, and Zabbix looks for silence every 30. */
const patience = 240_000
/** Seconds: {$HIVE.SERVICE.UPTIME.MIN} of this site. */
const young = 30

export function reportingTests(lab: RepositoryLab): void {
  const ask = askZabbix(lab)
  const [, second, third] = lab.hives
  const swarm = 'p-swarm.depot'
  /** What is alerted whatever this test does: the machine that the lab runs on has its own troubles. */
  let usual: ReadonlySet<string> = new Set()
  const alerts = async (): Promise<readonly string[]> => (await openAlerts(ask)).filter((alert) => !usual.has(alert))
  /** Values of the swarm whose keys begin so, for errors. */
  const told = async (key: string): Promise<string> => {
    const items = await ask<Record<string, string>[]>('item.get', {
      host: swarm,
      search: { key_: key },
      startSearch: true,
      output: ['key_', 'lastvalue', 'lastclock'],
    })
    return items.map(({ key_, lastvalue, lastclock }) => `${key_} ${lastvalue} at ${lastclock}`).join(', ')
  }
  const cleanups: (() => Promise<unknown>)[] = []
  after(async () => {
    for (const clean of cleanups) await clean().catch(() => undefined)
  })

  it('every host tells of itself, the leader of the swarm', async () => {
    const values = async (host: string, key: string): Promise<readonly string[]> => {
      const items = await ask<{ key_: string; lastvalue: string; lastclock: string }[]>('item.get', {
        host,
        search: { key_: key },
        startSearch: true,
        output: ['key_', 'lastvalue', 'lastclock'],
      })
      return items.filter(({ lastclock }) => lastclock !== '0').map(({ lastvalue }) => lastvalue)
    }
    for (const host of [...lab.hives, lab.repository])
      await eventually(`${host} reports`, patience, async () => Number((await values(host, 'hive.memory.total'))[0]) > 0)
    for (const key of [
      'hive.service.replicas.running[web]',
      'hive.task.memory.percent[web,1]',
      'hive.task.memory.percent[web,2]',
      'hive.service.memory.percent[web]',
      'hive.service.cpu[chatter]',
      'hive.volume.pused[notes,1,/data]',
    ])
      await eventually(`${key} has a value`, patience, async () => (await values(swarm, key)).length > 0)
    await eventually('the leader says which hosts it reaches', patience, async () => {
      const ready = await Promise.all(lab.hives.map((host) => values(host, 'hive.swarm.node.ready')))
      return ready.every(([value]) => value === '1')
    })
    assert.deepEqual(await values(lab.repository, 'hive.registry.up'), ['1'])
    const unsupported = await ask<{ key_: string; error: string }[]>('item.get', { filter: { state: 1 }, output: ['key_', 'error'], monitored: true })
    assert.deepEqual(unsupported, [])
  })

  it('a task killed, a volume filled, a unit and a backup that fail, an error logged: each is an alert, and closes', async () => {
    // A service that was just deployed counts as started, and one that is started again as restarted.
    await eventually('no service is young', patience, async () => {
      const items = await ask<{ lastvalue: string }[]>('item.get', {
        host: swarm,
        search: { key_: 'hive.service.uptime[' },
        startSearch: true,
        output: ['lastvalue'],
      })
      return (
        items.length >= 4 && items.every(({ lastvalue }) => Number(lastvalue) > young) && (await openAlerts(ask)).every((alert) => !alert.includes('Service'))
      )
    })
    usual = new Set(await openAlerts(ask))
    const chatting = await lab.hostOf('chatter')
    assert.ok(chatting !== undefined)
    await lab.onHost(chatting, 'docker kill $(docker ps -q --filter label=com.docker.swarm.service.name=chatter)')
    const emptied = await smallDisk(lab.site, second, '/var/lib/docker/volumes/notes_data/_data', '1m', true)
    cleanups.push(emptied)
    await lab.onHost(third, 'systemd-run --unit hive-broken false; sleep 1; systemctl is-failed hive-broken')
    cleanups.push(() => lab.onHost(third, 'systemctl reset-failed hive-broken'))
    await lab.onRepository("echo '2026/01/01 00:00:00 /var/log/services/chatter.log ERROR: out of honey' >> /var/log/service-error.log")
    const expected = [
      `${swarm}: Service chatter was restarted`,
      `${swarm}: Service notes: volume notes_data at /data is more than 90 % full`,
      `${third}: Units of systemd failed`,
      `${lab.repository}: Services logged errors`,
    ]
    // Not at one moment: some close by themselves.
    const seen = new Set<string>()
    await eventually('all of them are alerts', patience, async () => {
      for (const alert of await alerts()) seen.add(alert)
      return expected.every((alert) => seen.has(alert))
    }).catch((error: unknown) => {
      throw new Error(`missing: ${expected.filter((alert) => !seen.has(alert)).join(', ')}; seen: ${[...seen].join(', ')}`, { cause: error })
    })
    // Where a value was taken before swarm had started it again.
    seen.delete(`${swarm}: Service chatter: fewer tasks run than there should`)
    assert.deepEqual([...seen].sort(), [...expected].sort())
    for (const clean of cleanups.splice(0)) await clean()
  })

  it('one dead host is one alert, and one for the service that cannot run without it; both close', async () => {
    await power(lab.site, 'off', third)
    cleanups.push(() => power(lab.site, 'on', third))
    await lab.onHost(lab.hives[0], 'docker service scale -d web=3')
    cleanups.push(() => lab.onHost(lab.hives[0], 'docker service scale -d web=2'))
    const expected = [`${third}: Agent was not heard for 30s`, `${swarm}: Service web: fewer tasks run than there should`]
    let open: readonly string[] = []
    await eventually('these are all alerts', patience, async () => {
      open = await alerts()
      return open.length === expected.length && expected.every((alert) => open.includes(alert))
    }).catch(async (error: unknown) => {
      const swarmSays = await lab.onHost(lab.hives[0], 'docker node ls; docker service ls; docker service ps web').catch(String)
      throw new Error(`alerts: ${open.join(', ')}; usual ones: ${[...usual].join(', ')}; told: ${await told('hive.service.replicas')}\n${swarmSays}`, {
        cause: error,
      })
    })
    const { alerts: shown = [] } = (await lab.site.run(['status'])).result as {
      readonly alerts?: readonly { readonly host: string; readonly name: string }[]
    }
    for (const alert of expected)
      assert.ok(
        shown.some(({ host, name }) => `${host}: ${name}` === alert),
        `${alert} among ${JSON.stringify(shown)}`,
      )
    for (const clean of cleanups.splice(0)) await clean()
    await eventually('all alerts are closed', patience, async () => {
      open = await alerts()
      return open.length === 0
    }).catch((error: unknown) => {
      throw new Error(`alerts: ${open.join(', ')}`, { cause: error })
    })
  })
}

/** HOST: NAME of what is a problem and depends on none. */
async function openAlerts(ask: AskZabbix): Promise<readonly string[]> {
  const triggers = await ask<{ description: string; hosts: { host: string }[] }[]>('trigger.get', {
    filter: { value: 1 },
    min_severity: 2,
    monitored: true,
    skipDependent: true,
    expandDescription: true,
    output: ['description'],
    selectHosts: ['host'],
  })
  return triggers.map(({ description, hosts }) => `${hosts[0]?.host}: ${description}`)
}
