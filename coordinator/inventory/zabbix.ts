/** What the inventory says of Zabbix: its images, its ports, who gets alerts. */
import { createHash } from 'node:crypto'
import type { Converter } from './convert.ts'
import { describe, isMapping, type Mapping } from './mapping.ts'

export interface ZabbixSite {
  /** hive_zabbix; undefined: where its images can be had. */
  readonly wanted: boolean | undefined
  readonly images: ZabbixImages
  /** Where the server takes values. */
  readonly serverPort: number
  /** Of the web UI, on the repository server's loopback only. */
  readonly webPort: number
  readonly admin: { readonly user: string; readonly password: string }
  readonly databasePassword: string
  /** What agents and server know each other by. */
  readonly psk: { readonly identity: string; readonly key: string }
  /** A Zabbix elsewhere that the site's agents report to. */
  readonly elsewhere: { readonly address: string; readonly port: number } | undefined
  /** Sites whose hosts this Zabbix knows, first of all this one. */
  readonly sites: readonly { readonly name: string; readonly servers: readonly string[] }[]
  readonly media: readonly ZabbixMedium[]
  /** Values of macros on every host of the site. */
  readonly macros: Readonly<Record<string, string>>
}

export interface ZabbixImages {
  readonly database: 'postgresql' | 'mariadb'
  readonly server: string
  readonly web: string
  readonly db: string
  /** One image has all three, and is told by its command which one to be. */
  readonly inOne: boolean
}

export interface ZabbixMedium {
  readonly name: string
  readonly kind: 'mail' | 'slack' | 'webhook'
  readonly to: readonly string[]
  readonly url: string
  readonly from: string
  readonly server: string
  readonly port: number
  readonly security: 'none' | 'starttls' | 'tls'
  readonly user: string
  readonly password: string
  readonly leastSeverity: string
}

/** Makes, or finds, a secret of the stage: a file of its context folder. */
export type StageSecret = (file: string, length: number, characters?: string) => string

export const defaultImages = {
  server: 'zabbix/zabbix-server-pgsql:alpine-7.0-latest',
  web: 'zabbix/zabbix-web-nginx-pgsql:alpine-7.0-latest',
  postgresql: 'postgres:16-alpine',
  mariadb: 'mariadb:10.11',
} as const

export function zabbixOf(read: Converter, site: string, secret: StageSecret): ZabbixSite {
  const written = read.value('hive_zabbix')
  const key = pskOf(read) ?? secret('zabbix_psk', 64, '0123456789abcdef')
  return {
    wanted: written === undefined ? undefined : read.flag('hive_zabbix', true),
    images: imagesOf(read),
    serverPort: portOf(read, 'hive_zabbix_server_port', 10051),
    webPort: portOf(read, 'hive_zabbix_web_port', 10052),
    admin: { user: read.text('hive_zabbix_admin_user') ?? 'Admin', password: adminPassword(read) ?? secret('zabbix_admin_password', 24) },
    databasePassword: read.text('hive_zabbix_db_password') ?? secret('zabbix_db_password', 24),
    psk: { identity: `hive-${createHash('sha256').update(key).digest('hex').slice(0, 12)}`, key },
    elsewhere: elsewhereOf(read),
    sites: sitesOf(read, site),
    media: read.list('hive_zabbix_media').flatMap((entry, index) => mediumOf(read, entry, index)),
    macros: macrosOf(read),
  }
}

/** MySQL's images of Zabbix want MySQL's database: hive-builder's sites name them. */
function imagesOf(read: Converter): ZabbixImages {
  const all = read.text('hive_zabbix_image')
  if (all !== undefined) return { database: 'postgresql', server: all, web: all, db: all, inOne: true }
  const [server, web] = [read.text('hive_zabbix_server_tag'), read.text('hive_zabbix_web_tag')]
  const isMysql = (reference: string): boolean => /-mysql(?=[:@]|$)/.test(reference)
  const mysql = isMysql(server ?? web ?? '')
  for (const [name, reference] of [
    ['hive_zabbix_server_tag', server],
    ['hive_zabbix_web_tag', web],
  ] as const)
    if (reference !== undefined && isMysql(reference) !== mysql)
      read.wrong(name, `${reference} is for another database than ${server === reference ? web : server}`, 'name two images of the same database')
  const withMysql = (reference: string): string => (mysql ? reference.replace('-pgsql:', '-mysql:') : reference)
  return {
    database: mysql ? 'mariadb' : 'postgresql',
    server: server ?? withMysql(defaultImages.server),
    web: web ?? withMysql(defaultImages.web),
    db: read.text('hive_zabbix_db_tag') ?? defaultImages[mysql ? 'mariadb' : 'postgresql'],
    inOne: false,
  }
}

function portOf(read: Converter, name: string, otherwise: number): number {
  const port = read.wholeNumber(name) ?? otherwise
  if (port < 1 || port > 65_535) read.wrong(name, `${port} is no port`, 'write a number from 1 to 65535')
  return port
}

/** Zabbix takes no shorter one, and none that contains the user's name. */
function adminPassword(read: Converter): string | undefined {
  const name = 'hive_zabbix_admin_password'
  const password = read.text(name)
  if (password !== undefined && password.length < 8)
    return read.wrong(name, 'is shorter than 8 characters', 'Zabbix takes none below; leave it out: one is generated')
  return password
}

function pskOf(read: Converter): string | undefined {
  const name = 'hive_zabbix_psk'
  const key = read.text(name)
  if (key === undefined || /^(?:[0-9a-f]{2}){16,256}$/.test(key)) return key
  return read.wrong(
    name,
    'is no key',
    'write 32 to 512 hexadecimal digits in lower case, as `openssl rand -hex 32` makes them; or leave it out: one is generated',
  )
}

