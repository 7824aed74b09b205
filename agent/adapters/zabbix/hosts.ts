/** Hosts as Zabbix knows them. Groups, templates, macros and tags that others gave them stay. */
import { createHash } from 'node:crypto'
import type { ZabbixHost } from '#gen/hive/v1/steps_repository.ts'
import { HiveError } from '../../../proto/errors.ts'
import type { Change, ZabbixApi } from './api.ts'
import { groupIds } from './groups.ts'

/** Zabbix never tells a key; a digest of it, kept as a macro, tells whether it has the right one. Nothing shows it, as problems would a tag. */
const keyMacro = '{$HIVE.PSK.DIGEST}'

/** Encryption by PSK, in both directions. */
const byPsk = 2

export interface FoundHost {
  readonly hostid: string
  readonly host: string
  readonly name: string
  readonly status: string
  readonly tls_connect: string
  readonly tls_accept: string
  readonly groups: readonly { readonly groupid: string; readonly name: string }[]
  readonly parentTemplates: readonly { readonly templateid: string; readonly host: string }[]
  readonly macros: readonly { readonly macro: string; readonly value?: string; readonly type: string; readonly description: string }[]
  readonly interfaces: readonly { readonly interfaceid: string; readonly type: string; readonly main: string; readonly ip: string; readonly port: string }[]
}

export async function findHosts(api: ZabbixApi, names: readonly string[]): Promise<ReadonlyMap<string, FoundHost>> {
  const groups = api.atLeast(6, 2) ? 'selectHostGroups' : 'selectGroups'
  const found = await api.call<(FoundHost & { readonly hostgroups?: FoundHost['groups'] })[]>('host.get', {
    output: ['hostid', 'host', 'name', 'status', 'tls_connect', 'tls_accept'],
    filter: { host: names },
    [groups]: ['groupid', 'name'],
    selectParentTemplates: ['templateid', 'host'],
    selectMacros: ['macro', 'value', 'type', 'description'],
    selectInterfaces: ['interfaceid', 'type', 'main', 'ip', 'port'],
  })
  return new Map(found.map((host) => [host.host, { ...host, groups: host.hostgroups ?? host.groups }]))
}

export async function differingHosts(api: ZabbixApi, wanted: readonly ZabbixHost[]): Promise<readonly Change[]> {
  const found = await findHosts(
    api,
    wanted.map(({ name }) => name),
  )
  return wanted.flatMap((host) => {
    const there = found.get(host.name)
    if (there === undefined) return [{ what: `host ${host.name} is missing`, apply: () => create(api, host) }]
    const differs = hostDifferences(host, there)
    return differs.length === 0 ? [] : [{ what: `host ${host.name}: ${differs.join('; ')}`, apply: () => update(api, host, there) }]
  })
}

/** For people. Pure. */
export function hostDifferences(wanted: ZabbixHost, found: FoundHost): readonly string[] {
  const differs: string[] = []
  const groups = new Set(found.groups.map(({ name }) => name))
  const templates = new Set(found.parentTemplates.map(({ host }) => host))
  const macros = new Map(found.macros.map(({ macro, value }) => [macro, value]))
  for (const name of wanted.groups) if (!groups.has(name)) differs.push(`is not in the group ${name}`)
  for (const name of wanted.templates) if (!templates.has(name)) differs.push(`does not have the template ${name}`)
  for (const [name, value] of Object.entries(wanted.macros)) if (macros.get(name) !== value) differs.push(`macro ${name} is ${macros.get(name) ?? 'not set'}`)
  if (wanted.visibleName !== '' && found.name !== wanted.visibleName) differs.push(`is shown as ${found.name}`)
  if (wanted.psk !== '' && !isEncrypted(found)) differs.push('is not encrypted by a key')
  else if (wanted.psk !== '' && digestOf(found) !== keyDigest(wanted)) differs.push('has another key')
  if (wanted.address !== '') {
    const main = mainInterface(found)
    if (main === undefined) differs.push('has no address')
    else if (main.ip !== wanted.address || main.port !== String(wanted.port)) differs.push(`has the address ${main.ip}:${main.port}`)
  }
  return differs
}

const isEncrypted = ({ tls_connect, tls_accept }: FoundHost): boolean => Number(tls_connect) === byPsk && Number(tls_accept) === byPsk
const digestOf = ({ macros }: FoundHost): string | undefined => macros.find(({ macro }) => macro === keyMacro)?.value
/** Those of the site, and the one that stands for the key. */
const macrosOf = (host: ZabbixHost): Readonly<Record<string, string>> => (host.psk === '' ? host.macros : { ...host.macros, [keyMacro]: keyDigest(host) })
const mainInterface = ({ interfaces }: FoundHost) => interfaces.find(({ type, main }) => type === '1' && main === '1')

