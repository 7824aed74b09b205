/** The agent's reporter and a real Zabbix: what it sends arrives, by what the coordinator gave that Zabbix to hold. */
import assert from 'node:assert/strict'
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { pino } from 'pino'
import { errorLines } from '../../agent/watchers/reporter/collect/error-lines.ts'
import type { Collector } from '../../agent/watchers/reporter/collector.ts'
import type { MonitoringConfiguration } from '../../agent/watchers/reporter/configuration.ts'
import { type Encryption, sendValues, type ZabbixServer } from '../../agent/watchers/reporter/zabbix-sender.ts'
import { Reporter } from '../../agent/watchers/reporter.ts'
import { renderTemplates } from '../../coordinator/zabbix/render-template.ts'
import { HiveError } from '../../proto/errors.ts'
import { templates } from '../../proto/monitoring/catalogue.ts'
import { eventually } from '../lab/harness/eventually.ts'
import { freePort } from './free-port.ts'
import { startZabbix, type Zabbix } from './zabbix.ts'

const host = 's-hive0.reported'
const swarmHost = 's-swarm.reported'
const psk = { identity: 'reported-private', key: '0123456789abcdef'.repeat(4) }
const nobody = new AbortController().signal
const rule = { createMissing: true, updateExisting: true }

for (const version of ['6.0', '7.0'] as const) {
  describe(`reporting to Zabbix ${version}`, () => {
    let zabbix: Zabbix
    let folder: string
    let hostId: string

    before(async () => {
      zabbix = await startZabbix({ version })
      folder = await mkdtemp(join(tmpdir(), 'hive-reporter-'))
      hostId = await prepare(zabbix)
    })
    after(async () => {
      await zabbix.stop()
      await rm(folder, { recursive: true, force: true })
    })

    const server = (encryption: Encryption): ZabbixServer => ({ address: '127.0.0.1', port: zabbix.serverPort, encryption })

    it('takes values with the shared key, and none with another one or without', async () => {
      const values = [
        { host, key: 'hive.agent.ping', value: '1' },
        { host, key: 'hive.nothing', value: '1' },
      ]
      await eventually('the host is known', 60_000, async () => (await sendValues(server({ kind: 'psk', ...psk }), values, nobody)).processed === 1)
      assert.deepEqual(await sendValues(server({ kind: 'psk', ...psk }), values, nobody), { processed: 1, failed: 1 })
      assert.equal((await sendValues(server({ kind: 'none' }), values, nobody)).processed, 0)
      await assert.rejects(
        sendValues(server({ kind: 'psk', identity: psk.identity, key: 'ff'.repeat(32) }), values, nobody),
        (error) => error instanceof HiveError && error.code === 'denied',
      )
    })

    it('gets what this machine is, and what it discovered', async () => {
      const reporter = await report({ folder, zabbix, name: 'all' })
      try {
        const last = async (key: string): Promise<string | undefined> =>
          (
            await zabbix.call<{ lastvalue: string; lastclock: string }[]>('item.get', {
              hostids: hostId,
              filter: { key_: key },
              output: ['lastvalue', 'lastclock'],
            })
          ).find(({ lastclock }) => lastclock !== '0')?.lastvalue
        await eventually('memory arrives', 60_000, async () => Number(await last('hive.memory.total')) > 0)
        await eventually('a discovered file system has values', 60_000, async () => Number(await last('hive.fs.total[/]')) > 0)
        await eventually('texts arrive', 60_000, async () => (await last('hive.drift.titles')) === 'the host name')
        const unsupported = await zabbix.call<{ key_: string; error: string }[]>('item.get', {
          hostids: hostId,
          filter: { state: 1 },
          output: ['key_', 'error'],
        })
        assert.deepEqual(unsupported, [])
      } finally {
        await reporter.stop()
      }
    })

    it('what a service uses is the average of its tasks, and too much of it an alert that closes', async () => {
      let percent = [95, 97]
      const told: Collector = {
        name: 'tasks of a service',
        every: 60,
        collect: async () =>
          [
            { key: 'hive.service.discovery', value: '[{"{#SERVICE_NAME}":"web","{#STANDALONE}":"0"}]' },
            { key: 'hive.task.discovery', value: '[{"{#SERVICE_NAME}":"web","{#TASK}":"1"},{"{#SERVICE_NAME}":"web","{#TASK}":"2"}]' },
            ...percent.map((value, index) => ({ key: `hive.task.memory.percent[web,${index + 1}]`, value })),
          ].map((sample) => ({ ...sample, host: swarmHost })),
      }
      const item = 'hive.service.memory.percent[web]'
      const average = async (): Promise<number | undefined> =>
        (
          await zabbix.call<{ lastvalue: string; lastclock: string }[]>('item.get', {
            host: swarmHost,
            filter: { key_: item },
            output: ['lastvalue', 'lastclock'],
          })
        )
          .filter(({ lastclock }) => lastclock !== '0')
          .map(({ lastvalue }) => Number(lastvalue))[0]
      const open = async (): Promise<number> =>
        (
          await zabbix.call<unknown[]>('trigger.get', {
            host: swarmHost,
            filter: { value: 1 },
            search: { description: 'memory above' },
            output: ['description'],
          })
        ).length
      const reporter = await report({ folder, zabbix, name: 'tasks', collectors: [told] })
      try {
        await eventually('the average is computed', 60_000, async () => (await average()) === 96)
        await eventually('there is an alert', 60_000, async () => (await open()) === 1)
        percent = [10, 20]
        await eventually('the average is another one', 60_000, async () => (await average()) === 15)
        // The alert goes by the average of five minutes: enough small values make it fall.
        await eventually('the alert is closed', 90_000, async () => (await open()) === 0)
      } finally {
        await reporter.stop()
      }
    })

    it('its passive checks are answered, encrypted with the same key', async () => {
      const port = await freePort()
      const passive = { port, allowed: ['127.0.0.1'], suffix: 'reported' }
      const disk: Collector = { name: 'a disk', every: 60, collect: async () => [{ key: 'hive.drbd.disk[data2]', value: 'UpToDate' }] }
      const reporter = await report({ folder, zabbix, name: 'passive', collectors: [disk], passive })
      try {
        const { hostids } = await zabbix.call<{ hostids: string[] }>('host.create', {
          host: 'asked.reported',
          groups: await zabbix.call('hostgroup.get', { filter: { name: 'Hives' }, output: ['groupid'] }),
          interfaces: [{ type: 1, main: 1, useip: 1, ip: '127.0.0.1', dns: '', port: String(port) }],
          tls_connect: 2,
          tls_psk_identity: psk.identity,
          tls_psk: psk.key,
        })
        const [asked] = await zabbix.call<{ interfaceid: string }[]>('hostinterface.get', { hostids, output: ['interfaceid'] })
        for (const [key, type] of [
          ['agent.ping', 3],
          ['agent.hostname', 1],
          ['drbd-resource[data2]', 1],
        ] as const)
          await zabbix.call('item.create', {
            hostid: hostids[0],
            interfaceid: asked?.interfaceid,
            name: key,
            key_: key,
            type: 0,
            value_type: type,
            delay: '1s',
          })
        await eventually('all are answered', 90_000, async () => {
          const items = await zabbix.call<{ lastvalue: string }[]>('item.get', { hostids, output: ['lastvalue'], sortfield: 'itemid' })
          return items.map(({ lastvalue }) => lastvalue).join() === `1,${host},UpToDate`
        })
      } finally {
        await reporter.stop()
      }
    })

    it('an outage of the server: everything comes afterwards, once and in order', async () => {
      const log = join(folder, 'service-error.log')
      await writeFile(log, '')
      let lines = 0
      const write = async (count: number): Promise<void> => {
        await appendFile(log, Array.from({ length: count }, () => `line ${++lines}\n`).join(''))
      }
      const told = async (): Promise<readonly string[]> => {
        const [item] = await zabbix.call<{ itemid: string }[]>('item.get', { hostids: hostId, filter: { key_: 'hive.service.error' }, output: ['itemid'] })
        const history = await zabbix.call<{ value: string; clock: string; ns: string }[]>('history.get', {
          history: 2,
          itemids: item?.itemid,
          output: 'extend',
        })
        return history.sort((a, b) => Number(a.clock) - Number(b.clock) || Number(a.ns) - Number(b.ns)).map(({ value }) => value)
      }
      const numbered = () => Array.from({ length: lines }, (_, index) => `line ${index + 1}`)
      const start = () => report({ folder, zabbix, name: 'lines', collectors: [errorLines(log)] })
      let reporter = await start()
      try {
        await write(100)
        await eventually('the first lines arrive', 60_000, async () => (await told()).length === lines)
        await zabbix.stopServer()
        await write(400)
        await eventually('they are read', 60_000, async () => (await queued(folder)) >= 400)
        // A restart of the agent in between, with nothing said goodbye to.
        await reporter.stop()
        reporter = await start()
        await write(300)
        await eventually('they are read', 60_000, async () => (await queued(folder)) >= 700)
        await zabbix.startServer()
        await write(50)
        await eventually('all lines arrive', 60_000, async () => (await told()).length >= lines)
        assert.deepEqual(await told(), numbered())
      } finally {
        await reporter.stop()
      }
    })
  })
}

