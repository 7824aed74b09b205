/** Which values are due: each item has an interval of its own in the catalogue, and collectors answer all that they see. */
import { templates } from '../../../proto/monitoring/catalogue.ts'
import { baseOf, type Sample } from './value.ts'

interface Interval {
  /** Seconds, where the site reports every 60. */
  readonly every: number
  readonly kind: 'value' | 'line' | 'discovery'
}

/** By the part of the key before its parameters. Items that Zabbix computes, and what is told live, are not among them. */
export const intervals: ReadonlyMap<string, Interval> = new Map(
  templates.flatMap(({ items, discoveries }) => [
    ...[...items, ...discoveries.flatMap((discovery) => discovery.items)]
      .filter(({ formula, live }) => formula === undefined && live === undefined)
      .map(({ key, every, valueType }): [string, Interval] => [baseOf(key), { every, kind: valueType === 'log' ? 'line' : 'value' }]),
    ...discoveries.map(({ key, every }): [string, Interval] => [baseOf(key), { every, kind: 'discovery' }]),
  ]),
)

export class Pace {
  readonly #told = new Map<string, { readonly at: number; readonly text: string }>()

  /**
   * Whether to tell it now, which counts as told. `collectorEvery`: seconds between two looks of who found it; what is due as often is
   * always told, because it may count what came since the look before. `scale`: seconds of the site's interval by 60. Every log line is
   * told; a discovery at once where it has changed.
   */
  due(sample: Sample, now: number, collectorEvery: number, scale: number): boolean {
    const interval = intervals.get(baseOf(sample.key))
    if (interval === undefined) return false
    if (interval.kind === 'line') return true
    const name = `${sample.host ?? ''}\n${sample.key}`
    const before = this.#told.get(name)
    const text = interval.kind === 'discovery' ? String(sample.value) : ''
    const elapsed = before === undefined ? Number.POSITIVE_INFINITY : now - before.at
    // Rounds come a little early or late.
    const due = (interval.kind === 'value' && interval.every <= collectorEvery) || elapsed >= interval.every * scale * 950 || before?.text !== text
    if (due) this.#told.set(name, { at: now, text })
    return due
  }

  /** All is due again: Zabbix may be another one. */
  forget(): void {
    this.#told.clear()
  }
}
