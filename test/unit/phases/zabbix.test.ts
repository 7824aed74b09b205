/** Zabbix' steps from a site: whether there are any, in which order, and what they ask for. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Step } from '#gen/hive/v1/step.ts'
import type { EnsureContainer, EnsureZabbix } from '#gen/hive/v1/steps_repository.ts'
import type { Site } from '../../../coordinator/inventory/site.ts'
import { zabbix } from '../../../coordinator/phases/setup-hosts/zabbix.ts'
import { redact } from '../../../proto/redact.ts'
import { siteFixture, splitNetworks, zabbixFixture } from './site-fixture.ts'

const onRepository = async (rest: Partial<Site>) => {
  const site = siteFixture({ rest })
  const host = site.hosts.find(({ isRepository }) => isRepository)
  assert.ok(host)
  return zabbix(site, host)
}
const named = (steps: readonly Step[], what: string): Step => {
  const found = steps.find(({ id }) => id.startsWith(`setup-hosts/${what}@`))
  assert.ok(found, what)
  return found
}
const container = (steps: readonly Step[], what: string): EnsureContainer => named(steps, what).spec?.kind?.value as EnsureContainer
const wanted = { ...zabbixFixture, wanted: true }

test('a private stage of this machine has no Zabbix unless it ships the images, and says so once', async (context) => {
  const root = mkdtempSync(join(tmpdir(), 'hive-zabbix-phase-'))
  context.after(() => rmSync(root, { recursive: true }))
  const quiet = await onRepository({ zabbix: { ...zabbixFixture, wanted: undefined }, root })
  assert.deepEqual(quiet.steps, [])
  assert.match(quiet.notices.join(), /no Zabbix in this private stage: the site does not ship zabbix-server:7, zabbix-web:7, postgres:16/)
  assert.deepEqual(await onRepository({ zabbix: zabbixFixture, root }), { steps: [], blobs: [], notices: [] })

  process.env['HIVE_IMAGES'] = root
  context.after(() => delete process.env['HIVE_IMAGES'])
  writeFileSync(join(root, 'zabbix_7.0.rootfs.tar'), 'an archive')
  const images = { database: 'postgresql', server: 'zabbix:7.0', web: 'zabbix:7.0', db: 'zabbix:7.0', inOne: true } as const
  const shipped = await onRepository({ zabbix: { ...zabbixFixture, wanted: undefined, images }, root })
  assert.deepEqual(shipped.notices, [])
  assert.equal(shipped.blobs.length, 1)
  assert.deepEqual(container(shipped.steps, 'zabbix-db').command, ['zabbix-part', 'database'])
  assert.match(container(shipped.steps, 'zabbix-web').image?.reference ?? '', /^hive-zabbix-image:[0-9a-f]{12}$/)
  assert.equal((await onRepository({ zabbix: { ...zabbixFixture, wanted: undefined }, effectiveProvider: 'aws', root })).steps.length, 5)
})

test('the database is before server and web UI, and what Zabbix holds comes last', async () => {
  const { steps } = await onRepository({ zabbix: wanted })
  assert.deepEqual(
    steps.map(({ id, needs }) => [id, needs.filter((need) => need.includes('zabbix'))]),
    [
      ['setup-hosts/zabbix-db@p-hive3.pdns', []],
      ['setup-hosts/zabbix-history@p-hive3.pdns', ['setup-hosts/zabbix-db@p-hive3.pdns']],
      ['setup-hosts/zabbix-server@p-hive3.pdns', ['db', 'history'].map((part) => `setup-hosts/zabbix-${part}@p-hive3.pdns`)],
      ['setup-hosts/zabbix-web@p-hive3.pdns', ['db', 'history'].map((part) => `setup-hosts/zabbix-${part}@p-hive3.pdns`)],
      ['setup-hosts/zabbix@p-hive3.pdns', ['db', 'server', 'web'].map((part) => `setup-hosts/zabbix-${part}@p-hive3.pdns`)],
    ],
  )
})

test('containers have the addresses of the plan; the web UI is on the loopback only, the server where the site is', async () => {
  const { steps } = await onRepository({ zabbix: wanted, dockerNetworks: splitNetworks })
  assert.deepEqual(container(steps, 'zabbix-server').network, {
    name: 'hive-zabbix',
    subnet: '172.31.255.128/25',
    gateway: '172.31.255.129',
    address: '172.31.255.130',
    aliases: ['zabbix-server'],
  })
  assert.deepEqual(
    container(steps, 'zabbix-web').ports.map(({ address, published }) => `${address}:${published}`),
    ['127.0.0.1:10052'],
  )
  assert.deepEqual(
    container(steps, 'zabbix-server').ports.map(({ address, published }) => `${address}:${published}`),
    [`${siteFixture().hosts[3]?.address}:10051`, '127.0.0.1:10051'],
  )
})

test("MySQL's images of Zabbix get MySQL's database and its variables", async () => {
  const images = { database: 'mariadb', server: 'zabbix/zabbix-server-mysql:a', web: 'x/web-mysql:a', db: 'mariadb:10.11', inOne: false } as const
  const { steps } = await onRepository({ zabbix: { ...wanted, images } })
  const names = (what: string) => container(steps, what).variables.map(({ name }) => name)
  assert.deepEqual(names('zabbix-db'), ['MYSQL_USER', 'MYSQL_PASSWORD', 'MYSQL_DATABASE', 'MYSQL_RANDOM_ROOT_PASSWORD'])
  assert.deepEqual(container(steps, 'zabbix-db').volumes, [{ source: 'hive-zabbix-data', target: '/var/lib/mysql', readOnly: false }])
  assert.ok(names('zabbix-server').includes('MYSQL_PASSWORD'))
})

test('Zabbix knows each server, the swarm, and the swarms of other sites; no secret is in what may be shown', async () => {
  const sites = [
    { name: 'pdns', servers: [] },
    { name: 'mail', servers: ['p-hive0.mail'] },
  ]
  const { steps } = await onRepository({ zabbix: { ...wanted, sites, macros: { '{$HIVE.AGENT.SILENCE}': '45s' } } })
  const spec = named(steps, 'zabbix').spec?.kind?.value as EnsureZabbix
  assert.deepEqual(
    spec.hosts.map(({ name, templates }) => [name, templates.join(', ')]),
    [
      ['p-hive0.pdns', 'Hive Linux, Hive Server'],
      ['p-hive1.pdns', 'Hive Linux, Hive Server'],
      ['p-hive2.pdns', 'Hive Linux, Hive Server'],
      ['p-hive3.pdns', 'Hive Linux, Hive Repository Server'],
      ['p-hive0.mail', 'Hive Linux, Hive Server'],
      ['p-swarm.pdns', 'Hive Swarm'],
      ['p-swarm.mail', 'Hive Swarm'],
    ],
  )
  assert.equal(spec.hostGroups.at(-1), 'Hive/pdns-private')
  assert.equal(spec.hosts[0]?.macros['{$HIVE.AGENT.SILENCE}'], '45s')
  const shown = JSON.stringify(
    steps.map((step) => redact('hive.v1.Step', step)),
    (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value),
  )
  for (const secret of [zabbixFixture.admin.password, zabbixFixture.databasePassword, zabbixFixture.psk.key]) assert.ok(!shown.includes(secret), secret)
})