/** Pure. */
export const keyDigest = ({ psk, pskIdentity }: Pick<ZabbixHost, 'psk' | 'pskIdentity'>): string =>
  createHash('sha256').update(`${pskIdentity}\n${psk}`).digest('hex').slice(0, 16)

const encryption = (host: ZabbixHost) =>
  host.psk === '' ? {} : { tls_connect: byPsk, tls_accept: byPsk, tls_psk_identity: host.pskIdentity, tls_psk: host.psk }

const agentInterface = ({ address, port }: ZabbixHost) => ({ type: 1, main: 1, useip: 1, ip: address, dns: '', port: String(port) })

async function create(api: ZabbixApi, host: ZabbixHost): Promise<void> {
  const [groups, templates] = await Promise.all([idsOfGroups(api, host.groups), idsOfTemplates(api, host.templates)])
  await api.call('host.create', {
    host: host.name,
    ...(host.visibleName === '' ? {} : { name: host.visibleName }),
    groups,
    templates,
    macros: Object.entries(macrosOf(host)).map(([macro, value]) => ({ macro, value })),
    interfaces: host.address === '' ? [] : [agentInterface(host)],
    ...encryption(host),
  })
}

/** Lists in Zabbix' updates replace what was there, so they carry it along; secret macros are told by their absence of a value. */
async function update(api: ZabbixApi, host: ZabbixHost, found: FoundHost): Promise<void> {
  const { hostid } = found
  const [groups, templates] = await Promise.all([idsOfGroups(api, host.groups), idsOfTemplates(api, host.templates)])
  const differs = isEncrypted(found) && digestOf(found) === keyDigest(host) ? {} : encryption(host)
  await api.call('host.update', {
    hostid,
    ...(host.visibleName === '' ? {} : { name: host.visibleName }),
    groups: distinct([...found.groups.map(({ groupid }) => ({ groupid })), ...groups]),
    templates: distinct([...found.parentTemplates.map(({ templateid }) => ({ templateid })), ...templates]),
    ...differs,
  })
  await updateMacros(api, host, found)
  if (host.address === '') return
  const main = mainInterface(found)
  if (main === undefined) await api.call('hostinterface.create', { hostid, ...agentInterface(host) })
  else if (main.ip !== host.address || main.port !== String(host.port))
    await api.call('hostinterface.update', { interfaceid: main.interfaceid, useip: 1, ip: host.address, port: String(host.port) })
}

/** One by one: an update of the host would have to carry the values of secret macros along, which Zabbix does not tell. */
async function updateMacros(api: ZabbixApi, host: ZabbixHost, { hostid, macros }: FoundHost): Promise<void> {
  const wanted = macrosOf(host)
  const there = new Map(macros.map((found) => [found.macro, found]))
  const missing = Object.entries(wanted).filter(([name]) => !there.has(name))
  const other = Object.entries(wanted).filter(([name, value]) => there.has(name) && there.get(name)?.value !== value)
  if (missing.length > 0)
    await api.call(
      'usermacro.create',
      missing.map(([macro, value]) => ({ hostid, macro, value })),
    )
  if (other.length === 0) return
  const names = other.map(([name]) => name)
  const ids = await api.call<{ hostmacroid: string; macro: string }[]>('usermacro.get', {
    output: ['hostmacroid', 'macro'],
    hostids: hostid,
    filter: { macro: names },
  })
  await api.call(
    'usermacro.update',
    ids.map(({ hostmacroid, macro }) => ({ hostmacroid, value: wanted[macro] })),
  )
}

const distinct = <T extends object>(list: readonly T[]): readonly T[] => [...new Map(list.map((one) => [JSON.stringify(one), one])).values()]

async function idsOfGroups(api: ZabbixApi, names: readonly string[]): Promise<readonly { groupid: string }[]> {
  const ids = await groupIds(api, names)
  return names.map((name) => ({ groupid: ids.get(name) ?? missing(`host group ${name}`) }))
}

async function idsOfTemplates(api: ZabbixApi, names: readonly string[]): Promise<readonly { templateid: string }[]> {
  if (names.length === 0) return []
  const found = await api.call<{ templateid: string; host: string }[]>('template.get', { output: ['templateid', 'host'], filter: { host: names } })
  return names.map((name) => ({ templateid: found.find(({ host }) => host === name)?.templateid ?? missing(`template ${name}`) }))
}

function missing(what: string): never {
  throw new HiveError('not-found', `Zabbix has no ${what}`)
}

/** Hosts that every new Zabbix has and nobody wants are switched off, once they are there and on. */
export async function unwantedHosts(api: ZabbixApi, names: readonly string[]): Promise<readonly Change[]> {
  if (names.length === 0) return []
  const found = await api.call<{ hostid: string; host: string }[]>('host.get', { output: ['hostid', 'host'], filter: { host: names, status: 0 } })
  return found.map(({ hostid, host }) => ({ what: `host ${host} is switched on`, apply: () => api.call('host.update', { hostid, status: 1 }) }))
}
