/** `hivecoord status`: hosts, swarm, services, volumes, backups, alerts, the last run and the last drift on one screen. */
import type { Command } from 'commander'
import pc from 'picocolors'
import type { ListBackupsResponse } from '#gen/hive/v1/backup.ts'
import { mirroredVolumesOf, mirrorsHere } from '../../coordinator/inventory/mirrored-volumes.ts'
import { listRuns } from '../../coordinator/run/journal.ts'
import type { HostStatus, StageStatus } from '../../coordinator/run/status.ts'
import { severityWords } from '../../coordinator/zabbix/severities.ts'
import type { App } from '../app.ts'
import { age, columns, count, shortHost } from '../render/format.ts'
import { listJson, moment } from './backup.ts'
import { volumeTable } from './drbd-table.ts'
import { givenUpWords, holdWords } from './hold.ts'

export function registerStatus(program: Command, app: () => App): void {
  program
    .command('status')
    .description('show hosts, swarm, volumes, services, backups, alerts, the last run and drift')
    .action(async () => {
      const { open, renderer, signal } = app()
      const stage = await open()
      const { site } = stage
      const status = await stage.status(signal, { alerts: true })
      const [lastRun] = listRuns(site.contextDir, 1)
      const hosts = status.hosts.map(({ name, address, power, agent, error, node }) => [
        name,
        address,
        power,
        node === undefined ? '' : `${node.role}${node.leader ? ' (leader)' : ''} ${node.state} ${node.availability}`,
        agent === undefined ? pc.red(`agent: ${error?.message ?? 'no answer'}`) : `agent ${agent.version}`,
      ])
      const known = new Map(status.services?.map((service) => [service.name, service]))
      const services = site.services.map(({ name }) => {
        const service = known.get(name)
        if (service === undefined) return [name, status.services === undefined ? 'unknown' : 'not deployed', '']
        const replicas = `${service.running}/${service.desired}`
        return [name, service.running < service.desired ? pc.red(replicas) : replicas, service.image]
      })
      const text = [
        pc.bold(`${site.name}, stage ${site.stage}`),
        columns(hosts),
        ...status.hosts.flatMap(supervised),
        ...followed(status.hosts),
        ...(services.length === 0 ? [] : ['', columns(services)]),
        ...(mirrorsHere(site)
          ? [
              '',
              volumeTable(
                status.hosts.filter(({ name }) => site.hosts.some((host) => host.name === name && host.isHive)).map(asVolumes),
                mirroredVolumesOf(site).map(({ name }) => name),
              ),
            ]
          : []),
        ...backupLines(status.backups),
        ...alertLines(status),
        ...(status.lock === undefined
          ? []
          : ['', `locked by ${status.lock.owner} for ${status.lock.purpose} since ${status.lock.since?.toISOString() ?? '?'}`]),
        ...(lastRun === undefined
          ? []
          : ['', `last run ${lastRun.runId}: ${lastRun.command}, ${lastRun.finished === undefined ? 'not finished' : lastRun.ok === true ? 'ok' : 'failed'}`]),
        driftLine(status.drift, new Date()),
        ...status.notices.map((notice) => pc.yellow(notice)),
      ]
      const backups = status.backups === undefined ? undefined : listJson(status.backups)
      renderer.result({ name: site.name, stage: site.stage, ...status, backups, lastRun }, text.join('\n'))
    })
}

const asVolumes = ({ name, volumes }: HostStatus) => ({ host: name, resources: volumes })

