/** What hivecoord's runs and plans left on this host. */
import type { Collector } from '../collector.ts'

export interface RunFacts {
  /** When the last run here ended; undefined: there was none. */
  lastEnded(): Date | undefined
  /** Titles of steps that failed when they were last carried out. */
  failed(): readonly string[]
  /** Titles of steps that a plan found different, and no run has set right since. */
  different(): readonly string[]
}

/** Lines that are told; a first plan of a host differs in everything. */
const told = 50

export const lastRuns = (facts: RunFacts): Collector => ({
  name: 'runs and plans',
  every: 300,
  async collect({ now }) {
    const ended = facts.lastEnded()
    const different = facts.different()
    const more = different.length > told ? [`and ${different.length - told} more`] : []
    return [
      { key: 'hive.run.failed', value: facts.failed().length },
      ...(ended === undefined ? [] : [{ key: 'hive.run.age', value: Math.max(0, Math.round((now - ended.getTime()) / 1000)) }]),
      { key: 'hive.drift.steps', value: different.length },
      { key: 'hive.drift.titles', value: [...different.slice(0, told), ...more].join('\n') },
    ]
  },
})
