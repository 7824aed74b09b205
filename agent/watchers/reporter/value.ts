/** What is told to Zabbix. */

/** What a collector found. */
export interface Sample {
  /** Name of the host in Zabbix; undefined: this one's. */
  readonly host?: string
  readonly key: string
  readonly value: string | number
}

/** A sample with its time, no other value has the same one. */
export interface Value {
  readonly host: string
  readonly key: string
  readonly value: string
  /** Seconds since 1970, and nanoseconds. */
  readonly clock: number
  readonly ns: number
}

/** Zabbix' limit for texts is 64 KiB of characters; a line of a log is long with less. */
const longest = 32_000

/** Zabbix refuses numbers with an exponent; digits beyond these are noise. */
export function asText(value: string | number): string {
  if (typeof value === 'string') return value.length > longest ? `${value.slice(0, longest)}…` : value
  if (!Number.isFinite(value)) return '0'
  return Number.isInteger(value) ? BigInt(value).toString() : value.toFixed(4).replace(/\.?0+$/, '')
}

/**
 * Times that grow with each call, by a nanosecond at least. What Zabbix gets twice with the same time (its answer was lost) it keeps once,
 * and two values of the same time would be taken for one.
 */
export function clockWork(now: () => number): () => Pick<Value, 'clock' | 'ns'> {
  let milliseconds = 0
  let extra = 0
  return () => {
    const at = Math.trunc(now())
    if (at > milliseconds || at < milliseconds - 1000) {
      milliseconds = at
      extra = 0
    } else if (++extra >= 1_000_000) {
      milliseconds++
      extra = 0
    }
    return { clock: Math.floor(milliseconds / 1000), ns: (((milliseconds % 1000) + 1000) % 1000) * 1_000_000 + extra }
  }
}

/** As Zabbix wants what was discovered. */
export const discovered = (entries: readonly Readonly<Record<string, string>>[]): string => JSON.stringify(entries)

/** A key with its parameters; what would end one too early is quoted. */
export const keyOf = (name: string, ...parameters: readonly string[]): string =>
  `${name}[${parameters.map((text) => (/^[\s"]|[,\]]/.test(text) || text === '' ? `"${text.replaceAll('"', '\\"')}"` : text)).join(',')}]`

/** The catalogue's key of it: what stands before the parameters. */
export const baseOf = (key: string): string => key.split('[', 1)[0] ?? key
