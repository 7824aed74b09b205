/** Logs of services: the configurations that hosts get, run by the real rsyslog. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { connect } from 'node:tls'
import { writable } from '../../agent/adapters/gate.ts'
import { compareRules, type RulePlaces, writeRules } from '../../agent/adapters/log-rules.ts'
import type { Service, Site } from '../../coordinator/inventory/site.ts'
import { collectorConfig } from '../../coordinator/phases/log-files/collector.ts'
import { relayConfig } from '../../coordinator/phases/log-files/relay.ts'
import { logRule } from '../../coordinator/phases/log-files/rule.ts'
import { rotation } from '../../coordinator/phases/log-files/unit.ts'
import { eventually } from '../lab/harness/eventually.ts'
import { SiteCa } from '../unit/agent-core/site-ca.ts'
import { site as sampleSite, service } from '../unit/phases/sample-site.ts'
import { freePort } from './free-port.ts'
import { dockerLine, hostLine, ownGroup, RsyslogHost, rsyslogRoot, sendDatagrams } from './rsyslog.ts'

const patience = 30_000
const day = String.raw`\d{4}/\d\d/\d\d \d\d:\d\d:\d\d`
const base = mkdtempSync(join(tmpdir(), 'hive-rsyslog-'))
const hosts: RsyslogHost[] = []
let root = ''
let folders = 0

before(async () => {
  root = await rsyslogRoot(AbortSignal.timeout(600_000))
})
after(async () => {
  for (const host of hosts) await host.stop()
  rmSync(base, { recursive: true, force: true })
})

const newHost = (): RsyslogHost => {
  const host = new RsyslogHost(root, join(base, String(++folders)))
  hosts.push(host)
  return host
}

interface Pair {
  readonly site: Site
  readonly collector: RsyslogHost
  readonly relay: RsyslogHost
  readonly direct: number
  readonly relayed: number
  readonly docker: number
}

/** A repository server and a hive host of the site s-hive0..3.site. They share one address, so the host listens on a port of its own. */
async function pair(changes: Partial<Site['logs']> = {}, services: readonly Service[] = []): Promise<Pair> {
  const [direct, relayed, docker] = [await freePort(), await freePort(), await freePort()]
  const site = sampleSite({ services, logs: { port: direct, relayPort: relayed, tls: false, group: ownGroup(), retentionDays: 28, spoolMb: 64, ...changes } })
  const repository = { ...ofSite(site, 3), address: '127.0.0.1' }
  const [collector, relay] = [newHost(), newHost()]
  collector.configure(collectorConfig(site, repository, { listen: '127.0.0.1' }))
  relay.configure(relayConfig({ ...site, logs: { ...site.logs, port: docker } }, ofSite(site, 0), repository))
  return { site, collector, relay, direct, relayed, docker }
}

function ofSite(site: Site, index: number): Site['hosts'][number] {
  const host = site.hosts[index]
  assert.ok(host)
  return host
}

const bodies = (lines: readonly string[]): readonly string[] => lines.map((line) => line.replace(new RegExp(`^${day} `), ''))
const seen = (host: RsyslogHost, name: string, count: number): Promise<readonly string[]> =>
  eventually(`${count} lines in ${name}`, patience, async () => {
    const lines = host.lines(name)
    return lines.length >= count ? lines : undefined
  })

/** Waits until it takes datagrams: a line gets through. */
async function ready(collector: RsyslogHost, port: number): Promise<void> {
  await eventually('rsyslog takes lines', patience, async () => {
    await sendDatagrams(port, [dockerLine('ready', 'yes')])
    return collector.lines('services/ready.log').length > 0
  })
}

