/** What is wrong between hosts: clocks that differ, and what two of them have that one should. Pure. */
import { type Finding, finding } from './finding.ts'
import type { HostSight, WholePicture } from './whole-picture.ts'

/** Milliseconds: certificates, raft and the order of logs bear that. */
const apart = 5_000

export const betweenHostsFindings = (picture: WholePicture): readonly Finding[] => [...clocks(picture.hosts), ...addresses(picture)]

/** Against the hosts' own median, so that this machine's wrong clock is told once and as such. */
function clocks(hosts: readonly HostSight[]): readonly Finding[] {
  const read = hosts.flatMap(({ name, condition, asked, answered }) => {
    const now = condition?.now?.getTime()
    if (now === undefined) return []
    // Known only to lie between the two.
    const offset = now < asked.getTime() ? now - asked.getTime() : now > answered.getTime() ? now - answered.getTime() : 0
    return [{ name, offset }]
  })
  if (read.length === 0) return []
  const offsets = read.map(({ offset }) => offset).toSorted((a, b) => a - b)
  const median = offsets[Math.floor((offsets.length - 1) / 2)] ?? 0
  const own = Math.abs(median) >= apart && read.length > 1
  const wrong = read.filter(({ offset }) => Math.abs(offset - (own ? median : 0)) >= apart)
  return [
    ...(own
      ? [
          finding({
            state: 'clock-apart' as const,
            volume: undefined,
            hosts: [],
            title: `this machine's clock is ${seconds(-median)} of the hosts'`,
            evidence: read.map(({ name, offset }) => `${name}: ${seconds(offset)} of this machine's`),
            advice: 'set its clock: certificates and times of backups are judged by it',
          }),
        ]
      : []),
    ...wrong.map(({ name, offset }) =>
      finding({
        state: 'clock-apart' as const,
        volume: undefined,
        hosts: [name],
        title: `the clock of ${name} is ${seconds(offset - (own ? median : 0))} of the others'`,
        evidence: [],
        advice: `does it reach its time servers? hivecoord ssh ${name.split('.')[0] ?? name} chronyc sources`,
        command: `hivecoord setup-hosts --limit ${name.split('.')[0] ?? name}`,
      }),
    ),
  ]
}

const seconds = (milliseconds: number): string => `${Math.round(Math.abs(milliseconds) / 1000)} s ${milliseconds < 0 ? 'behind' : 'ahead'}`

/** Milliseconds: a follower hears of each change at once, and looks every four seconds. */
const deaf = 60_000

/** Virtual addresses that two hosts have, and hosts that may have some for a swarm they hear nothing of. */
function addresses({ hosts }: WholePicture): readonly Finding[] {
  const held = hosts.flatMap(({ name, condition }) => (condition?.follower?.addresses ?? []).map((one) => ({ ...one, name })))
  const twice = [...Map.groupBy(held, ({ address }) => address)].filter(([, all]) => all.length > 1)
  const silentFollowers = hosts.filter(({ isManager, condition }) => {
    const { heard } = condition?.follower ?? {}
    return isManager && heard !== undefined && condition?.now !== undefined && condition.swarm !== undefined && condition.now.getTime() - heard.getTime() > deaf
  })
  return [
    ...twice.map(([address, all]) =>
      finding({
        state: 'follower' as const,
        volume: undefined,
        hosts: all.map(({ name }) => name),
        title: `${all.map(({ name }) => name).join(' and ')} both have the virtual address ${address}`,
        evidence: all.map(({ name, interface: link, services }) => `${name}: on ${link} for ${services.join(', ')}`),
        advice: 'the one that swarm does not want there gives it back within a minute, or its agent does not work as it should: restart it',
        command: `hivecoord node unit ${all[1]?.name.split('.')[0] ?? ''} restart hive-agent.service`,
      }),
    ),
    ...silentFollowers.map(({ name, shortName, condition }) =>
      finding({
        state: 'follower' as const,
        volume: undefined,
        hosts: [name],
        title: `${name}: its agent follows services no more: it has heard nothing of the swarm since ${condition?.follower?.heard?.toISOString() ?? '?'}`,
        evidence: [],
        advice: `why: hivecoord node journal ${shortName} -u hive-agent`,
        command: `hivecoord node unit ${shortName} restart hive-agent.service`,
      }),
    ),
  ]
}
