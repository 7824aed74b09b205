/** Groups of hosts. */
import type { Change, ZabbixApi } from './api.ts'

/** Ids by name, of those that are there. */
export async function groupIds(api: ZabbixApi, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const found = await api.call<{ groupid: string; name: string }[]>('hostgroup.get', { output: ['groupid', 'name'], filter: { name: names } })
  return new Map(found.map(({ name, groupid }) => [name, groupid]))
}

export async function missingGroups(api: ZabbixApi, names: readonly string[]): Promise<readonly Change[]> {
  const known = await groupIds(api, names)
  return names
    .filter((name) => !known.has(name))
    .map((name) => ({ what: `host group ${name} is missing`, apply: () => api.call('hostgroup.create', { name }) }))
}
