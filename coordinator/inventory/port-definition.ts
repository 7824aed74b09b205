import { describe, isMapping, isTemplateText, type Mapping } from './mapping.ts'
import type { Findings, Position } from './problems.ts'
import { didYouMean } from './suggest.ts'
import { joined, keyAt, startOf, valueAt, writtenAt } from './yaml-source.ts'

export const protocols = ['tcp', 'udp', 'sctp'] as const
export type Protocol = (typeof protocols)[number]

export interface PortDefinition {
  readonly target: number
  /** undefined: allocated. */
  readonly published: number | undefined
  readonly protocol: Protocol
  readonly mode: 'ingress' | 'host'
  readonly at: Position
  readonly path: string
}

const isPort = (value: number): boolean => Number.isInteger(value) && value >= 1 && value <= 65535
const isProtocol = (value: unknown): value is Protocol => protocols.some((protocol) => protocol === value)

/** `ports` of a service, in both syntaxes. Entries that make no sense are reported and left out. */
export const readPorts = (service: Mapping, servicePath: string, findings: Findings): readonly PortDefinition[] => {
  const list = service['ports']
  const path = joined(servicePath, 'ports')
  if (list === undefined || list === null) return []
  if (!Array.isArray(list)) {
    findings.problem(valueAt(service, 'ports'), path, `must be a list, but is ${describe(list)}`, 'write one entry a port: - "8080:80/tcp"')
    return []
  }
  return list.flatMap((item: unknown, index) => {
    const port = readPort(list, index, item, `${path}[${index}]`, findings)
    return port === undefined ? [] : [port]
  })
}

const readPort = (list: unknown[], index: number, item: unknown, path: string, findings: Findings): PortDefinition | undefined => {
  const at = valueAt(list, index)
  if (typeof item === 'number') {
    const written = writtenAt(list, index) ?? String(item)
    const explained = written.includes(':')
      ? `YAML reads the unquoted ${written} as the base-60 number ${item}`
      : `YAML reads the unquoted ${written} as a number`
    findings.problem(at, path, explained, `write "${written}" in quotes`)
    return undefined
  }
  if (isMapping(item)) return readLong(item, path, findings)
  if (typeof item !== 'string') {
    findings.problem(
      at,
      path,
      `a port must be text or a mapping, but is ${describe(item)}`,
      'write "8080:80/tcp" or {published_port: 8080, target_port: 80, protocol: tcp}',
    )
    return undefined
  }
  return readShort(item, at, path, findings)
}

const readShort = (text: string, at: Position, path: string, findings: Findings): PortDefinition | undefined => {
  const match = /^(?:(\d+):)?(\d+)(?:\/([A-Za-z0-9]+))?$/.exec(text.trim())
  const protocol = match?.[3] ?? 'tcp'
  if (match === null) {
    findings.problem(
      at,
      path,
      `'${text}' is no port`,
      'write "[published:]target[/tcp|udp|sctp]" with plain numbers; addresses, ranges and templates are not possible',
    )
    return undefined
  }
  if (!isProtocol(protocol)) {
    findings.problem(at, path, `unknown protocol '${protocol}'`, didYouMean(protocol, protocols))
    return undefined
  }
  const published = match[1] === undefined ? undefined : Number(match[1])
  const target = Number(match[2])
  if (!isPort(target) || (published !== undefined && !isPort(published))) {
    findings.problem(at, path, `'${text}' is not within 1 to 65535`, 'use port numbers from 1 to 65535')
    return undefined
  }
  return { target, published, protocol, mode: 'ingress', at, path }
}

const longNames = ['published_port', 'target_port', 'protocol', 'mode'] as const
export type PortKey = (typeof longNames)[number]
const longKeys: readonly string[] = longNames

const readLong = (item: Mapping, path: string, findings: Findings): PortDefinition | undefined => {
  for (const key of Object.keys(item)) {
    if (!longKeys.includes(key)) findings.problem(keyAt(item, key), joined(path, key), `unknown port key '${key}'`, didYouMean(key, longKeys))
  }
  const number = (key: string): number | undefined => {
    const value = item[key]
    if (value === undefined || value === null) return undefined
    const parsed = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
    if (typeof parsed === 'number' && isPort(parsed)) return parsed
    const instead = isTemplateText(value) ? 'write the number itself: ports are read before templates are rendered' : 'write a number from 1 to 65535'
    findings.problem(valueAt(item, key), joined(path, key), `${describe(value)} is no port number`, instead)
    return undefined
  }
  const target = number('target_port')
  const published = number('published_port')
  const protocol = item['protocol'] ?? 'tcp'
  const mode = item['mode'] ?? 'ingress'
  if (item['target_port'] === undefined || item['target_port'] === null) {
    findings.problem(startOf(item), path, "the key 'target_port' is missing", 'add target_port: the port in the container')
  }
  if (!isProtocol(protocol)) {
    findings.problem(valueAt(item, 'protocol'), joined(path, 'protocol'), `unknown protocol ${describe(protocol)}`, didYouMean(String(protocol), protocols))
    return undefined
  }
  if (mode !== 'ingress' && mode !== 'host') {
    findings.problem(valueAt(item, 'mode'), joined(path, 'mode'), `unknown port mode ${describe(mode)}`, didYouMean(String(mode), ['ingress', 'host']))
    return undefined
  }
  return target === undefined ? undefined : { target, published, protocol, mode, at: startOf(item), path }
}

/** The port as roles see it in `hive_ports`. */
export const portVariable = (port: PortDefinition, published: number): Record<string, unknown> => ({
  published_port: published,
  target_port: port.target,
  protocol: port.protocol,
  ...(port.mode === 'host' ? { mode: 'host' } : {}),
})