describe('the repository server', () => {
  let one: Pair
  before(async () => {
    one = await pair()
    one.collector.check()
    one.collector.start()
    await ready(one.collector, one.direct)
  })
  after(() => one.collector.stop())

  test('files what docker sends by the name of the service', async () => {
    await sendDatagrams(one.direct, [dockerLine('web', 'GET /index.html "200"'), dockerLine('a-service-with-a-name-of-some-length-1', 'x')])
    const lines = await seen(one.collector, 'services/web.log', 1)
    assert.match(lines[0] ?? '', new RegExp(`^${day} web\\[4711\\]:  GET /index.html "200"$`))
    assert.deepEqual(bodies(await seen(one.collector, 'services/a-service-with-a-name-of-some-length-1.log', 1)), [
      'a-service-with-a-name-of-some-length-1[4711]:  x',
    ])
  })

  test('files what a standalone service sends by its host name', async () => {
    await sendDatagrams(one.direct, [hostLine('portal', 'nginx', 'started', 3)])
    assert.deepEqual(bodies(await seen(one.collector, 'services/portal.log', 1)), ['daemon.info: nginx: started'])
  })

  test('files a second program of a container by host and program, and everything else of a host in one file', async () => {
    await sendDatagrams(one.direct, [hostLine('s-hive1.site', 'cron', 'ran', 17), hostLine('s-hive7.site', 'sshd', 'hello', 4)])
    assert.deepEqual(bodies(await seen(one.collector, 'services/s-hive1.site.cron.log', 1)), ['cron:  ran'])
    assert.deepEqual(bodies(await seen(one.collector, 'service-other-facility.log', 1)), ['s-hive7.site auth.info: sshd: hello'])
  })

  test('lets the group read, and nobody else', async () => {
    await seen(one.collector, 'services/web.log', 1)
    assert.equal(statSync(join(one.collector.folder, 'log/services/web.log')).mode & 0o777, 0o640)
    assert.equal(statSync(join(one.collector.folder, 'log/services')).mode & 0o777, 0o755)
  })

  test('lets no name lead out of the folder', async () => {
    await sendDatagrams(one.direct, [dockerLine('../../escaped', 'x'), hostLine('../up', 'x', 'y', 3), dockerLine('last', 'x')])
    await seen(one.collector, 'services/last.log', 1)
    assert.deepEqual(readdirSync(one.collector.folder).sort(), ['log', 'output', 'pki', 'rsyslog.conf', 'rules', 'state', 'whole.conf'])
    assert.ok(readdirSync(join(one.collector.folder, 'log')).every((name) => /^service(s|-other-facility\.log)$/.test(name)))
  })

  test('keeps lines as long as docker makes them', async () => {
    const long = 'x'.repeat(16_000)
    await sendDatagrams(one.direct, [dockerLine('long', long)])
    assert.deepEqual(bodies(await seen(one.collector, 'services/long.log', 1)), [`long[4711]:  ${long}`])
  })

  test('goes on in new files when logrotate has turned them, and keeps as many as it shall', async () => {
    const text = rotation({ ...one.site, logs: { ...one.site.logs, retentionDays: 2 } })
    const rest = (): readonly string[] => readdirSync(join(one.collector.folder, 'log/services')).filter((name) => name.startsWith('turn.'))
    for (const number of [1, 2, 3, 4]) {
      await eventually(`line ${number} in the file of now`, patience, async () => {
        await sendDatagrams(one.direct, [dockerLine('turn', `line ${number}`)])
        return one.collector.lines('services/turn.log').some((line) => line.endsWith(`line ${number}`))
      })
      one.collector.rotate(text)
    }
    assert.deepEqual(rest().toSorted(), ['turn.log', 'turn.log.1', 'turn.log.2.gz'])
    assert.equal(statSync(join(one.collector.folder, 'log/services/turn.log')).mode & 0o777, 0o640)
    assert.ok(one.collector.lines('services/turn.log.1').every((line) => !line.endsWith('line 1')))
  })
})

