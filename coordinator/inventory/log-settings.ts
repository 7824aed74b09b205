/** How logs of services are collected. */
import type { Converter } from './convert.ts'
import type { Site } from './site.ts'

const maxPort = 65_535

/** With hive-builder's defaults where it has them. Read as the repository server's: all hosts must mean the same. */
export function logSettings(read: Converter): Site['logs'] {
  const port = portOf(read, 'hive_syslog_port', 10_514)
  const relayPort = portOf(read, 'hive_syslog_relay_port', 20_514)
  if (port === relayPort && read.value('hive_syslog_relay_port') !== undefined)
    read.wrong('hive_syslog_relay_port', `${relayPort} is hive_syslog_port, too`, 'give each a port of its own')
  return {
    port,
    relayPort,
    tls: read.flag('hive_tls_logging', false),
    group: groupOf(read),
    retentionDays: atLeastOne(read, 'hive_log_retention_days', 28, 'days'),
    spoolMb: atLeastOne(read, 'hive_log_spool_mb', 1024, 'megabytes'),
  }
}

function portOf(read: Converter, name: string, otherwise: number): number {
  const port = read.wholeNumber(name)
  if (port === undefined) return otherwise
  if (port < 1 || port > maxPort) read.wrong(name, `${port} is no port`, `write a number from 1 to ${maxPort}`)
  return port
}

function atLeastOne(read: Converter, name: string, otherwise: number, unit: string): number {
  const number = read.wholeNumber(name)
  if (number !== undefined && number < 1) read.wrong(name, `${number} ${unit} keep nothing`, 'write 1 or more')
  return number ?? otherwise
}

/** hive-builder's zabbix reads the files, and the group has its name. */
function groupOf(read: Converter): string {
  const group = read.text('hive_log_group') ?? 'zabbix'
  if (!/^[a-z_][a-z0-9_-]*$/.test(group)) read.wrong('hive_log_group', `'${group}' is no name of a group`, 'use lower-case letters, digits, _ and -')
  return group
}
