/**
 * Labels of services that hosts act upon, as hive-builder's sites write them: HIVE_MARK, and HIVE_VIP, HIVE_VIP0 to HIVE_VIP5, each of them also with
 * _V6 at its end, with HIVE_ROUTER, HIVE_DNAT_PORTS and HIVE_ENABLE_VIP_SNAT of the same number and family. Pure.
 */
import { BlockList, isIP } from 'node:net'

export type Family = 4 | 6

export interface ForwardedPort {
  readonly port: number
  readonly protocol: 'tcp' | 'udp'
}

export interface VirtualAddress {
  /** HIVE_VIP0_V6 */
  readonly label: string
  readonly family: Family
  /** In the form that `ip` prints. */
  readonly address: string
  /** undefined with `interface`: those of the network that the address is in. */
  readonly prefixLength: number | undefined
  readonly interface: string | undefined
  /** Must answer a ping from the address. */
  readonly router: string | undefined
  /** From the address to the container. */
  readonly ports: readonly ForwardedPort[]
  /** What the container sends to the outside comes from the address. */
  readonly snat: boolean
}

export interface LabelProblem {
  readonly label: string
  readonly message: string
}

export interface Wishes {
  /** Label of nodes. */
  readonly mark: string | undefined
  readonly addresses: readonly VirtualAddress[]
  readonly problems: readonly LabelProblem[]
}

type Labels = Readonly<Record<string, string>>

const suffixes = ['', '0', '1', '2', '3', '4', '5'].flatMap((number) => [number, `${number}_V6`])

/** The label of a node that names, with commas between, the marks that a follower gave it. */
export const marksLabel = 'hive.marks'

/** Names of labels that setup-hosts gives to nodes: a mark of such a name would move them. */
const reserved = new Set(['all', 'first_hive', 'hives', 'hosts', 'mother', 'private', 'production', 'repository', 'servers', 'services', 'staging', marksLabel])

/** Whether the labels ask anything of hosts. */
export const hasWishes = (labels: Labels): boolean => wanted(labels['HIVE_MARK']) || suffixes.some((suffix) => wanted(labels[`HIVE_VIP${suffix}`]))

/** What is wrong is in `problems`, and leaves out what it is about, nothing else. */
export function wishesOf(labels: Labels): Wishes {
  const problems: LabelProblem[] = []
  const addresses = suffixes.flatMap((suffix) => {
    const address = addressOf(labels, suffix, problems)
    return address === undefined ? [] : [address]
  })
  return { mark: markOf(labels['HIVE_MARK'], problems), addresses, problems }
}

/** A sentence for each label that can't be followed. */
export const labelComplaints = (labels: Labels): readonly string[] => wishesOf(labels).problems.map(({ label, message }) => `${label}: ${message}`)

function markOf(value: string | undefined, problems: LabelProblem[]): string | undefined {
  if (!wanted(value)) return undefined
  const mark = value.trim()
  const wrong = (message: string): undefined => void problems.push({ label: 'HIVE_MARK', message })
  if (!/^[A-Za-z0-9_][\w.-]*$/.test(mark)) return wrong(`'${value}' is no name of a label`)
  if (reserved.has(mark)) return wrong(`'${mark}' is a label that hosts have of themselves`)
  return mark
}

