/** What is wrong with what the site keeps going beside its services: backups, registry, locks, alerts, the CA. Pure. */
import { severityWords } from '../zabbix/severities.ts'
import { type Finding, finding } from './finding.ts'
import { endOf } from './host-findings.ts'
import { isDeadOwner, type WholePicture } from './whole-picture.ts'

const hour = 3_600_000
const day = 24 * hour
/** A nightly backup has until then. */
const backupAge = 26 * hour
const provenAge = 90 * day
const authoritySoon = 180 * day

/** `dead`: whether the process that holds a lock is a dead one of this machine. */
export function upkeepFindings(picture: WholePicture, dead: (owner: string) => boolean = isDeadOwner): readonly Finding[] {
  const { hosts, certificates, now } = picture
  return [
    ...hosts.flatMap((host) => ofBackups(host, now)),
    ...hosts.flatMap(({ name, shortName, condition }) =>
      condition?.registry === undefined || condition.registry.problem === ''
        ? []
        : [
            finding({
              state: 'registry-away',
              volume: undefined,
              hosts: [name],
              title: `the registry on ${name} does not let its user in`,
              evidence: [condition.registry.problem],
              advice: 'what runs goes on; nothing new can be deployed',
              command: `hivecoord setup-hosts --limit ${shortName}`,
            }),
          ],
    ),
    ...locks(picture, dead),
    ...(certificates.authorityEnds !== undefined && certificates.authorityEnds.getTime() - now.getTime() < authoritySoon
      ? [endOf("the stage's CA", [], certificates.authorityEnds, now, 'hivecoord cert rotate --ca')]
      : []),
    ...alerts(picture),
  ]
}

function ofBackups({ name: host, condition }: WholePicture['hosts'][number], now: Date): readonly Finding[] {
  const list = condition?.backups
  if (list === undefined) return []
  const dumped = list.backups.filter(({ noFile }) => !noFile)
  const failed = list.backups.filter(({ record }) => record?.lastFailure !== undefined)
  const old = dumped.filter(
    ({ record }) => record?.lastFailure === undefined && record?.lastSuccess !== undefined && now.getTime() - record.lastSuccess.getTime() > backupAge,
  )
  const unproven = dumped.filter(
    ({ record }) => record?.lastSuccess !== undefined && (record.proven === undefined || now.getTime() - record.proven.getTime() > provenAge),
  )
  const about = { volume: undefined, hosts: [host] }
  const found: Finding[] = []
  for (const { name, record } of [...failed, ...(list.offsite?.lastFailure === undefined ? [] : [{ name: 'the copy elsewhere', record: list.offsite }])])
    found.push(
      finding({
        ...about,
        state: 'backup-failed',
        title: `backup ${name} failed`,
        evidence: [
          `${record?.lastFailure?.toISOString() ?? ''}: ${record?.reason ?? ''}`,
          `last one that succeeded: ${record?.lastSuccess?.toISOString() ?? 'none'}`,
        ],
        command: name === 'the copy elsewhere' ? 'hivecoord backup run' : `hivecoord backup run ${name}`,
      }),
    )
  if (old.length > 0)
    found.push(
      finding({
        ...about,
        state: 'backup-old',
        title: `older than a day: the backups ${old.map(({ name }) => name).join(', ')}`,
        evidence: old.map(({ name, record }) => `${name}: ${record?.lastSuccess?.toISOString() ?? ''}`),
        command: `hivecoord backup run ${old.map(({ name }) => name).join(' ')}`,
      }),
    )
  if (unproven.length > 0)
    found.push(
      finding({
        ...about,
        state: 'backup-unproven',
        title: `not restored by a drill in the last 90 days: the backups ${unproven.map(({ name }) => name).join(', ')}`,
        evidence: [],
        command: `hivecoord backup drill ${unproven.map(({ name }) => name).join(' ')}`,
      }),
    )
  return found
}

function locks({ hosts }: WholePicture, dead: (owner: string) => boolean): readonly Finding[] {
  const held = hosts.flatMap(({ name, condition }) => (condition?.lock?.held === true && dead(condition.lock.owner) ? [{ name, lock: condition.lock }] : []))
  const [first] = held
  if (first === undefined) return []
  return [
    finding({
      state: 'lock-left',
      volume: undefined,
      hosts: held.map(({ name }) => name),
      title: `the site is still locked for ${first.lock.purpose || 'a command'}, whose process is dead`,
      evidence: [`${first.lock.owner}, since ${first.lock.since?.toISOString() ?? '?'}, ends ${first.lock.expires?.toISOString() ?? '?'}`],
      advice: 'the next command of this machine takes it over; else it ends by itself',
    }),
  ]
}

function alerts({ alerts: open }: WholePicture): readonly Finding[] {
  const counted = (open ?? []).filter(({ severity, suppressed }) => severity >= 2 && !suppressed)
  if (counted.length === 0) return []
  return [
    finding({
      state: 'alerts',
      volume: undefined,
      hosts: [...new Set(counted.map(({ host }) => host))],
      title: `Zabbix has ${counted.length} open problem${counted.length === 1 ? '' : 's'}`,
      evidence: counted.map(
        ({ host, name, severity, since }) => `${severityWords[severity] ?? severity}: ${host}: ${name}, since ${since?.toISOString() ?? '?'}`,
      ),
      command: 'hivecoord zabbix',
    }),
  ]
}
