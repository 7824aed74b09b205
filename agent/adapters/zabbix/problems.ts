/** Problems that Zabbix has open. */
import type { ZabbixProblem } from '#gen/hive/v1/zabbix.ts'
import type { ZabbixApi } from './api.ts'

/** More say nothing more. */
const most = 500

export interface FoundTrigger {
  readonly description: string
  readonly priority: string
  readonly lastchange: string
  readonly hosts?: readonly { readonly host: string; readonly maintenance_status?: string }[]
  readonly lastEvent?: { readonly acknowledged?: string; readonly name?: string } | readonly []
}

/** Of hosts by their names in Zabbix, the gravest first; those it does not know are left out. */
export async function openProblems(api: ZabbixApi, hosts: readonly string[]): Promise<ZabbixProblem[]> {
  const known = await api.call<{ hostid: string }[]>('host.get', { output: ['hostid'], filter: { host: hosts } })
  if (known.length === 0) return []
  const triggers = await api.call<FoundTrigger[]>('trigger.get', {
    output: ['description', 'priority', 'lastchange'],
    hostids: known.map(({ hostid }) => hostid),
    filter: { value: 1 },
    monitored: true,
    skipDependent: true,
    expandDescription: true,
    selectHosts: ['host', 'maintenance_status'],
    selectLastEvent: ['acknowledged', 'name'],
    limit: most,
  })
  return triggers.map(toProblem).sort((a, b) => b.severity - a.severity || a.host.localeCompare(b.host) || a.name.localeCompare(b.name))
}

/** What the event was called when it happened has the values of that moment in it. */
export function toProblem({ description, priority, lastchange, hosts = [], lastEvent }: FoundTrigger): ZabbixProblem {
  const event = lastEvent === undefined || Array.isArray(lastEvent) ? undefined : (lastEvent as { readonly acknowledged?: string; readonly name?: string })
  return {
    host: hosts[0]?.host ?? '',
    name: event?.name === undefined || event.name === '' ? description : event.name,
    severity: Number(priority),
    since: new Date(Number(lastchange) * 1000),
    acknowledged: event?.acknowledged === '1',
    suppressed: hosts.some(({ maintenance_status }) => maintenance_status === '1'),
  }
}
