/** The options of DRBD 9.3 in the order in which `drbdsetup show` prints them, with their defaults and units (drbdsetup show --show-defaults). */
import type { Options } from './state.ts'

interface OptionKind {
  name: string
  default: string
  /** what the number counts; its own unit is what a value without a suffix means. */
  unit?: 'bytes' | 'sectors' | 'kib' | 'seconds' | 'tenths' | 'milliseconds'
  quoted?: boolean
}

const kind = (name: string, byDefault: string, unit?: OptionKind['unit']): OptionKind => ({ name, default: byDefault, ...(unit === undefined ? {} : { unit }) })
const quoted = (name: string, byDefault = ''): OptionKind => ({ name, default: byDefault, quoted: true })

export const RESOURCE_OPTIONS: readonly OptionKind[] = [
  quoted('cpu-mask'),
  kind('on-no-data-accessible', 'io-error'),
  kind('auto-promote', 'yes'),
  kind('peer-ack-window', '4096', 'sectors'),
  kind('peer-ack-delay', '100', 'milliseconds'),
  kind('twopc-timeout', '300', 'tenths'),
  kind('twopc-retry-timeout', '1', 'tenths'),
  kind('auto-promote-timeout', '20', 'tenths'),
  kind('max-io-depth', '8000'),
  kind('quorum', 'off'),
  kind('on-no-quorum', 'suspend-io'),
  kind('quorum-minimum-redundancy', 'off'),
  kind('on-suspended-primary-outdated', 'disconnect'),
]

export const DISK_OPTIONS: readonly OptionKind[] = [
  kind('size', '0', 'sectors'),
  kind('on-io-error', 'detach'),
  kind('disk-barrier', 'no'),
  kind('disk-flushes', 'yes'),
  kind('disk-drain', 'yes'),
  kind('md-flushes', 'yes'),
  kind('resync-after', '-1'),
  kind('al-extents', '1237'),
  kind('al-updates', 'yes'),
  kind('discard-zeroes-if-aligned', 'yes'),
  kind('disable-write-same', 'no'),
  kind('disk-timeout', '0', 'tenths'),
  kind('read-balancing', 'prefer-local'),
  kind('rs-discard-granularity', '0', 'bytes'),
]

export const NET_OPTIONS: readonly OptionKind[] = [
  quoted('transport'),
  kind('protocol', 'C'),
  kind('timeout', '60', 'tenths'),
  kind('max-epoch-size', '2048'),
  kind('connect-int', '10', 'seconds'),
  kind('ping-int', '10', 'seconds'),
  kind('sndbuf-size', '0', 'bytes'),
  kind('rcvbuf-size', '0', 'bytes'),
  kind('ko-count', '7'),
  kind('allow-two-primaries', 'no'),
  quoted('cram-hmac-alg'),
  quoted('shared-secret'),
  kind('after-sb-0pri', 'disconnect'),
  kind('after-sb-1pri', 'disconnect'),
  kind('after-sb-2pri', 'disconnect'),
  kind('always-asbp', 'no'),
  kind('rr-conflict', 'disconnect'),
  kind('ping-timeout', '5', 'tenths'),
  quoted('data-integrity-alg'),
  kind('tcp-cork', 'yes'),
  kind('on-congestion', 'block'),
  kind('congestion-fill', '0', 'sectors'),
  kind('congestion-extents', '1237'),
  quoted('csums-alg'),
  kind('csums-after-crash-only', 'no'),
  quoted('verify-alg'),
  kind('use-rle', 'yes'),
  kind('socket-check-timeout', '0'),
  kind('fencing', 'dont-care'),
  kind('max-buffers', '2048'),
  kind('allow-remote-read', 'yes'),
  quoted('_name'),
]

