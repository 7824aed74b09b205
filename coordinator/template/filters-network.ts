/** The common queries of ipaddr, ipv4 and ipv6. A value that is no address, or does not fit the query, is false. */
import { Address4, Address6 } from 'ip-address'
import type { Filter, Filters } from './filters.ts'
import { str } from './text.ts'
import { type Arguments, Fault, toNumber } from './values.ts'

interface Net {
  readonly version: 4 | 6
  readonly address: bigint
  readonly prefix: number
  /** Whether a prefix was written. */
  readonly network: boolean
}

const bits = (net: Net) => (net.version === 4 ? 32 : 128)
const size = (net: Net) => 1n << BigInt(bits(net) - net.prefix)
const base = (net: Net) => net.address - (net.address % size(net))

function parse(value: unknown): Net | undefined {
  const text = str(value)
  const version = Address4.isValid(text) ? 4 : Address6.isValid(text) ? 6 : undefined
  if (version === undefined) return undefined
  const parsed = version === 4 ? new Address4(text) : new Address6(text)
  return { version, address: parsed.bigInt(), prefix: parsed.subnetMask, network: text.includes('/') }
}

function show(net: Net, address: bigint): string {
  return net.version === 4 ? Address4.fromBigInt(address).correctForm() : Address6.fromBigInt(address).correctForm()
}

type Query = (net: Net) => unknown

/** The first and last address for hosts: without network and broadcast, except in /31, /32, /127 and /128. */
function usable(net: Net): [bigint, bigint] {
  const small = bits(net) - net.prefix <= 1
  const last = base(net) + size(net) - 1n
  return small ? [base(net), last] : [base(net) + 1n, net.version === 4 ? last - 1n : last]
}

const isNetwork = (net: Net) => net.network && net.address === base(net) && net.prefix < bits(net)
const withPrefix = (net: Net, address: bigint) => `${show(net, address)}/${net.prefix}`

const queries: Readonly<Record<string, Query>> = {
  '': (net) => (net.network ? withPrefix(net, net.address) : show(net, net.address)),
  bool: () => true,
  address: (net) => (isNetwork(net) ? false : show(net, net.address)),
  ip: (net) => (isNetwork(net) ? false : show(net, net.address)),
  'address/prefix': (net) => (isNetwork(net) ? false : withPrefix(net, net.address)),
  'ip/prefix': (net) => (isNetwork(net) ? false : withPrefix(net, net.address)),
  host: (net) => (isNetwork(net) ? false : withPrefix(net, net.address)),
  'host/prefix': (net) => (isNetwork(net) ? false : withPrefix(net, net.address)),
  network: (net) => show(net, base(net)),
  network_id: (net) => show(net, base(net)),
  subnet: (net) => withPrefix(net, base(net)),
  'network/prefix': (net) => withPrefix(net, base(net)),
  net: (net) => (isNetwork(net) ? withPrefix(net, base(net)) : false),
  netmask: (net) => show(net, (1n << BigInt(bits(net))) - size(net)),
  hostmask: (net) => show(net, size(net) - 1n),
  wildcard: (net) => show(net, size(net) - 1n),
  prefix: (net) => net.prefix,
  broadcast: (net) => (bits(net) - net.prefix > 1 && net.version === 4 ? show(net, base(net) + size(net) - 1n) : ''),
  size: (net) => Number(size(net)),
  first_usable: (net) => show(net, usable(net)[0]),
  last_usable: (net) => show(net, usable(net)[1]),
  range_usable: (net) =>
    usable(net)
      .map((address) => show(net, address))
      .join('-'),
  version: (net) => net.version,
  int: (net) => Number(net.address),
}

function ipaddr(version?: 4 | 6): Filter {
  return (value, args: Arguments) => {
    const query = args.get(0, 'query') ?? ''
    const wanted = args.get(1, 'version') ?? version
    const one = (item: unknown): unknown => {
      const net = parse(item)
      return net === undefined || (wanted !== undefined && net.version !== wanted) ? false : answer(net, query)
    }
    return Array.isArray(value) ? value.map(one).filter((found) => found !== false) : one(value)
  }
}

function answer(net: Net, query: unknown): unknown {
  const index = typeof query === 'string' && !/^-?\d+$/.test(query) ? undefined : Number(toNumber(query) ?? query)
  if (index !== undefined) {
    const place = index < 0 ? base(net) + size(net) + BigInt(index) : base(net) + BigInt(index)
    return place < base(net) || place >= base(net) + size(net) ? false : withPrefix(net, place)
  }
  const found = Object.hasOwn(queries, str(query)) ? queries[str(query)] : undefined
  if (found !== undefined) return found(net)
  const range = parse(query)
  if (range === undefined) throw new Fault('unsupported', `ipaddr: query '${str(query)}' is not supported`)
  const inside = range.version === net.version && net.address >= base(range) && net.address < base(range) + size(range)
  return inside ? queries['']?.(net) : false
}

export const networkFilters: Filters = { ipaddr: ipaddr(), ipv4: ipaddr(4), ipv6: ipaddr(6) }
