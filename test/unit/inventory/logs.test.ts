import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadSite } from '../../../coordinator/inventory/load.ts'
import { setSetting } from '../../../coordinator/inventory/settings.ts'
import { siteFolder } from './site-folder.ts'

test('how logs are collected follows hive-builder, variables of the site, and the setting tls_logging', async (context) => {
  const root = siteFolder(context, {})
  const defaults = { port: 10_514, relayPort: 20_514, tls: false, group: 'zabbix', retentionDays: 28, spoolMb: 1024 }
  assert.deepEqual((await loadSite({ root, stage: 'private' })).logs, defaults)
  await setSetting(root, 'tls_logging', 'true', 'private')
  const own = siteFolder(context, {
    'inventory/group_vars/all.yml':
      'hive_syslog_port: 514\nhive_syslog_relay_port: 2514\nhive_log_group: adm\nhive_log_retention_days: 90\nhive_log_spool_mb: 50\n',
  })
  assert.deepEqual((await loadSite({ root: own, stage: 'private' })).logs, {
    port: 514,
    relayPort: 2514,
    tls: false,
    group: 'adm',
    retentionDays: 90,
    spoolMb: 50,
  })
  assert.deepEqual((await loadSite({ root, stage: 'private' })).logs, { ...defaults, tls: true })
})
