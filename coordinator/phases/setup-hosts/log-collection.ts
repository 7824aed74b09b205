/** Logs of services: hive hosts pass on what docker logs, the repository server files it. */
import type { Step } from '#gen/hive/v1/step.ts'
import { Disruption } from '#gen/hive/v1/step.ts'
import { UnitState } from '#gen/hive/v1/steps_host.ts'
import { logConfig, logFolder, logUnit } from '../../../proto/log-files.ts'
import type { Host, Site } from '../../inventory/site.ts'
import { collectorConfig } from '../log-files/collector.ts'
import { relayConfig } from '../log-files/relay.ts'
import { certificateFile, workFolder } from '../log-files/transport.ts'
import { rotation, rotationPath, unitFile, unitPath } from '../log-files/unit.ts'
import { file } from './file.ts'
import { hostStep, when } from './host-step.ts'
import { logConfinement } from './log-confinement.ts'

/** Packages that rsyslog needs for it, by the same names on all systems. */
export const logPackages = (site: Site, host: Host): readonly string[] => [
  'rsyslog-relp',
  ...(host.isRepository ? ['logrotate', ...(site.logs.tls ? ['rsyslog-gnutls'] : [])] : []),
]

export function logCollection(site: Site, host: Host): readonly Step[] {
  const repository = site.hosts.find(({ isRepository }) => isRepository)
  if (repository === undefined) return []
  const content = host.isRepository ? collectorConfig(site, host) : relayConfig(site, host, repository)
  return [
    ...logConfinement(host),
    hostStep(host, 'log-unit', 'unit for logs of services', 'ensureFiles', { files: [file(unitPath, unitFile), file(`${workFolder}/README`, readme)] }),
    ...when(host.isRepository, ...files(site, host), ...withoutOldCollector(host), ...oldRotations.map((path) => withoutOldRotation(host, path))),
    hostStep(
      host,
      'log-config',
      host.isRepository ? 'files that logs of services go to' : `logs of services go to ${repository.shortName}`,
      'ensureBlock',
      { path: logConfig, marker: 'logs of services', content, atTop: true, commentOut: [], validate: ['/usr/sbin/rsyslogd', '-N1', '-f', '%s'], system: '' },
      { after: ['packages', 'addon', 'log-unit', 'log-group', 'log-confinement-loaded'] },
    ),
    hostStep(
      host,
      'logs',
      host.isRepository ? 'logs of services are collected' : 'logs of services are passed on',
      'ensureUnit',
      {
        name: logUnit,
        aliases: [],
        enabled: true,
        state: UnitState.STARTED,
        watchFiles: [logConfig, unitPath, '/etc/localtime', ...(site.logs.tls ? [certificateFile] : [])],
        reload: false,
        optional: false,
      },
      // The names of senders are looked up in /etc/hosts.
      { after: ['log-config', 'log-old-daemon', 'hosts-file', 'hostname', 'timezone'], disruption: Disruption.RESTART },
    ),
  ]
}

/** rsyslog refuses a configuration whose work folder is not there, so it comes first. */
const readme = 'Logs of services that the repository server has not got yet.\n'

const files = (site: Site, host: Host): readonly Step[] => [
  hostStep(
    host,
    'log-group',
    `group ${site.logs.group}, which may read logs`,
    'ensureUsers',
    { users: [], groups: [{ name: site.logs.group, gid: undefined, sudo: false, system: true }] },
    { after: ['packages', 'users'] },
  ),
  hostStep(host, 'log-rotation', `logs of services are kept for ${site.logs.retentionDays} days`, 'ensureFiles', {
    files: [file(rotationPath, rotation(site))],
  }),
]

/** Of hive-builder, in the distribution's rsyslog; it listens on the same port. */
const oldCollector = '/etc/rsyslog.d/services.conf'

/** It stays as comments. */
const withoutOldCollector = (host: Host): readonly Step[] => [
  hostStep(
    host,
    'log-old-collector',
    "hive-builder's collection of logs is off",
    'ensureBlock',
    { path: oldCollector, marker: 'logs of services', content: '', atTop: true, commentOut: ['^[^#]'], validate: [], system: '' },
    { after: ['packages'] },
  ),
  hostStep(
    host,
    'log-old-daemon',
    "the distribution's rsyslog runs without it",
    'ensureUnit',
    { name: 'rsyslog.service', aliases: [], enabled: undefined, state: UnitState.UNSPECIFIED, watchFiles: [oldCollector], reload: false, optional: true },
    { after: ['log-old-collector'], disruption: Disruption.RESTART },
  ),
]

/** logrotate takes no file twice. */
const oldRotations = ['/etc/logrotate.d/rsyslog', '/etc/logrotate.d/syslog'] as const

const withoutOldRotation = (host: Host, path: string): Step =>
  hostStep(
    host,
    `log-rotation-${path.split('/').at(-1)}`,
    `${path} leaves logs of services alone`,
    'ensureBlock',
    { path, marker: 'logs of services', content: '', atTop: true, commentOut: [`^${logFolder}/`], validate: [], system: '' },
    { after: ['packages'] },
  )
