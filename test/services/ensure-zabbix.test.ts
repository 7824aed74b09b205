/** What the step EnsureZabbix makes of a new Zabbix, and what it leaves alone: against the real thing, read back through its API. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { EnsureZabbix } from '#gen/hive/v1/steps_repository.ts'
import { readOnly, writable } from '../../agent/adapters/gate.ts'
import { ensureZabbix } from '../../agent/steps/ensure-zabbix.ts'
import type { CheckOutcome, StepContext } from '../../agent/steps/executor.ts'
import { renderTemplates } from '../../coordinator/zabbix/render-template.ts'
import { templates } from '../../proto/monitoring/catalogue.ts'
import { startZabbix, type Zabbix } from './zabbix.ts'

const password = 'a-long-Password-of-its-own-1'
const psk = 'a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90'

const host = (name: string, groups: string[], own: string[]) => ({
  name,
  visibleName: '',
  address: '127.0.0.1',
  port: 10050,
  groups: [...groups, 'Hive/pdns-private'],
  templates: own,
  macros: { '{$HIVE.AGENT.SILENCE}': '3m' },
  pskIdentity: 'pdns-private-12345678',
  psk,
})

const specFor = (zabbix: Zabbix): EnsureZabbix => ({
  access: { port: Number(new URL(zabbix.apiUrl).port), user: 'Admin', password },
  site: 'pdns-private',
  hostGroups: ['Hives', 'Repository server', 'Hive/pdns-private'],
  templates: Buffer.from(renderTemplates(templates)),
  hosts: [
    host('p-hive0.pdns', ['Hives'], ['Hive Linux', 'Hive Server']),
    host('p-hive1.pdns', ['Repository server'], ['Hive Linux', 'Hive Repository Server']),
    { ...host('p-swarm.pdns', [], ['Hive Swarm']), address: '' },
  ],
  media: [
    { ...medium, name: 'slack', kind: 'slack', url: 'https://chat.example/hooks/SECRET', leastSeverity: 'average' },
    {
      ...medium,
      name: 'mail',
      kind: 'mail',
      to: ['ops@example.com', 'night@example.com'],
      from: 'zabbix@example.com',
      server: 'smtp.example.com',
      port: 587,
      security: 'starttls',
    },
  ],
  switchedOff: ['Zabbix server'],
})

const medium = { to: [] as string[], url: '', from: '', server: '', port: 0, security: 'none', user: '', password: '', leastSeverity: 'warning' }

const lines: string[] = []
const context: StepContext = {
  signal: AbortSignal.timeout(300_000),
  hostName: 'p-hive1.pdns',
  log: (line) => lines.push(line),
  progress: () => undefined,
  blobPath: () => Promise.reject(new Error('no blobs')),
}
const plan = (spec: EnsureZabbix): Promise<CheckOutcome> => readOnly(() => ensureZabbix.check(spec, context))
const carryOut = (spec: EnsureZabbix): Promise<void> => writable(() => ensureZabbix.apply(spec, context))
const differences = (outcome: CheckOutcome): readonly string[] => (outcome.kind === 'change' ? (outcome.before ?? '').split('\n') : [outcome.kind])

for (const version of ['6.0', '7.0'] as const) {
  describe(`EnsureZabbix with Zabbix ${version}`, () => {
    let zabbix: Zabbix
    let spec: EnsureZabbix
    /** Of everything that anybody changed: Zabbix' own account of it. */
    const changes = async (): Promise<number> =>
      Number(await zabbix.sql("select count(*) from auditlog where action in (0, 1, 2) and not (resourcetype = 0 and details like '%attempt%')"))
    const call = async <T>(method: string, params: unknown): Promise<T> => zabbix.call<T>(method, params, await zabbix.login('Admin', password))

    before(async () => {
      zabbix = await startZabbix({ version })
      spec = specFor(zabbix)
    })
    after(() => zabbix.stop())

    it('a plan of a new Zabbix names what is missing and changes nothing', async () => {
      const before = await changes()
      const outcome = await plan(spec)
      assert.ok(differences(outcome).includes('Admin has the password of every new Zabbix'), JSON.stringify(outcome))
      assert.ok(differences(outcome).includes('host p-hive0.pdns is missing'))
      assert.ok(!JSON.stringify(outcome).includes('SECRET') && !JSON.stringify(outcome).includes(password))
      assert.equal(await changes(), before)
    })

    it('makes all of it: password, groups, templates, hosts, media; and the next plan is empty', async () => {
      await carryOut(spec)
      assert.deepEqual(await plan(spec), { kind: 'ok' })
      await assert.rejects(zabbix.login(), /incorrect|Incorrect/)
      const hosts = await call<{ host: string; status: string; tls_accept: string }[]>('host.get', {
        output: ['host', 'status', 'tls_accept'],
        sortfield: 'host',
      })
      assert.deepEqual(
        hosts.map((one) => [one.host, one.status, one.tls_accept]),
        [
          ['Zabbix server', '1', '1'],
          ['p-hive0.pdns', '0', '2'],
          ['p-hive1.pdns', '0', '2'],
          ['p-swarm.pdns', '0', '2'],
        ],
      )
      const items = await call<string>('item.get', { countOutput: true, host: 'p-hive0.pdns' })
      assert.ok(Number(items) > 30, items)
      assert.ok(lines.every((line) => !line.includes('SECRET') && !line.includes(psk)))
    })

    it('a second run writes nothing', async () => {
      const before = await changes()
      await carryOut(spec)
      assert.equal(await changes(), before)
    })

    it('what was changed by hand is shown by name and set right; what was added by hand stays', async () => {
      const [trigger] = await call<{ triggerid: string }[]>('trigger.get', { output: ['triggerid'], templated: true, filter: { description: 'Load is high' } })
      await call('trigger.update', { triggerid: trigger?.triggerid, priority: 1 })
      const [there] = await call<{ hostid: string; parentTemplates: { templateid: string }[] }[]>('host.get', {
        output: ['hostid'],
        filter: { host: 'p-hive0.pdns' },
        selectParentTemplates: ['templateid'],
      })
      const [linux] = await call<{ templateid: string }[]>('template.get', { output: ['templateid'], filter: { host: 'Hive Linux' } })
      await call('item.create', { hostid: linux?.templateid, name: 'by hand', key_: 'by.hand', type: 2, value_type: 3 })
      await call('host.update', { hostid: there?.hostid, tags: [{ tag: 'rack', value: '7' }], macros: [{ macro: '{$MINE}', value: 'x' }] })

      assert.deepEqual(differences(await plan(spec)), [
        'templates: trigger "Load is high" differs in priority',
        'host p-hive0.pdns: macro {$HIVE.AGENT.SILENCE} is not set; has another key',
      ])
      await carryOut(spec)
      assert.deepEqual(await plan(spec), { kind: 'ok' })
      const [now] = await call<{ tags: { tag: string }[]; macros: { macro: string }[] }[]>('host.get', {
        filter: { host: 'p-hive0.pdns' },
        selectTags: ['tag'],
        selectMacros: ['macro'],
      })
      assert.ok(now?.tags.some(({ tag }) => tag === 'rack'))
      assert.ok(now?.macros.some(({ macro }) => macro === '{$MINE}'))
      assert.equal(await call('item.get', { countOutput: true, host: 'p-hive0.pdns', filter: { key_: 'by.hand' } }), '1')
    })

    it('another key, address, medium: each is a change of its own, and the key itself is never told', async () => {
      const other = 'ff'.repeat(32)
      const hosts = spec.hosts.map((one) => ({ ...one, psk: other, pskIdentity: 'pdns-private-ffffffff' }))
      const media = spec.media.slice(0, 1).map((one) => ({ ...one, url: 'https://chat.example/hooks/OTHER' }))
      const changed = { ...spec, hosts, media }
      const told = differences(await plan(changed))
      assert.ok(told.includes('host p-hive0.pdns: has another key'), told.join('\n'))
      assert.ok(told.includes('media type Hive pdns-private slack differs in parameters'), told.join('\n'))
      assert.ok(!told.join().includes('OTHER') && !told.join().includes(other))
      await carryOut(changed)
      assert.deepEqual(await plan(changed), { kind: 'ok' })
    })

    it('a password that was changed by hand is respected, and told', async () => {
      const outcome = await plan({ ...spec, access: { ...(spec.access ?? { port: 0, user: '' }), password: 'a-wrong-Password-1' } })
      assert.equal(outcome.kind, 'blocked')
      assert.match(outcome.kind === 'blocked' ? `${outcome.reason} ${outcome.hint}` : '', /does not take the password of Admin .*hive_zabbix_admin_password/)
    })

    it('where no Zabbix answers, a plan says so', async () => {
      const outcome = await plan({ ...spec, access: { port: 1, user: 'Admin', password } })
      assert.equal(outcome.kind === 'change' && outcome.reason, 'Zabbix does not answer yet')
    })
  })
}