describe('a hive host', () => {
  test('passes lines on as they are, with its own name', async () => {
    const one = await pair()
    for (const host of [one.collector, one.relay]) {
      host.check()
      host.start()
    }
    await ready(one.collector, one.docker)
    const texts = ['plain', ' indented', 'a "quote" \' and \\ back', '100 % $HOME', 'tab\there', 'ü 日本 🐝', '[not] a: tag', '']
    await sendDatagrams(one.docker, [...texts.map((text) => dockerLine('web', text)), dockerLine('web', 'inner', 17)])
    await ready(one.collector, one.direct)
    await sendDatagrams(
      one.direct,
      texts.map((text) => dockerLine('same', text)),
    )
    const direct = bodies(await seen(one.collector, 'services/same.log', texts.length)).map((line) => line.replace(/^same/, 'web'))
    assert.deepEqual(bodies(await seen(one.collector, 'services/web.log', texts.length)), direct)
    assert.deepEqual(bodies(await seen(one.collector, 'services/s-hive0.site.web.log', 1)), ['web[4711]:  inner'])
    await Promise.all([one.collector.stop(), one.relay.stop()])
  })

  const numbers = (from: number, count: number): readonly string[] => Array.from({ length: count }, (_, index) => dockerLine('web', `line ${from + index}`))
  const arrived = async ({ collector }: Pair, number: number): Promise<void> => {
    await eventually(`line ${number}`, 60_000, async () => collector.lines('services/web.log').some((line) => line.endsWith(` line ${number}`)))
  }
  /** In the order they came, each once: what was not acknowledged in time comes again. */
  const order = ({ collector }: Pair): readonly number[] => [
    ...new Set(collector.lines('services/web.log').map((line) => Number(/ line (\d+)$/.exec(line)?.[1]))),
  ]
  const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index)
  /** What is in the queue on disk. */
  const queueOf = ({ relay }: Pair): string => {
    const folder = join(relay.folder, 'state')
    return readdirSync(folder)
      .map((name) => readFileSync(join(folder, name), 'latin1'))
      .join('')
  }
  const takesLines = async (one: Pair): Promise<void> => {
    await eventually('the host takes lines', patience, async () => {
      const mark = `mark ${performance.now()}`
      await sendDatagrams(one.docker, [dockerLine('again', mark)])
      return eventually('a line in the queue', 1000, async () => queueOf(one).includes(mark))
    })
  }

  test('keeps what the repository server missed, in order', async () => {
    const one = await pair()
    one.collector.start()
    one.relay.start()
    await ready(one.collector, one.docker)
    await sendDatagrams(one.docker, numbers(0, 500))
    await arrived(one, 499)
    await one.collector.kill()
    await sendDatagrams(one.docker, numbers(500, 1500))
    one.collector.start()
    await arrived(one, 1999)
    await sendDatagrams(one.docker, numbers(2000, 10))
    await arrived(one, 2009)
    assert.deepEqual(order(one), upTo(2010))
    await Promise.all([one.collector.stop(), one.relay.stop()])
  })

  for (const { how, lost, end } of [
    { how: 'a restart of its own', lost: 0, end: (relay: RsyslogHost) => relay.stop() },
    { how: 'its own death, but for the last ten lines before it', lost: 10, end: (relay: RsyslogHost) => relay.kill() },
  ])
    test(`keeps it over ${how}`, async () => {
      const one = await pair()
      one.relay.start()
      await takesLines(one)
      await sendDatagrams(one.docker, numbers(0, 1500))
      await eventually('the last line in the queue', patience, async () => queueOf(one).includes('line 1499'))
      await end(one.relay)
      one.relay.start()
      await takesLines(one)
      await sendDatagrams(one.docker, numbers(1500, 500))
      one.collector.start()
      await arrived(one, 1999)
      const got = order(one)
      assert.deepEqual(
        got,
        upTo(2000).filter((line) => got.includes(line) || line < 1500 - lost || line >= 1500),
      )
      await Promise.all([one.collector.stop(), one.relay.stop()])
    })

  test('keeps the time of a line that had to wait', async () => {
    const one = await pair()
    one.relay.start()
    await eventually('the host takes lines', patience, async () => {
      await sendDatagrams(one.docker, [dockerLine('web', 'early')])
      return readdirSync(join(one.relay.folder, 'state')).some((name) => name.startsWith('repository.0'))
    })
    const until = Date.now()
    await eventually('another second', patience, async () => Date.now() - until > 1500)
    const start = Date.now()
    one.collector.start()
    const [line = ''] = await seen(one.collector, 'services/web.log', 1)
    assert.ok(new Date(line.slice(0, 19)).getTime() < Math.floor(start / 1000) * 1000, line)
    await Promise.all([one.collector.stop(), one.relay.stop()])
  })
})

