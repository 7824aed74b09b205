import type { Site } from './site.ts'

export interface ShowOptions {
  readonly showSecrets?: boolean | undefined
}

export interface InventoryJson {
  readonly name: string
  readonly stage: string
  readonly provider: string
  readonly hosts: readonly {
    readonly name: string
    readonly shortName: string
    readonly address: string
    readonly netmask: string
    readonly subnet: string
    /** A number where the provider counts its zones (azure). */
    readonly zone: string | number | null
    readonly groups: readonly string[]
  }[]
  readonly networks: readonly { readonly name: string; readonly subnet: string | null; readonly gateway: string | null }[]
  readonly volumes: readonly {
    readonly name: string
    readonly kind: string
    readonly deviceId: number | null
    readonly size: string | null
    readonly fstype: string | null
    readonly stages: readonly string[]
  }[]
  readonly images: readonly { readonly name: string; readonly from: string; readonly roles: readonly string[]; readonly tag: string }[]
  readonly services: readonly {
    readonly name: string
    readonly image: string
    readonly mode: string
    readonly replicas: number | null
    readonly ports: readonly { readonly published: number; readonly target: number; readonly protocol: string; readonly mode: string }[]
    readonly volumes: readonly { readonly type: string; readonly source: string; readonly target: string; readonly readonly: boolean }[]
    readonly labels: Readonly<Record<string, string>>
    readonly environment: Readonly<Record<string, string>>
    readonly networks: readonly string[]
  }[]
}

export const mask = '********'
const secretKey =
  /passw(?:or)?d|passphrase|pass(?:$|_|-|\d)|secret|token|credential|privatekey|apikey|(?:^|[_-])(?:(?:api|access|private|encryption|signing|auth)[_-]?)?key(?:$|_|-)/i
/** A user and a password within a URL. */
const urlCredentials = /:\/\/[^/\s:@]*:[^/\s@]+@/

/** Whether a key names a secret: password, secret, token, key and the like. */
export const isSecretKey = (key: string): boolean => secretKey.test(key)

/** The resolved site as `hivecoord inventory --output json` prints it; what is absent is null. */
export const inventoryJson = (site: Site, options: ShowOptions = {}): InventoryJson => {
  const shown = (text: string): string => (options.showSecrets === true || !(site.isSecret(text) || urlCredentials.test(text)) ? text : mask)
  const shownMap = (values: Readonly<Record<string, string>>): Record<string, string> =>
    Object.fromEntries(
      Object.entries(values).map(([key, value]) => [key, options.showSecrets !== true && value !== '' && isSecretKey(key) ? mask : shown(value)]),
    )
  const tags = new Map(site.images.map((image) => [image.name, image.pullFrom ?? `${image.repository}:latest`]))
  return {
    name: site.name,
    stage: site.stage,
    provider: site.provider,
    hosts: site.hosts.map(({ name, shortName, address, netmask, subnet, zone, groups }) => ({
      name,
      shortName,
      address,
      netmask,
      subnet,
      zone: zone !== undefined && /^\d+$/.test(zone) ? Number(zone) : (zone ?? null),
      groups,
    })),
    networks: site.networks.map(({ name, subnet, gateway }) => ({ name, subnet: subnet ?? null, gateway: gateway ?? null })),
    volumes: site.volumes.map(({ name, kind, deviceId, size, fstype, stages }) => ({
      name,
      kind,
      deviceId: deviceId ?? null,
      size: size ?? null,
      fstype: fstype ?? null,
      stages,
    })),
    images: site.images.map(({ name, from, roles }) => ({ name, from, roles, tag: tags.get(name) ?? '' })),
    services: site.services.map((service) => ({
      name: service.name,
      image: service.image.kind === 'reference' ? service.image.reference : (service.mappedReference ?? tags.get(service.image.image) ?? service.image.image),
      mode: service.mode,
      replicas: service.replicas ?? null,
      ports: service.ports.map(({ published, target, protocol, mode }) => ({ published, target, protocol, mode })),
      volumes: service.mounts.map(({ type, source, target, readOnly }) => ({ type, source, target, readonly: readOnly })),
      labels: shownMap(service.labels),
      environment: shownMap(service.environment),
      networks: service.networks,
    })),
  }
}

const columns = (rows: readonly (readonly string[])[]): string[] => {
  const widths: number[] = []
  for (const row of rows) for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length)
  return rows.map((row) => `  ${row.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join('  ')}`.trimEnd())
}

/** The resolved site for people: plain text, one line a host, volume, image and service, details indented below. */
export const inventoryText = (site: Site, options: ShowOptions = {}): string => {
  const json = inventoryJson(site, options)
  const lines = [
    `${json.name}, stage ${json.stage}, provider ${json.provider}${site.effectiveProvider === site.provider ? '' : ` (made with ${site.effectiveProvider})`}`,
  ]
  const section = (title: string, rows: readonly (readonly string[])[]): void => {
    if (rows.length > 0) lines.push('', title, ...columns(rows))
  }
  section(
    'hosts',
    json.hosts.map((host) => [
      host.name,
      host.address,
      String(host.zone ?? ''),
      site.hosts.find((one) => one.name === host.name)?.isHive === true ? 'hive' : '',
      host.groups.join(' '),
    ]),
  )
  section(
    'networks',
    json.networks.map((network) => [network.name, network.subnet ?? "(docker's choice)", network.gateway ?? '']),
  )
  section(
    'volumes',
    json.volumes.map((volume) => [
      volume.name,
      volume.kind,
      volume.deviceId === null ? '' : `device ${volume.deviceId}`,
      volume.size ?? '',
      volume.fstype ?? '',
      volume.stages.join(' '),
    ]),
  )
  section(
    'images',
    json.images.map((image) => [image.name, `from ${image.from}`, image.roles.join(' ')]),
  )
  if (json.services.length > 0) lines.push('', 'services')
  for (const service of json.services) {
    lines.push(`  ${service.name}  ${service.image}  ${service.mode}${service.replicas === null ? '' : ` ${service.replicas}`}`)
    if (service.ports.length > 0)
      lines.push(
        `    ports    ${service.ports.map((port) => `${port.published}:${port.target}/${port.protocol}${port.mode === 'host' ? ' host' : ''}`).join(', ')}`,
      )
    for (const volume of service.volumes)
      lines.push(`    volume   ${volume.source === '' ? volume.type : volume.source} at ${volume.target}${volume.readonly ? ' read-only' : ''}`)
    for (const [key, value] of Object.entries(service.labels)) lines.push(`    label    ${key}=${value}`)
    for (const [key, value] of Object.entries(service.environment)) lines.push(`    env      ${key}=${value}`)
    lines.push(`    networks ${service.networks.join(', ')}`)
  }
  return `${lines.join('\n')}\n`
}
