/** What the agents report to Zabbix. */
import type { Step } from '#gen/hive/v1/step.ts'
import { passivePort } from '../../inventory/monitoring-settings.ts'
import type { Host, Site } from '../../inventory/site.ts'
import { swarmHostName } from '../../zabbix/names.ts'
import type { ReportTarget } from '../../zabbix/zabbix-here.ts'
import { hostStep, idOf } from './host-step.ts'

const nothing = {
  absent: true,
  server: '',
  port: 0,
  certificate: false,
  pskIdentity: '',
  psk: '',
  host: '',
  swarmHost: '',
  interval: 0,
  repository: false,
  registryPort: 0,
  ignoredUnits: [],
  certificates: {},
  passive: undefined,
}

/**
 * Without a Zabbix nothing is reported, also where something was before. Where the stage has its own, it comes first: it refuses what it
 * does not know.
 */
export function monitoring(site: Site, host: Host, target: ReportTarget | undefined): Step {
  if (target === undefined) return hostStep(host, 'monitoring', 'nothing is reported to Zabbix', 'ensureMonitoring', nothing)
  const { address, port, psk } = target
  const { interval, ignoredUnits, passive } = site.monitoring
  const value = {
    ...nothing,
    absent: false,
    server: address,
    port,
    pskIdentity: psk.identity,
    psk: psk.key,
    host: host.name,
    swarmHost: host.isHive ? swarmHostName(site) : '',
    interval,
    repository: host.isRepository,
    registryPort: host.isRepository ? site.registry.port : 0,
    ignoredUnits: [...ignoredUnits],
    passive: passive ? { port: passivePort, allowed: [...askers(site, host, address)], suffix: site.name } : undefined,
  }
  const repository = site.hosts.find(({ isRepository }) => isRepository)
  const needs = repository === undefined ? [] : [idOf('zabbix', repository)]
  return hostStep(host, 'monitoring', `reports to Zabbix at ${address}:${port}`, 'ensureMonitoring', value, { needs })
}

/** On the repository server itself, Zabbix comes from the network of its containers. */
function askers(site: Site, host: Host, server: string): readonly string[] {
  const containers = site.dockerNetworks.zabbix?.subnet
  return ['127.0.0.1', server, ...(host.isRepository && containers !== undefined ? [containers] : []), ...site.monitoring.passiveSources]
}
