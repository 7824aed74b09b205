/**
 * All that the repository server does, on one site: images, monitoring, backups, logs, and the site without that server. Each part is a suite of its
 * own that leaves the site as it found it, so that one runs alone with --test-name-pattern=PART; what destroys the server comes last.
 */
import { after, before, suite } from 'node:test'
import { labObstacle } from './obstacle.ts'
import { backupTests } from './repository/backup.ts'
import { DeployedLab } from './repository/lab.ts'
import { logsTests } from './repository/logs.ts'
import { lossTests } from './repository/loss.ts'
import { registryTests } from './repository/registry.ts'
import { reportingTests } from './repository/reporting.ts'
import { zabbixTests } from './repository/zabbix.ts'

suite('one server for the whole site', { skip: labObstacle() ?? false }, () => {
  const lab = new DeployedLab()

  before(() => lab.begin())
  after(() => lab.end())

  suite('registry', () => registryTests(lab))
  suite('zabbix', () => zabbixTests(lab))
  suite('reporting', () => reportingTests(lab))
  suite('backup', () => backupTests(lab))
  suite('logs', () => logsTests(lab))
  suite('loss', () => lossTests(lab))
})