/** How many and how old, and each that is not as it should be. */
export function backupLines(list: ListBackupsResponse | undefined): readonly string[] {
  if (list === undefined || list.backups.length === 0) return []
  const dumped = list.backups.filter(({ noFile }) => !noFile)
  const made = dumped.flatMap(({ record }) => (record?.lastSuccess === undefined ? [] : [record.lastSuccess.getTime()]))
  const unmade = dumped.filter(({ record }) => record?.lastSuccess === undefined && record?.lastFailure === undefined).map(({ name }) => name)
  const failed = list.backups.flatMap(({ name, record }) =>
    record?.lastFailure === undefined ? [] : [pc.red(`backup ${name} failed ${moment(record.lastFailure)}: ${record.reason}`)],
  )
  const oldest = made.length === 0 ? '' : `, the oldest of ${moment(new Date(Math.min(...made)))}`
  return [
    '',
    `${count(dumped.length, 'backup')}${oldest}, next run ${moment(list.next)}`,
    ...failed,
    ...(unmade.length === 0 ? [] : [pc.yellow(`not made yet: ${unmade.join(', ')}`)]),
  ]
}
/** From warnings on, as many as fit; what planned work keeps back is only counted. */
export function alertLines({ alerts, alertsError }: Pick<StageStatus, 'alerts' | 'alertsError'>): readonly string[] {
  if (alertsError !== undefined) return ['', pc.yellow(`alerts are not known: Zabbix: ${alertsError}`)]
  if (alerts === undefined) return []
  const open = alerts.filter(({ severity, suppressed }) => severity >= 2 && !suppressed)
  const kept = alerts.filter(({ suppressed }) => suppressed).length
  const tail = kept === 0 ? '' : `, ${kept} kept back by planned work`
  if (open.length === 0) return ['', `no alerts${tail}`]
  const shown = open.slice(0, mostAlerts).map(({ host, name, severity, since, acknowledged }) => {
    const word = severityWords[severity] ?? String(severity)
    return [severity >= 4 ? pc.red(word) : pc.yellow(word), shortHost(host), `${name}, ${moment(since)}${acknowledged ? ', acknowledged' : ''}`]
  })
  return [
    '',
    `${count(open.length, 'alert')}${tail}`,
    columns(shown),
    ...(open.length > mostAlerts ? [`… and ${open.length - mostAlerts} more: hivecoord zabbix`] : []),
  ]
}

const mostAlerts = 10

export function driftLine(drift: StageStatus['drift'], now: Date): string {
  if (drift === undefined) return pc.dim('drift: never looked for (hivecoord drift)')
  const { differences, strangers, unknown, unreachable } = drift
  const found = [
    ...(differences === 0 ? [] : [count(differences, 'difference')]),
    ...(strangers === 0 ? [] : [`${strangers} not in the inventory`]),
    ...(unknown + unreachable === 0 ? [] : ['not all could be compared']),
  ]
  const text = `drift: ${found.length === 0 ? 'none' : found.join(', ')}, ${age(now.getTime() - Date.parse(drift.at))} ago`
  return found.length === 0 ? text : pc.yellow(text)
}

/** Virtual addresses, and what keeps hosts from following labels. A label that all managers find wrong is told once. */
export const followed = (hosts: readonly Pick<HostStatus, 'name' | 'follower'>[]): readonly string[] => [
  ...hosts.flatMap(({ name, follower }) =>
    (follower?.addresses ?? []).map(({ address, interface: link, services }) => `${address} is on ${shortHost(name)} (${link}) for ${services.join(', ')}`),
  ),
  ...new Set(
    hosts.flatMap(({ name, follower }) =>
      (follower?.problems ?? []).map(({ service, label, message }) =>
        pc.red(service === '' ? `${shortHost(name)}: ${message}` : [service, label, message].filter((word) => word !== '').join(': ')),
      ),
    ),
  ),
]

/** Only what is not as usual. */
const supervised = ({ name, supervisor }: HostStatus): readonly string[] => [
  ...(supervisor?.hold === undefined ? [] : [pc.yellow(`the supervisor of ${shortHost(name)} is ${holdWords(supervisor.hold)}`)]),
  ...(supervisor?.givenUp ?? []).map((one) => pc.red(`the supervisor of ${shortHost(name)} ${givenUpWords(one)}`)),
]
