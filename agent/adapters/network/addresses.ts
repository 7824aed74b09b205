/** Addresses of this host's interfaces, as iproute2 tells and changes them. */
import { BlockList, isIP } from 'node:net'
import { HiveError } from '../../../proto/errors.ts'
import { canonical, type Family } from '../../../proto/follower-labels.ts'
import { type CommandOptions, run } from '../command.ts'

export interface AddressSight {
  readonly address: string
  readonly family: Family
  readonly prefixLength: number
  readonly interface: string
  /** Seconds until the kernel takes it away; undefined: never. */
  readonly secondsLeft: number | undefined
}

export interface LinkSight {
  readonly name: string
  readonly loopback: boolean
  readonly addresses: readonly AddressSight[]
}

/** Whether an address is in a network, ADDRESS/PREFIX, or is the address that stands instead of one. */
export function contains(network: string, address: string): boolean {
  const [base = '', prefix] = network.split('/')
  const family = isIP(base)
  if (family === 0 || isIP(address) !== family) return false
  const type = family === 4 ? 'ipv4' : 'ipv6'
  const list = new BlockList()
  list.addSubnet(base, prefix === undefined ? (family === 4 ? 32 : 128) : Number(prefix), type)
  return list.check(address, type)
}

/** Seconds as `ip` prints "forever". */
const forever = 4_294_967_295

/** Interfaces with their addresses. Throws HiveError. */
export async function readLinks(signal: AbortSignal): Promise<readonly LinkSight[]> {
  return parseLinks((await run(['ip', '-json', 'address', 'show'], { readOnly: true, timeout: 10_000, signal })).stdout)
}

/** Of `ip -json address show`. Throws HiveError 'command-failed' for anything else. */
export function parseLinks(text: string): readonly LinkSight[] {
  let all: unknown
  try {
    all = JSON.parse(text)
  } catch (cause) {
    throw new HiveError('command-failed', '`ip -json address show` answered no JSON', { cause })
  }
  if (!Array.isArray(all)) throw new HiveError('command-failed', '`ip -json address show` answered no list')
  // Older iproute2 prints an empty object for what it leaves out.
  return (all as readonly Partial<PrintedLink>[]).flatMap((link) => (typeof link.ifname === 'string' ? [toLink(link.ifname, link)] : []))
}

interface PrintedLink {
  readonly ifname: string
  readonly flags: readonly string[]
  readonly addr_info: readonly Partial<{ family: string; local: string; prefixlen: number; valid_life_time: number }>[]
}

const toLink = (name: string, { flags = [], addr_info: addresses = [] }: Partial<PrintedLink>): LinkSight => ({
  name,
  loopback: flags.includes('LOOPBACK'),
  addresses: addresses.flatMap(({ family, local, prefixlen, valid_life_time: left }): AddressSight[] => {
    const number = family === 'inet' ? 4 : family === 'inet6' ? 6 : undefined
    const address = number === undefined || local === undefined ? undefined : canonical(local, number)
    if (number === undefined || address === undefined || prefixlen === undefined) return []
    return [{ address, family: number, prefixLength: prefixlen, interface: name, secondsLeft: left === undefined || left === forever ? undefined : left }]
  }),
})

export interface LentAddress extends Omit<AddressSight, 'secondsLeft'> {
  /** The interface has the route to the address's network already: the kernel is not to bind it to the address's time. */
  readonly inNetwork: boolean
}

/** Gives the address to the interface for so many seconds, or renews it. The kernel takes it away afterwards, whoever is dead by then. */
export async function lendAddress({ address, family, prefixLength, interface: link, inNetwork }: LentAddress, seconds: number, options: Timed): Promise<void> {
  const time = ['valid_lft', String(seconds), 'preferred_lft', String(seconds)]
  // A holder that swarm has given up may still have it, and must not keep this one from it.
  const flags = family === 6 ? ['nodad', ...(inNetwork ? ['noprefixroute'] : [])] : []
  await run(['ip', `-${family}`, 'address', 'replace', `${address}/${prefixLength}`, 'dev', link, ...time, ...flags], { timeout: 10_000, ...options })
}

/** Also where it is gone meanwhile. */
export async function takeAddress({ address, family, prefixLength, interface: link }: Omit<AddressSight, 'secondsLeft'>, options: Timed): Promise<void> {
  // 2: the kernel refused; looking again tells whether it mattered.
  await run(['ip', `-${family}`, 'address', 'delete', `${address}/${prefixLength}`, 'dev', link], { timeout: 10_000, okCodes: [0, 2], ...options })
}

type Timed = Pick<CommandOptions, 'signal'>