/** Hosts with all templates, and what they send accepted with the shared key only. */
async function prepare(zabbix: Zabbix): Promise<string> {
  await zabbix.call('configuration.import', {
    format: 'json',
    source: renderTemplates(templates, 1 / 60),
    rules: {
      [zabbix.version === '6.0' ? 'groups' : 'template_groups']: { createMissing: true },
      templates: rule,
      items: rule,
      triggers: rule,
      discoveryRules: rule,
      graphs: rule,
    },
  })
  const { groupids } = await zabbix.call<{ groupids: string[] }>('hostgroup.create', { name: 'Hives' })
  const all = await zabbix.call<{ templateid: string; host: string }[]>('template.get', {
    filter: { host: templates.map(({ name }) => name) },
    output: ['templateid', 'host'],
  })
  const create = async (name: string, wanted: (template: string) => boolean): Promise<string> => {
    const { hostids } = await zabbix.call<{ hostids: string[] }>('host.create', {
      host: name,
      groups: [{ groupid: groupids[0] }],
      templates: all.filter(({ host: template }) => wanted(template)).map(({ templateid }) => ({ templateid })),
      tls_accept: 2,
      tls_psk_identity: psk.identity,
      tls_psk: psk.key,
    })
    return String(hostids[0])
  }
  const id = await create(host, (template) => template !== 'Hive Swarm')
  await create(swarmHost, (template) => template === 'Hive Swarm')
  return id
}

