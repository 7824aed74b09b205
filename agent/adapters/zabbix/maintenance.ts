/** Windows of planned work. Each belongs to one run, and ends by itself. */
import { HiveError } from '../../../proto/errors.ts'
import type { ZabbixApi } from './api.ts'

/** Seconds; Zabbix takes no shorter one. */
export const shortestWindow = 300

/** Minutes begin and end Zabbix' windows. Pure. */
export function windowFrom(now: Date, leaseSeconds: number) {
  const start = Math.floor(now.getTime() / 60_000) * 60
  const length = Math.ceil(Math.max(leaseSeconds, shortestWindow) / 60) * 60 + 60
  return { start, end: start + length, length }
}

const ours = 'Made and ended by hivecoord.'

const nameOf = (id: string, title: string): string => `hive ${id}: ${title}`.slice(0, 128)

interface FoundWindow {
  readonly maintenanceid: string
  readonly name: string
  readonly active_since: string
}

async function find(api: ZabbixApi, id: string): Promise<FoundWindow | undefined> {
  const found = await api.call<FoundWindow[]>('maintenance.get', {
    output: ['maintenanceid', 'name', 'active_since'],
    search: { name: `hive ${id}: ` },
    startSearch: true,
  })
  return found[0]
}

export interface Window {
  readonly id: string
  readonly title: string
  readonly hosts: readonly string[]
  readonly leaseSeconds: number
}

/** Answers how many of the hosts Zabbix knows; without any no window is made. Values are still taken in. */
export async function openWindow(api: ZabbixApi, { id, title, hosts, leaseSeconds }: Window, now: Date): Promise<number> {
  const known = await api.call<{ hostid: string }[]>('host.get', { output: ['hostid'], filter: { host: hosts } })
  if (known.length === 0) return 0
  const there = await find(api, id)
  const { start, end } = windowFrom(now, leaseSeconds)
  const since = there === undefined ? start : Number(there.active_since)
  const fields = {
    active_since: since,
    active_till: end,
    hosts: known.map(({ hostid }) => ({ hostid })),
    timeperiods: [{ timeperiod_type: 0, start_date: since, period: end - since }],
  }
  if (there !== undefined) await api.call('maintenance.update', { maintenanceid: there.maintenanceid, ...fields })
  else await api.call('maintenance.create', { name: nameOf(id, title), maintenance_type: 0, description: ours, ...fields })
  return known.length
}

/** Answers whether there was one. */
export async function closeWindow(api: ZabbixApi, id: string): Promise<boolean> {
  const there = await find(api, id)
  if (there === undefined) return false
  await api.call('maintenance.delete', [there.maintenanceid])
  return true
}

/** Windows of runs that ended without closing theirs go, once they are over. What an operator made is known by its description, whatever its name. */
export async function forgetPastWindows(api: ZabbixApi, now: Date): Promise<void> {
  const found = await api.call<{ maintenanceid: string; active_till: string; description: string }[]>('maintenance.get', {
    output: ['maintenanceid', 'active_till', 'description'],
    search: { name: 'hive ' },
    startSearch: true,
  })
  const past = found.filter(({ active_till, description }) => description === ours && Number(active_till) * 1000 < now.getTime())
  if (past.length > 0)
    await api.call(
      'maintenance.delete',
      past.map(({ maintenanceid }) => maintenanceid),
    )
}

export function checkId(id: string): void {
  if (!/^[\w.-]{1,64}$/.test(id)) throw new HiveError('invalid-input', `'${id}' can't be the id of a window`)
}