describe('with tls_logging', () => {
  const give = async (ca: SiteCa, host: RsyslogHost, name: string): Promise<{ readonly cert: string; readonly key: string }> => {
    const { cert, key } = await ca.issue('hive:agent', name)
    for (const [file, text] of Object.entries({ 'ca.pem': ca.pem, 'cert.pem': cert, 'key.pem': key })) writeFileSync(join(host.folder, 'pki', file), text)
    return { cert, key }
  }

  test('hosts and repository server know each other by certificates of the site, and nobody else gets in', async () => {
    const ca = await SiteCa.make('ca.site')
    const other = await SiteCa.make('ca.site')
    const one = await pair({ tls: true })
    await give(ca, one.collector, 's-hive3.site')
    const client = await give(ca, one.relay, 's-hive0.site')
    for (const host of [one.collector, one.relay]) {
      host.check()
      host.start()
    }
    await ready(one.collector, one.docker)
    await sendDatagrams(one.docker, [dockerLine('web', 'by the host')])
    assert.deepEqual(bodies(await seen(one.collector, 'services/web.log', 1)), ['web[4711]:  by the host'])

    // As docker itself does where hive-builder told it to.
    const send = (credentials: { readonly cert: string; readonly key: string } | undefined, text: string): Promise<string> =>
      new Promise((resolve) => {
        const socket = connect({ host: '127.0.0.1', port: one.direct, ca: ca.pem, servername: 's-hive3.site', ...credentials }, () => {
          socket.write(`${dockerLine('direct', text)}\n`)
          socket.end()
        })
        socket.resume()
        socket.on('error', (error) => resolve(error.message))
        socket.on('close', () => resolve('closed'))
      })
    await send(await other.issue('hive:agent', 's-hive0.site'), 'another CA')
    await send(await ca.issue('hive:reader', 'somebody'), 'another name')
    await send(undefined, 'no certificate')
    await send(client, 'docker')
    assert.deepEqual(bodies(await seen(one.collector, 'services/direct.log', 1)), ['direct[4711]:  docker'])
    assert.ok(!one.collector.lines('services/direct.log').some((line) => line.includes('another') || line.includes('no certificate')))

    const stranger = newHost()
    const port = await freePort()
    stranger.configure(relayConfig({ ...one.site, logs: { ...one.site.logs, port } }, ofSite(one.site, 1), { ...ofSite(one.site, 3), address: '127.0.0.1' }))
    await give(other, stranger, 's-hive1.site')
    stranger.start()
    await eventually('the stranger is refused', patience, async () => {
      await sendDatagrams(port, [dockerLine('stranger', 'x')])
      return /authentication|certificate|TLS|handshake/i.test(stranger.output)
    })
    assert.deepEqual(one.collector.lines('services/stranger.log'), [])
    await Promise.all([one.collector.stop(), one.relay.stop(), stranger.stop()])
  })

  test('takes datagrams from elsewhere only where a standalone service has no other way', async () => {
    const bound = (services: readonly Service[]): string =>
      /^input\(type="imudp".*$/m.exec(collectorConfig(sampleSite({ services, logs: { ...sampleSite().logs, tls: true } }), ofSite(sampleSite(), 3)))?.[0] ?? ''
    assert.match(bound([service()]), / address="127\.0\.0\.1"/)
    assert.doesNotMatch(bound([service({ standalone: true })]), /address/)
  })
})

describe('errors of services', () => {
  const evil: Readonly<Record<string, { readonly monitor: readonly string[]; readonly hit: string; readonly miss: string }>> = {
    quotes: { monitor: ['timed out .* "/x', "it's"], hit: "and it's over", miss: 'its over' },
    backslash: { monitor: ['C:\\\\temp\\\\[a-z]+\\.log', '\\(bad\\)'], hit: 'no C:\\temp\\x.log', miss: 'C:/temp/x.log bad' },
    groups: { monitor: ['^ (ERROR|FATAL)( [0-9]{3})?:'], hit: 'FATAL 500: x', miss: 'an ERROR 500: x' },
    dollar: { monitor: ['\\$HOME', 'cost \\$[0-9]+$'], hit: 'cost $50', miss: 'cost 50' },
    percent: { monitor: ['%msg% [0-9]+%'], hit: '%msg% 90%', miss: 'x 90%' },
    backtick: { monitor: ['`id`'], hit: 'ran `id` now', miss: 'ran id now' },
    unicode: { monitor: ['エラー|grün'], hit: 'ひどいエラー', miss: 'ok' },
    classes: { monitor: ['[[:digit:]]+ failed[[:space:]]'], hit: '12 failed jobs', miss: 'x failed jobs' },
    comment: { monitor: ['# not a comment /\\* nor this'], hit: 'x # not a comment /* nor this', miss: 'x' },
    code: { monitor: ["') then stop #", "' or 1 == 1 or '"], hit: "x ') then stop #", miss: 'x' },
  }
  const places = (collector: RsyslogHost): RulePlaces => ({
    config: collector.configPath,
    folder: collector.rules,
    list: join(collector.folder, 'rules.list'),
    trial: join(collector.folder, 'trial.conf'),
    rsyslogd: collector.command,
  })
  const apply = (collector: RsyslogHost, services: readonly Service[], complete = true): Promise<readonly string[]> =>
    writable(async () => {
      const rules = services.flatMap((one) => {
        const content = logRule(one)
        return content === undefined ? [] : [{ service: one.name, content }]
      })
      const where = places(collector)
      const refused = await writeRules(await compareRules({ rules, absent: [], complete }, where), where, AbortSignal.timeout(patience))
      const left = await compareRules({ rules, absent: [], complete }, where)
      assert.deepEqual([left.writes.length, left.removals, left.listDiffers], [refused.length, [], false])
      return refused
    })

  test('are found by what the inventory says, letter by letter, in the lines of their service only', async () => {
    const services = Object.entries(evil).map(([name, { monitor }]) => service({ name, monitorError: monitor }))
    const ignoring = service({ name: 'ignoring', monitorError: ['ERROR', 'FATAL'], ignoreError: ["ERROR .*don't care", 'known \\[1\\]'] })
    const standalone = service({ name: 'portal', standalone: true, monitorError: ['crit'] })
    const one = await pair({}, [...services, ignoring, standalone])
    assert.deepEqual(await apply(one.collector, [...services, ignoring, standalone]), [])
    one.collector.check()
    one.collector.start()
    await ready(one.collector, one.direct)
    await sendDatagrams(one.direct, [
      ...Object.entries(evil).flatMap(([name, { hit, miss }]) => [dockerLine(name, miss), dockerLine(name, hit), dockerLine('another', hit)]),
      dockerLine('ignoring', "ERROR 1: don't care"),
      dockerLine('ignoring', 'FATAL known [1]'),
      dockerLine('ignoring', 'FATAL real'),
      hostLine('portal', 'nginx', 'crit: x', 3),
      dockerLine('portal', 'crit: y'),
      dockerLine('last', 'x'),
    ])
    await seen(one.collector, 'services/last.log', 1)
    const errors = await seen(one.collector, 'service-error.log', Object.keys(evil).length + 3)
    const path = (name: string): string => join(one.collector.folder, 'log/services', `${name}.log`)
    assert.deepEqual(bodies(errors), [
      ...Object.entries(evil).map(([name, { hit }]) => `${path(name)} ${name}[4711]: ${hit}`),
      `${path('ignoring')} ignoring[4711]: FATAL real`,
      `${path('portal')} nginx: crit: x`,
      `${path('portal')} portal[4711]: crit: y`,
    ])
    await one.collector.stop()
  })

  test('a pattern that rsyslog refuses keeps its service alone from being watched, and its old rule stays', async () => {
    const one = await pair()
    const good = service({ name: 'good', monitorError: ['x'] })
    const bad = (pattern: string): Service => service({ name: 'bad', monitorError: [pattern] })
    assert.deepEqual(await apply(one.collector, [bad('y')]), [])
    for (const [pattern, why] of [
      ['(oops', /^bad: cannot compile regex '\(oops': Unmatched \( or \\\($/],
      ['a(?=b)', /Invalid preceding regular expression/],
      ['x{1,99999}', /Regular expression too big/],
    ] as const) {
      const refused = await apply(one.collector, [bad(pattern), good])
      assert.equal(refused.length, 1)
      assert.match(refused[0] ?? '', why)
      assert.deepEqual(readdirSync(one.collector.rules).sort(), ['bad.conf', 'good.conf'])
      one.collector.check()
    }
  })

  test('rules go with their service; what somebody else put there stays', async () => {
    const one = await pair()
    mkdirSync(one.collector.rules, { recursive: true })
    writeFileSync(
      join(one.collector.rules, 'own.conf'),
      'if $msg contains \'x\' then { action(type="omfile" file="/dev/null" template="logFormatErrorApp") }\n',
    )
    await apply(one.collector, [service({ name: 'one', monitorError: ['x'] }), service({ name: 'two', monitorError: ['x'] })])
    await apply(one.collector, [service({ name: 'three', monitorError: ['x'] })], false)
    assert.deepEqual(readdirSync(one.collector.rules).sort(), ['one.conf', 'own.conf', 'three.conf', 'two.conf'])
    await apply(one.collector, [service({ name: 'two', monitorError: ['x'] })])
    assert.deepEqual(readdirSync(one.collector.rules).sort(), ['own.conf', 'two.conf'])
    one.collector.check()
  })
})