/** A reporter that looks every second. Its state is in a folder of this name, which may be an earlier one's. */
async function report({ folder, zabbix, name, collectors, passive }: Reported): Promise<Reporter> {
  const stateDir = join(folder, name)
  await mkdir(stateDir, { recursive: true })
  const path = join(stateDir, 'monitoring.json')
  const configuration: MonitoringConfiguration = {
    server: '127.0.0.1',
    port: zabbix.serverPort,
    encryption: { kind: 'psk', ...psk },
    host,
    swarmHost: '',
    interval: 1,
    repository: true,
    registryPort: 0,
    ignoredUnits: [],
    certificates: {},
    passive: passive ?? undefined,
  }
  await writeFile(path, JSON.stringify(configuration))
  const reporter = new Reporter({
    stateDir,
    pkiDir: join(folder, 'pki'),
    version: '1.2.3',
    started: new Date(),
    runs: { lastEnded: () => undefined, failed: () => [], different: () => ['the host name'] },
    log: pino({ level: 'silent' }),
    now: () => new Date(),
    path,
    ...(collectors === undefined ? {} : { collectors }),
  })
  reporter.start()
  return reporter
}

interface Reported {
  readonly folder: string
  readonly zabbix: Zabbix
  readonly name: string
  readonly collectors?: readonly Collector[]
  readonly passive?: MonitoringConfiguration['passive']
}

/** Lines in the queue on disk of the reporter that is called lines. */
async function queued(folder: string): Promise<number> {
  const queue = join(folder, 'lines', 'monitoring')
  const segments = (await readdir(queue)).filter((name) => name.endsWith('.jsonl'))
  const texts = await Promise.all(segments.map((name) => readFile(join(queue, name), 'utf8')))
  return texts.join('').split('"hive.service.error"').length - 1
}
