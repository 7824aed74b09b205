/** How the hosts of a stage report to Zabbix. */
import type { Converter } from './convert.ts'
import { sourceNetworks } from './source-networks.ts'

export interface MonitoringSettings {
  /** Seconds between the values that are due most often. */
  readonly interval: number
  /** Names of units of systemd, without .service; `*` stands for any text. */
  readonly ignoredUnits: readonly string[]
  /** Agents answer passive checks, as zabbix-agent does. */
  readonly passive: boolean
  /** Who may ask, beside the Zabbix server: addresses and networks. */
  readonly passiveSources: readonly string[]
}

/** Units whose failure is nothing to hear of on most hosts: hive-builder leaves out the same. */
export const defaultIgnoredUnits = ['kdump', 'ec2-instance-connect', 'cloud-config', 'getty@*', 'network']
const defaultInterval = 60
export const passivePort = 10050

/** `read`: of the repository server. */
export const monitoringSettings = (read: Converter): MonitoringSettings => ({
  interval: intervalOf(read),
  ignoredUnits: read.texts('hive_zabbix_ignored_units') ?? defaultIgnoredUnits,
  passive: read.flag('hive_zabbix_passive', false),
  passiveSources: sourceNetworks(read, 'hive_zabbix_passive_sources'),
})

function intervalOf(read: Converter): number {
  const name = 'hive_zabbix_interval'
  const interval = read.wholeNumber(name) ?? defaultInterval
  if (interval < 1 || interval > 600) read.wrong(name, `${interval} s are no interval to report in`, 'write a number of seconds from 1 to 600')
  return interval
}
