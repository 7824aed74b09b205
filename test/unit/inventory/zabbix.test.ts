/** Zabbix in the inventory: what is taken where nothing is said, what hive-builder's sites say, and mistakes, all at once and with their places. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadSite } from '../../../coordinator/inventory/load.ts'
import { inventoryJson } from '../../../coordinator/inventory/render-inventory.ts'
import { problemsOf, siteFolder } from './site-folder.ts'

const variables = (text: string) => ({ 'inventory/group_vars/all.yml': text })

test('where nothing is said there are official images with PostgreSQL, and secrets of the stage of their own', async (context) => {
  const root = siteFolder(context, {})
  const { zabbix } = await loadSite({ root, env: {}, createPasswords: true })
  assert.deepEqual(zabbix.images, {
    database: 'postgresql',
    server: 'zabbix/zabbix-server-pgsql:alpine-7.0-latest',
    web: 'zabbix/zabbix-web-nginx-pgsql:alpine-7.0-latest',
    db: 'postgres:16-alpine',
    inOne: false,
  })
  assert.deepEqual([zabbix.wanted, zabbix.serverPort, zabbix.webPort, zabbix.media], [undefined, 10_051, 10_052, []])
  const kept = (file: string): string => readFileSync(join(root, '.hive/private', file), 'utf8').trim()
  assert.equal(kept('zabbix_admin_password'), zabbix.admin.password)
  assert.equal(kept('zabbix_db_password'), zabbix.databasePassword)
  assert.match(kept('zabbix_psk'), /^[0-9a-f]{64}$/)
  assert.equal((await loadSite({ root, env: {} })).zabbix.psk.identity, zabbix.psk.identity)
  assert.ok(!zabbix.psk.key.includes(zabbix.psk.identity.replace('hive-', '')))
})

test("images of hive-builder's variables bring the database that they are for", async (context) => {
  const images = async (text: string) => (await loadSite({ root: siteFolder(context, variables(text)), env: {} })).zabbix.images
  const mysql = await images(
    'hive_zabbix_server_tag: zabbix/zabbix-server-mysql:alpine-6.0-latest\nhive_zabbix_web_tag: procube/zabbix-web-nginx-mysql:latest\n',
  )
  assert.deepEqual([mysql.database, mysql.db], ['mariadb', 'mariadb:10.11'])
  const half = await images('hive_zabbix_server_tag: zabbix/zabbix-server-mysql:alpine-6.0-latest\n')
  assert.equal(half.web, 'zabbix/zabbix-web-nginx-mysql:alpine-7.0-latest')
  const one = await images('hive_zabbix_image: zabbix:7.0\n')
  assert.deepEqual([one.server, one.web, one.db, one.inOne], ['zabbix:7.0', 'zabbix:7.0', 'zabbix:7.0', true])
})

test('media get what they do not say, and what they say stays secret', async (context) => {
  const root = siteFolder(
    context,
    variables(`hive_zabbix_media:
- {type: slack, url: https://chat.example/TOKEN, severity: high}
- {type: mail, to: ops@example.com, from: zabbix@example.com, server: smtp.example.com, security: tls, user: z, password: PASSWORD}
hive_zabbix_macros: {"{$HIVE.AGENT.SILENCE}": 5m}
hive_zabbix_hive_names: [test.example.com, mail, {name: web, servers: [p-hive0.web]}]
hive_zabbix_server: 192.0.2.5:10061
`),
  )
  const site = await loadSite({ root, env: {} })
  const { media, macros, sites, elsewhere } = site.zabbix
  assert.deepEqual(
    media.map(({ name, kind, to, port, leastSeverity }) => [name, kind, to, port, leastSeverity]),
    [
      ['slack', 'slack', [], 0, 'high'],
      ['mail', 'mail', ['ops@example.com'], 465, 'warning'],
    ],
  )
  assert.deepEqual(macros, { '{$HIVE.AGENT.SILENCE}': '5m' })
  assert.deepEqual(sites, [
    { name: 'test.example.com', servers: [] },
    { name: 'mail', servers: [] },
    { name: 'web', servers: ['p-hive0.web'] },
  ])
  assert.deepEqual(elsewhere, { address: '192.0.2.5', port: 10_061 })
  const shown = JSON.stringify(inventoryJson(site))
  for (const secret of ['https://chat.example/TOKEN', 'PASSWORD', site.zabbix.psk.key, site.zabbix.admin.password]) assert.ok(!shown.includes(secret), secret)
})

test('mistakes are told all at once, each with its place and what to write instead', async (context) => {
  const root = siteFolder(
    context,
    variables(`hive_zabbix_server_tag: zabbix/zabbix-server-mysql:a
hive_zabbix_web_tag: zabbix/zabbix-web-nginx-pgsql:a
hive_zabbix_admin_password: short
hive_zabbix_psk: no key
hive_zabbix_web_port: 99999
hive_zabbix_server: https://zabbix.example/
hive_zabbix_macros: {SILENCE: 5m}
hive_zabbix_media:
- {type: pager, url: https://x}
- {type: slack, url: chat.example, channel: ops}
- {type: mail, to: ops, severity: loud}
- slack
`),
  )
  const problems = await problemsOf(loadSite({ root, env: {} }))
  assert.deepEqual(
    problems.map(({ line, message, instead }) => `${line}: ${message}${instead === undefined ? '' : ` → ${instead}`}`),
    [
      '2: zabbix/zabbix-web-nginx-pgsql:a is for another database than zabbix/zabbix-server-mysql:a → name two images of the same database',
      '3: is shorter than 8 characters → Zabbix takes none below; leave it out: one is generated',
      '4: is no key → write 32 to 512 hexadecimal digits in lower case, as `openssl rand -hex 32` makes them; or leave it out: one is generated',
      '5: 99999 is no port → write a number from 1 to 65535',
      "6: 'https://zabbix.example/' is no address → write ADDRESS or ADDRESS:PORT, without a scheme",
      '7: \'SILENCE\' is no macro → write it as Zabbix does: "{$HIVE.AGENT.SILENCE}"',
      "9: type 'pager' is not possible → write mail, slack, webhook",
      '10: slack needs the address that it is posted to → write url: https://…',
      '10: slack has no channel → it has name, severity, url',
      '11: mail needs the address that it is from → write from: zabbix@example.com',
      '11: mail needs the server that takes it → write server: smtp.example.com',
      '11: mail needs addresses to go to → write to: [ops@example.com]',
      "11: severity 'loud' is not possible → write info, warning, average, high, disaster",
      "12: an entry must be a mapping, but is 'slack' → write {type: slack, url: …}",
    ],
  )
})
