import { isIPv4, isIPv6 } from 'node:net'
import { Address6 } from 'ip-address'

/** An IPv4 network: base address as an unsigned 32-bit number. */
export interface Network4 {
  readonly base: number
  readonly prefix: number
}

export const formatIPv4 = (address: number): string => [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.')
const numberOf = (address: string): number => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
export const sizeOf = (network: Network4): number => 2 ** (32 - network.prefix)
export const formatNetwork4 = (network: Network4): string => `${formatIPv4(network.base)}/${network.prefix}`
export const netmaskOf = (network: Network4): string => formatIPv4(2 ** 32 - sizeOf(network))
export const isIPv4Address = (text: string): boolean => isIPv4(text)

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly message: string; readonly instead: string }

/** Strict, as Python's ip_network: host bits must be zero. A missing prefix length means /32. */
export const parseNetwork4 = (text: string): Parsed<Network4> => {
  const [address = '', length, ...rest] = text.split('/')
  const prefix = length === undefined ? 32 : prefixOf(length)
  if (!isIPv4(address) || rest.length > 0 || prefix === undefined) {
    return { ok: false, message: `'${text}' is not an IPv4 network`, instead: 'write it as 192.168.0.0/24' }
  }
  const number = numberOf(address)
  const size = 2 ** (32 - prefix)
  const base = number - (number % size)
  return base === number
    ? { ok: true, value: { base, prefix } }
    : { ok: false, message: `'${text}' has host bits set`, instead: `write ${formatNetwork4({ base, prefix })}` }
}

const prefixOf = (length: string): number | undefined => {
  if (/^\d{1,2}$/.test(length)) return Number(length) <= 32 ? Number(length) : undefined
  if (!isIPv4(length)) return undefined
  const inverted = 2 ** 32 - numberOf(length)
  return Number.isInteger(Math.log2(inverted)) ? 32 - Math.log2(inverted) : undefined
}

/** First and last usable host address: network and broadcast left out, except in /31 and /32, which have none. */
export const hostRange = (network: Network4): { readonly first: number; readonly last: number } => {
  const last = network.base + sizeOf(network) - 1
  return network.prefix >= 31 ? { first: network.base, last } : { first: network.base + 1, last: last - 1 }
}

export const contains = (network: Network4, address: string): boolean => {
  const number = numberOf(address)
  return number >= network.base && number < network.base + sizeOf(network)
}

/** The docker networks' parts of `internal_cidr`, in the order of their offsets. */
export interface InternalNetworks {
  readonly defaultNetwork: string
  readonly ingress: { readonly subnet: string; readonly gateway: string }
  readonly gwbridge: string
  /** Address of docker0 with its prefix length. */
  readonly bridgeAddress: string
  readonly registry: string
  readonly zabbix: { readonly subnet: string; readonly bridge: string; readonly server: string; readonly web: string; readonly database: string }
}

/** Splits `internal_cidr`: two quarters, then four eighths. The network must be /25 or larger. */
export const splitInternal = (network: Network4): InternalNetworks => {
  const eighth = sizeOf(network) / 8
  const address = (offset: number, add = 0): string => formatIPv4(network.base + offset * eighth + add)
  const quarter = (offset: number): string => `${address(offset)}/${network.prefix + 2}`
  const small = (offset: number): string => `${address(offset)}/${network.prefix + 3}`
  return {
    defaultNetwork: quarter(0),
    ingress: { subnet: quarter(2), gateway: address(2, 1) },
    gwbridge: small(4),
    bridgeAddress: `${address(5, 1)}/${network.prefix + 3}`,
    registry: small(6),
    zabbix: { subnet: small(7), bridge: address(7, 1), server: address(7, 2), web: address(7, 3), database: address(7, 4) },
  }
}

/** docker_gwbridge's part of `internal_cidr_v6`: half-way in, three bits longer. */
export const gwbridgeV6 = (text: string): Parsed<string> => {
  const [address = '', length = ''] = text.split('/')
  const prefix = /^\d{1,3}$/.test(length) ? Number(length) : 129
  if (!isIPv6(address) || address.includes('%') || prefix > 125) {
    return { ok: false, message: `'${text}' is not an IPv6 network`, instead: 'write it as fd00:1234::/48 (at most /125)' }
  }
  const number = new Address6(address).bigInt()
  const size = 1n << BigInt(128 - prefix)
  if (number % size !== 0n) {
    return { ok: false, message: `'${text}' has host bits set`, instead: `write ${Address6.fromBigInt(number - (number % size)).correctForm()}/${prefix}` }
  }
  return { ok: true, value: `${Address6.fromBigInt(number + size / 2n).correctForm()}/${prefix + 3}` }
}
