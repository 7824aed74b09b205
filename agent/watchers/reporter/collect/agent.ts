/** The agent itself. */
import { stuckCommands } from '../../../adapters/drbd/tools.ts'
import { hungProcesses } from '../../../adapters/hung-processes.ts'
import type { Collector } from '../collector.ts'

export interface AgentFacts {
  readonly version: string
  readonly started: Date
  /** Values that wait. */
  queued(): number
  /** Since this was last asked. */
  dropped(): number
  refused(): number
}

/** Apart from what says that it is there, and from collectors that failed: those are known after the others have looked. */
export const agentItself = (facts: AgentFacts): Collector => ({
  name: 'the agent',
  every: 60,
  async collect({ now }) {
    return [
      { key: 'hive.agent.version', value: facts.version },
      { key: 'hive.agent.uptime', value: Math.max(0, Math.round((now - facts.started.getTime()) / 1000)) },
      { key: 'hive.agent.memory', value: process.memoryUsage.rss() },
      { key: 'hive.agent.queue.length', value: facts.queued() },
      { key: 'hive.agent.queue.dropped', value: facts.dropped() },
      { key: 'hive.agent.queue.refused', value: facts.refused() },
    ]
  },
})

export const hungStorage: Collector = {
  name: 'hung storage commands',
  every: 300,
  async collect() {
    return [{ key: 'hive.agent.storage.hung', value: Math.max(stuckCommands().length, (await hungProcesses()).length) }]
  },
}