function addressOf(labels: Labels, suffix: string, problems: LabelProblem[]): VirtualAddress | undefined {
  const label = `HIVE_VIP${suffix}`
  const value = labels[label]
  if (!wanted(value)) return undefined
  const family: Family = suffix.endsWith('_V6') ? 6 : 4
  const wrong = (message: string, about = label): undefined => void problems.push({ label: about, message })
  const at = placeOf(value.trim(), family)
  if (typeof at === 'string') return wrong(at)
  const routerLabel = `HIVE_ROUTER${suffix}`
  const routerValue = labels[routerLabel]
  const router = wanted(routerValue) ? canonical(routerValue.trim(), family) : undefined
  // Without the check that was asked for, the address could be where nobody reaches it.
  if (wanted(routerValue) && router === undefined) return wrong(`'${routerValue}' is no IPv${family} address of a router`, routerLabel)
  return {
    label,
    family,
    ...at,
    router,
    ports: portsOf(labels[`HIVE_DNAT_PORTS${suffix}`], (message) => wrong(message, `HIVE_DNAT_PORTS${suffix}`)),
    snat: labels[`HIVE_ENABLE_VIP_SNAT${suffix}`]?.trim().toUpperCase() === 'TRUE',
  }
}

/** ADDRESS, or ADDRESS[/PREFIX]@INTERFACE, where a missing prefix is that of a single host. A text is what is wrong. */
function placeOf(value: string, family: Family): Pick<VirtualAddress, 'address' | 'prefixLength' | 'interface'> | string {
  const [place = '', name, ...more] = value.split('@')
  const [text = '', prefix, ...rest] = place.split('/')
  const address = canonical(text, family)
  const most = family === 4 ? 32 : 128
  if (address === undefined || more.length > 0 || rest.length > 0) return `'${value}' is no IPv${family} address`
  if (!canBeVirtual(address, family)) return `${address} can't be given to a host`
  if (name === undefined) {
    if (prefix !== undefined) return `'${value}' names no interface: write ADDRESS, or ADDRESS/PREFIX@INTERFACE`
    return { address, prefixLength: undefined, interface: undefined }
  }
  if (!/^[\w.-]{1,15}$/.test(name)) return `'${name}' is no name of an interface`
  if (prefix !== undefined && !(/^\d{1,3}$/.test(prefix) && Number(prefix) >= 1 && Number(prefix) <= most)) return `'/${prefix}' is no length of a prefix`
  return { address, prefixLength: prefix === undefined ? most : Number(prefix), interface: name }
}

function portsOf(value: string | undefined, wrong: (message: string) => void): readonly ForwardedPort[] {
  if (!wanted(value)) return []
  const ports = new Map<string, ForwardedPort>()
  for (const part of value.split(',').map((one) => one.trim())) {
    if (part === '') continue
    const [, digits = '', protocol = 'tcp'] = /^([1-9]\d{0,4})(?:\/(tcp|udp))?$/.exec(part) ?? []
    if (digits === '' || Number(digits) > 65_535) wrong(`'${part}' is no port: write 80, 443/tcp or 53/udp`)
    else ports.set(`${digits}/${protocol}`, { port: Number(digits), protocol: protocol as ForwardedPort['protocol'] })
  }
  return [...ports.values()]
}

// Two lists: in one, an IPv4 address counts as the IPv6 address that it is mapped to.
const unusable: Readonly<Record<Family, BlockList>> = { 4: new BlockList(), 6: new BlockList() }
unusable[4].addSubnet('0.0.0.0', 8, 'ipv4')
unusable[4].addSubnet('127.0.0.0', 8, 'ipv4')
unusable[4].addSubnet('224.0.0.0', 3, 'ipv4')
unusable[6].addSubnet('::', 127, 'ipv6')
unusable[6].addSubnet('::ffff:0:0', 96, 'ipv6')
unusable[6].addSubnet('ff00::', 8, 'ipv6')
const canBeVirtual = (address: string, family: Family): boolean => !unusable[family].check(address, family === 4 ? 'ipv4' : 'ipv6')

/** As `ip` prints it; undefined where it is no address of the family. */
export function canonical(text: string, family: Family): string | undefined {
  if (isIP(text) !== family || text.includes('%')) return undefined
  return family === 4 ? text : new URL(`http://[${text}]/`).hostname.slice(1, -1)
}

/** Labels of templates that came out empty ask nothing. */
const wanted = (value: string | undefined): value is string => value !== undefined && value.trim() !== ''