export const PEER_DEVICE_OPTIONS: readonly OptionKind[] = [
  kind('resync-rate', '250', 'kib'),
  kind('c-plan-ahead', '20', 'tenths'),
  kind('c-delay-target', '10', 'tenths'),
  kind('c-fill-target', '100', 'sectors'),
  kind('c-max-rate', '102400', 'kib'),
  kind('c-min-rate', '250', 'kib'),
  kind('bitmap', 'yes'),
]

const FACTOR = { bytes: 1, sectors: 512, kib: 1024, seconds: 1, tenths: 1, milliseconds: 1 }
const SUFFIX: Record<string, number> = { '': 0, s: 512, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 }

/** `--name=value` words as options in their own units; other words are left. Throws on an option that this kind of object does not have. */
export function takeOptions(
  words: readonly string[],
  kinds: readonly OptionKind[],
  flags: readonly string[] = [],
): { options: Options; rest: string[]; given: Set<string> } {
  const options: Options = {}
  const rest: string[] = []
  const given = new Set<string>()
  for (const word of words) {
    const match = /^--([a-z_][a-z0-9_-]*)(?:=(.*))?$/s.exec(word)
    if (match === null) rest.push(word)
    else if (flags.includes(match[1] as string)) given.add(match[1] as string)
    else {
      const found = kinds.find((one) => one.name === match[1])
      if (found === undefined) throw new UnknownOption(match[1] as string)
      options[found.name] = inOwnUnit(match[2] ?? 'yes', found)
    }
  }
  return { options, rest, given }
}

export class UnknownOption extends Error {
  readonly option: string
  constructor(option: string) {
    super(`unrecognized option '--${option}'`)
    this.option = option
  }
}

function inOwnUnit(text: string, found: OptionKind): string {
  if (found.unit === undefined) return text
  const match = /^(\d+)([a-z]?)$/i.exec(text)
  if (match === null) return text
  const suffix = SUFFIX[(match[2] as string).toLowerCase()]
  if (suffix === undefined || suffix === 0) return match[1] as string
  return String(Math.floor((Number(match[1]) * suffix) / FACTOR[found.unit]))
}

const COMMENT = { bytes: 'bytes', sectors: 'bytes', kib: 'bytes', seconds: 'seconds', tenths: '1/10 seconds', milliseconds: 'milliseconds' }
const RATES = new Set(['resync-rate', 'c-max-rate', 'c-min-rate'])
const PRINTED_SUFFIX = { bytes: '', sectors: 's', kib: 'k', seconds: '', tenths: '', milliseconds: '' }

export interface ShownOption {
  name: string
  /** as in `show --json`. */
  value: string | boolean
  /** the line of `show`, without its indent. */
  line: string
}

/** The options as `drbdsetup show` prints them: those that differ from the default, or all. */
export function shownOptions(options: Options, kinds: readonly OptionKind[], all: boolean): ShownOption[] {
  return kinds.flatMap((one) => {
    const value = options[one.name] ?? one.default
    const isDefault = value === one.default
    if ((isDefault && !all) || (one.name === '_name' && isDefault)) return []
    const suffix = one.unit === undefined ? '' : PRINTED_SUFFIX[one.unit]
    const printed = one.quoted === true ? `"${value}"` : `${value}${suffix}`
    const unit = one.unit === undefined ? undefined : RATES.has(one.name) ? 'bytes/second' : COMMENT[one.unit]
    const comments = [...(unit === undefined ? [] : [unit]), ...(isDefault ? ['default'] : [])]
    const comment = comments.length === 0 ? '' : ` # ${comments.join(', ')}`
    const flag = one.default === 'yes' || one.default === 'no'
    return [{ name: one.name, value: flag ? value === 'yes' : `${value}${suffix}`, line: `${one.name.padEnd(16)}\t${printed};${comment}` }]
  })
}

export const seconds = (options: Options, name: 'ping-int' | 'connect-int'): number => Number(options[name] ?? 10)
export const tenths = (options: Options, name: string, byDefault: number): number => Number(options[name] ?? byDefault)
