/** What looks at one kind of thing. One that fails, or takes too long, keeps no other from looking. */
import type { MonitoringConfiguration } from './configuration.ts'
import type { Round } from './round.ts'
import type { Sample } from './value.ts'

export interface CollectContext {
  readonly configuration: MonitoringConfiguration
  /** What several collectors ask docker for, once in a round. */
  readonly round: Round
  readonly signal: AbortSignal
  /** Milliseconds since 1970. */
  readonly now: number
  /** How far this collector had read, as it answered with its values. */
  readonly mark: (name: string) => unknown
}

export interface Collected {
  readonly samples: readonly Sample[]
  readonly marks?: Readonly<Record<string, unknown>>
}

export interface Collector {
  readonly name: string
  /** Seconds between two looks at the default pace: the shortest interval among its items. */
  readonly every: number
  /** Milliseconds that a look may take. Default 15 000. */
  readonly deadline?: number
  /** Whether it has anything to look at on a host of this kind. Default: yes. */
  concerns?(configuration: MonitoringConfiguration): boolean
  collect(context: CollectContext): Promise<Collected | readonly Sample[]>
}

/** A counter's growth a second between two looks; undefined at the first look, and where it began anew. */
export function ratesOf(now: () => number = () => performance.now()): (name: string, count: number) => number | undefined {
  const last = new Map<string, { readonly count: number; readonly at: number }>()
  return (name, count) => {
    const before = last.get(name)
    const at = now()
    last.set(name, { count, at })
    return before === undefined || count < before.count || at <= before.at ? undefined : ((count - before.count) / (at - before.at)) * 1000
  }
}

/** A sample where there is a value. */
export const sampleIf = (key: string, value: string | number | undefined): readonly Sample[] => (value === undefined ? [] : [{ key, value }])
