import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BackupScript } from '../../../coordinator/inventory/site.ts'
import { backupsOf } from '../../../coordinator/phases/backups.ts'
import { service, site } from './sample-site.ts'
import { zabbixFixture } from './site-fixture.ts'

const script = (changes: Partial<BackupScript>): BackupScript => ({
  name: 'pages',
  directory: undefined,
  backupCommand: undefined,
  backupFile: undefined,
  restoreCommand: undefined,
  restoreFile: undefined,
  ext: 'tar.gz',
  cleanupDaysBefore: undefined,
  batchScripts: [],
  drillCommand: undefined,
  ...changes,
})

const made = site({
  services: [
    service({ name: 'web', standalone: true, backupScripts: [script({ directory: '/srv', cleanupDaysBefore: 3 })] }),
    service({
      name: 'db',
      backupScripts: [
        script({ name: 'db', ext: 'sql.gz', backupCommand: 'dump -psecret', restoreCommand: 'load' }),
        script({ name: 'tidy', batchScripts: ['tidy'] }),
      ],
    }),
    service({ name: 'elsewhere', stages: ['production'], backupScripts: [script({ name: 'no' })] }),
  ],
  backups: { at: '02:30', restic: { repository: '/copies', password: 'p', environment: {}, keep: { daily: 7 } } },
  variable: (_host, name) => (name === 'hive_registry_backup_cleanup_days_before' ? 5 : undefined),
})
const [hive, , , repository] = made.hosts

test('hive hosts are told the commands, and who may ask for them', async () => {
  assert.ok(hive)
  const { repository: asker, scripts, schedule } = await backupsOf(made, hive)
  assert.equal(asker, 's-hive3.site')
  assert.deepEqual(
    scripts.map(({ service: of, name, standalone }) => [of, name, standalone]),
    [
      ['db', 'db', false],
      ['db', 'tidy', false],
      ['web', 'pages', true],
    ],
  )
  assert.equal(schedule, undefined)
})

test('the repository server is told when, whereto, of what and for how long, and none of the services’ commands', async () => {
  assert.ok(repository)
  const told = await backupsOf(made, repository)
  assert.doesNotMatch(JSON.stringify(told), /dump -psecret/)
  assert.deepEqual(
    told.scripts.map(({ name }) => name).filter((name) => name === 'hive-registry'),
    ['hive-registry'],
  )
  const { schedule } = told
  assert.equal(schedule?.at, '02:30')
  assert.match(schedule?.folder ?? '', /^\/home\/[^/]+\/backup$/)
  assert.deepEqual(
    schedule?.hosts.map(({ name }) => name),
    ['s-hive0.site', 's-hive1.site', 's-hive2.site'],
  )
  const ofServices = schedule?.targets
    .filter(({ service: of }) => of !== '')
    .map(({ name, ext, cleanupDaysBefore, noFile }) => [name, ext, cleanupDaysBefore, noFile])
  assert.deepEqual(ofServices, [
    ['db', 'sql.gz', undefined, false],
    ['tidy', 'tar.gz', undefined, true],
    ['pages', 'tar.gz', 3, false],
  ])
  const registry = schedule?.targets.find(({ name }) => name === 'hive-registry')
  assert.equal(registry?.cleanupDaysBefore, 5)
})

test('where Zabbix runs its database comes first, dumped and restored in its container, whose users are stopped meanwhile', async () => {
  assert.ok(repository)
  const { scripts, schedule } = await backupsOf({ ...made, zabbix: { ...zabbixFixture, wanted: true } }, repository)
  assert.deepEqual(
    schedule?.targets.slice(0, 2).map(({ name, ext }) => [name, ext]),
    [
      ['hive-zabbix', 'sql.gz'],
      ['hive-registry', 'tar.gz'],
    ],
  )
  const zabbix = scripts.find(({ name }) => name === 'hive-zabbix')
  assert.equal(zabbix?.container, 'hive-zabbix-db')
  assert.match(zabbix.backupCommand, /pg_dump/)
  assert.ok(zabbix.packed && zabbix.stopContainers.length > 0)
})