function elsewhereOf(read: Converter): ZabbixSite['elsewhere'] {
  const name = 'hive_zabbix_server'
  const text = read.text(name)
  if (text === undefined) return undefined
  const found = /^(?<address>[^\s:/]+)(?::(?<port>\d{1,5}))?$/.exec(text)?.groups
  if (found === undefined) return read.wrong(name, `'${text}' is no address`, 'write ADDRESS or ADDRESS:PORT, without a scheme')
  return { address: found['address'] ?? '', port: Number(found['port'] ?? 10_051) }
}

function sitesOf(read: Converter, own: string): ZabbixSite['sites'] {
  const name = 'hive_zabbix_hive_names'
  const others = read.list(name).flatMap((entry) => {
    if (typeof entry === 'string') return [{ name: entry, servers: [] }]
    const servers: unknown = isMapping(entry) ? (entry['servers'] ?? []) : undefined
    if (isMapping(entry) && typeof entry['name'] === 'string' && Array.isArray(servers)) return [{ name: entry['name'], servers: servers.map(String) }]
    read.wrong(name, `an entry must be a site's name, but is ${describe(entry)}`, 'write NAME, or {name: NAME, servers: [s-hive0.NAME, …]}')
    return []
  })
  return [{ name: own, servers: [] }, ...others.filter((site) => site.name !== own)]
}

function macrosOf(read: Converter): Readonly<Record<string, string>> {
  const name = 'hive_zabbix_macros'
  const macros: Record<string, string> = {}
  for (const [macro, value] of Object.entries(read.mapping(name) ?? {})) {
    if (!/^\{\$[A-Z0-9_.]+(?::.+)?\}$/.test(macro))
      read.wrong(name, `'${macro}' is no macro`, 'write it as Zabbix does: "{$HIVE.AGENT.SILENCE}"', read.within(name, macro))
    else if (typeof value === 'object') read.wrong(name, `${macro} must be text or a number, but is ${describe(value)}`, undefined, read.within(name, macro))
    else macros[macro] = String(value)
  }
  return macros
}

const kinds = ['mail', 'slack', 'webhook'] as const
const severities = ['info', 'warning', 'average', 'high', 'disaster'] as const
const securities = ['none', 'starttls', 'tls'] as const
const allowed: Readonly<Record<(typeof kinds)[number], readonly string[]>> = {
  mail: ['to', 'from', 'server', 'port', 'security', 'user', 'password'],
  slack: ['url'],
  webhook: ['url'],
}

function mediumOf(read: Converter, entry: unknown, index: number): readonly ZabbixMedium[] {
  const variable = 'hive_zabbix_media'
  const wrong = (message: string, instead?: string, key?: string): undefined =>
    read.wrong(variable, message, instead, key === undefined ? read.within(variable, index) : read.within(variable, index, key))
  if (!isMapping(entry)) {
    wrong(`an entry must be a mapping, but is ${describe(entry)}`, 'write {type: slack, url: …}')
    return []
  }
  const kind = kinds.find((one) => one === entry['type'])
  if (kind === undefined) {
    wrong(`type ${describe(entry['type'])} is not possible`, `write ${kinds.join(', ')}`, 'type')
    return []
  }
  for (const key of Object.keys(entry))
    if (!['type', 'name', 'severity', ...allowed[kind]].includes(key))
      wrong(`${kind} has no ${key}`, `it has ${['name', 'severity', ...allowed[kind]].join(', ')}`, key)
  const text = (key: string, otherwise = ''): string => textIn(entry, key) ?? otherwise
  const one = <T extends string>(key: string, choices: readonly T[], otherwise: T): T => {
    const found = choices.find((choice) => choice === text(key, otherwise))
    if (found === undefined) wrong(`${key} '${text(key)}' is not possible`, `write ${choices.join(', ')}`, key)
    return found ?? otherwise
  }
  const to = [entry['to']].flat().flatMap((address) => (address === undefined || address === null ? [] : [String(address)]))
  const security = one('security', securities, 'starttls')
  const port = Number(entry['port'] ?? { none: 25, starttls: 587, tls: 465 }[security])
  if (kind === 'mail') {
    if (to.length === 0 || !to.every((address) => /^\S+@\S+$/.test(address))) wrong('mail needs addresses to go to', 'write to: [ops@example.com]', 'to')
    if (!/^\S+@\S+$/.test(text('from'))) wrong('mail needs the address that it is from', 'write from: zabbix@example.com', 'from')
    if (text('server') === '') wrong('mail needs the server that takes it', 'write server: smtp.example.com', 'server')
    if (!Number.isInteger(port) || port < 1 || port > 65_535) wrong(`${describe(entry['port'])} is no port`, undefined, 'port')
  } else if (!/^https?:\/\/\S+$/.test(text('url'))) wrong(`${kind} needs the address that it is posted to`, 'write url: https://…', 'url')
  return [
    {
      name: text('name', kind),
      kind,
      to,
      url: text('url'),
      from: text('from'),
      server: text('server'),
      port: kind === 'mail' ? port : 0,
      security: kind === 'mail' ? security : 'none',
      user: text('user'),
      password: text('password'),
      leastSeverity: one('severity', severities, 'warning'),
    },
  ]
}

function textIn(entry: Mapping, key: string): string | undefined {
  const value = entry[key]
  return value === undefined || value === null ? undefined : String(value)
}

/** What must not be shown of it. */
export const zabbixSecrets = ({ admin, databasePassword, psk, media }: ZabbixSite): readonly string[] =>
  [admin.password, databasePassword, psk.key, ...media.flatMap(({ password, url }) => [password, url])].filter((text) => text !== '')
