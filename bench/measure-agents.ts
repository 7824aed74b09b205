/** What an agent takes of its host, and how soon after its start it listens. */
import type { BenchStage } from './stage.ts'
import { median } from './statistics.ts'

const restarts = 3

/** Seconds of rest before memory is looked at. */
const rest = 10

export interface AgentFigures {
  /** Kilobytes resident, the most of all hosts: after a start, and at rest after the work of the measurements. */
  readonly freshKilobytes: number
  readonly workedKilobytes: number
  /** Milliseconds from the start of the process until it has told systemd that it listens: median and worst of all restarts. */
  readonly listening: number
  readonly listeningWorst: number
}

const resident = `sleep ${rest}; awk '/^VmRSS/ { print $2 }' /proc/$(systemctl show -p MainPID --value hive-agent)/status`
const restart = `systemctl restart hive-agent
echo $(( ($(systemctl show -p ActiveEnterTimestampMonotonic --value hive-agent) - $(systemctl show -p ExecMainStartTimestampMonotonic --value hive-agent)) / 1000 ))`

/** Restarts the agents, one host after the other. */
export async function measureAgents(stage: BenchStage): Promise<AgentFigures> {
  const onAll = (command: string): Promise<readonly number[]> =>
    Promise.all([...stage.hives, stage.repository].map(async (host) => Number(await stage.site.onHost(host, command))))
  const worked = await onAll(resident)
  const listening: number[] = []
  for (const host of [...stage.hives, stage.repository])
    for (let time = 0; time < restarts; time += 1) listening.push(Number(await stage.site.onHost(host, restart)))
  const fresh = await onAll(resident)
  return {
    freshKilobytes: Math.max(...fresh),
    workedKilobytes: Math.max(...worked),
    listening: median(listening),
    listeningWorst: Math.max(...listening),
  }
}
