/** Network, systemd, docker and certificates of a host. Part of "Hive Linux". */
import { agentSilent, LINUX } from './agent.ts'
import { defineFor } from './define.ts'
import type { Macro } from './types.ts'

const { item, trigger, discovery } = defineFor(LINUX)

export const partMacros: readonly Macro[] = [
  { name: '{$IF.ERRORS.WARN}', value: '2', description: 'Errors of an interface a second, for 5 minutes.' },
  { name: '{$IF.UTIL.MAX}', value: '90', description: "Per cent of an interface's speed, for 15 minutes." },
  { name: '{$IFCONTROL}', value: '1', description: '0 for interfaces whose link may go down: {$IFCONTROL:"eth1"}.' },
  { name: '{$HIVE.DOCKER.WINDOW}', value: '2m', description: 'How long docker does not answer before that is told.' },
  { name: '{$HIVE.CERTIFICATE.WARN}', value: '30', description: 'Days before a certificate ends.' },
  { name: '{$HIVE.CERTIFICATE.CRIT}', value: '7', description: 'Days before a certificate ends.' },
]

export const partItems = [
  item({ key: 'hive.units.failed.count', name: 'systemd: units that failed', valueType: 'unsigned', every: 60 }),
  item({
    key: 'hive.units.failed',
    name: 'systemd: which units failed',
    valueType: 'text',
    every: 60,
    description: 'Names, with spaces between; empty where none failed.',
  }),
  item({ key: 'hive.docker.up', name: 'Docker: answers', valueType: 'unsigned', every: 60 }),
  item({ key: 'hive.docker.version', name: 'Docker: version', valueType: 'char', every: 3600 }),
  item({ key: 'hive.docker.containers.running', name: 'Docker: containers that run', valueType: 'unsigned', every: 60 }),
  item({ key: 'hive.docker.containers.unhealthy', name: 'Docker: containers whose health check fails', valueType: 'unsigned', every: 60 }),
]

export const dockerDown = trigger({
  name: 'Docker does not answer',
  expression: `max(/${LINUX}/hive.docker.up,{$HIVE.DOCKER.WINDOW})=0`,
  severity: 'high',
  dependsOn: [agentSilent],
  description: 'systemctl status docker; journalctl -u docker',
})

const unitsFailed = trigger({
  name: 'Units of systemd failed',
  expression: `last(/${LINUX}/hive.units.failed.count)>0 and length(last(/${LINUX}/hive.units.failed))>0`,
  severity: 'high',
  manualClose: true,
  operationalData: '{ITEM.LASTVALUE2}',
  dependsOn: [agentSilent],
  description: 'systemctl --failed',
})

const dockerUnhealthy = trigger({
  name: 'The health check of a container fails',
  expression: `min(/${LINUX}/hive.docker.containers.unhealthy,5m)>0`,
  severity: 'warning',
  operationalData: '{ITEM.LASTVALUE1} of them',
  dependsOn: [dockerDown, agentSilent],
  description: 'docker ps --filter health=unhealthy',
})

export const partTriggers = [dockerDown, unitsFailed, dockerUnhealthy]

const UNITS = 'hive.unit.discovery'

const units = discovery({
  key: UNITS,
  name: 'Units of systemd',
  every: 300,
  macros: ['{#UNIT}'],
  items: [
    {
      key: 'hive.unit.restarted[{#UNIT}]',
      name: '{#UNIT}: was restarted',
      valueType: 'unsigned',
      every: 60,
      history: '7d',
      trends: '0',
      description: '1 for three minutes after it started; 0 where the host itself has just started.',
    },
  ],
  triggers: [
    trigger({
      discovery: UNITS,
      name: '{#UNIT} was restarted',
      expression: `last(/${LINUX}/hive.unit.restarted[{#UNIT}])=1`,
      severity: 'warning',
      manualClose: true,
      dependsOn: [agentSilent],
      description: 'Outside planned work it fell over and systemd started it again: journalctl -u {#UNIT}',
    }),
  ],
  description: 'Services that start with the host and stay.',
})

const INTERFACES = 'hive.net.discovery'

const linkDown = trigger({
  discovery: INTERFACES,
  name: '{#IFNAME}: link is down',
  expression: `{$IFCONTROL:"{#IFNAME}"}=1 and last(/${LINUX}/hive.net.up[{#IFNAME}])=0`,
  severity: 'average',
  manualClose: true,
  dependsOn: [agentSilent],
  description: 'It was up when it was discovered.',
})

const bandwidthHigh = trigger({
  discovery: INTERFACES,
  name: '{#IFNAME}: more than {$IF.UTIL.MAX:"{#IFNAME}"} % of its speed',
  expression: `(avg(/${LINUX}/hive.net.in[{#IFNAME}],15m)>({$IF.UTIL.MAX:"{#IFNAME}"}/100)*last(/${LINUX}/hive.net.speed[{#IFNAME}]) or avg(/${LINUX}/hive.net.out[{#IFNAME}],15m)>({$IF.UTIL.MAX:"{#IFNAME}"}/100)*last(/${LINUX}/hive.net.speed[{#IFNAME}])) and last(/${LINUX}/hive.net.speed[{#IFNAME}])>0`,
  severity: 'warning',
  operationalData: 'in: {ITEM.LASTVALUE1}, out: {ITEM.LASTVALUE3}, speed: {ITEM.LASTVALUE2}',
  manualClose: true,
  dependsOn: [linkDown, agentSilent],
  description: '',
})

const errorsMany = trigger({
  discovery: INTERFACES,
  name: '{#IFNAME}: more than {$IF.ERRORS.WARN:"{#IFNAME}"} errors a second',
  expression: `min(/${LINUX}/hive.net.in.errors[{#IFNAME}],5m)>{$IF.ERRORS.WARN:"{#IFNAME}"} or min(/${LINUX}/hive.net.out.errors[{#IFNAME}],5m)>{$IF.ERRORS.WARN:"{#IFNAME}"}`,
  recovery: `max(/${LINUX}/hive.net.in.errors[{#IFNAME}],5m)<{$IF.ERRORS.WARN:"{#IFNAME}"}*0.8 and max(/${LINUX}/hive.net.out.errors[{#IFNAME}],5m)<{$IF.ERRORS.WARN:"{#IFNAME}"}*0.8`,
  severity: 'warning',
  operationalData: 'in: {ITEM.LASTVALUE1}, out: {ITEM.LASTVALUE2}',
  manualClose: true,
  dependsOn: [linkDown, agentSilent],
  description: '',
})

const interfaces = discovery({
  key: INTERFACES,
  name: 'Network interfaces',
  every: 3600,
  macros: ['{#IFNAME}'],
  items: [
    { key: 'hive.net.in[{#IFNAME}]', name: '{#IFNAME}: received', valueType: 'float', units: 'bps', every: 60 },
    { key: 'hive.net.out[{#IFNAME}]', name: '{#IFNAME}: sent', valueType: 'float', units: 'bps', every: 60 },
    { key: 'hive.net.in.errors[{#IFNAME}]', name: '{#IFNAME}: errors on receiving', valueType: 'float', units: '!/s', every: 60 },
    { key: 'hive.net.out.errors[{#IFNAME}]', name: '{#IFNAME}: errors on sending', valueType: 'float', units: '!/s', every: 60 },
    {
      key: 'hive.net.speed[{#IFNAME}]',
      name: '{#IFNAME}: speed',
      valueType: 'unsigned',
      units: 'bps',
      every: 300,
      description: '0 where the interface has none.',
    },
    { key: 'hive.net.up[{#IFNAME}]', name: '{#IFNAME}: link', valueType: 'unsigned', every: 60 },
  ],
  triggers: [linkDown, bandwidthHigh, errorsMany],
  graphs: [{ name: '{#IFNAME}: traffic', keys: ['hive.net.in[{#IFNAME}]', 'hive.net.out[{#IFNAME}]'] }],
  description: "Interfaces of the host that have a link; none of docker's.",
})

const CERTIFICATES = 'hive.certificate.discovery'

const certificateEnds = trigger({
  discovery: CERTIFICATES,
  name: 'Certificate {#CERTIFICATE} ends in less than {$HIVE.CERTIFICATE.CRIT} days',
  expression: `last(/${LINUX}/hive.certificate.days[{#CERTIFICATE}])<{$HIVE.CERTIFICATE.CRIT}`,
  severity: 'high',
  operationalData: '{ITEM.LASTVALUE1} days',
  dependsOn: [agentSilent],
  description: '{#FILE}',
})

const certificates = discovery({
  key: CERTIFICATES,
  name: 'Certificates',
  every: 3600,
  macros: ['{#CERTIFICATE}', '{#FILE}'],
  items: [
    {
      key: 'hive.certificate.days[{#CERTIFICATE}]',
      name: 'Certificate {#CERTIFICATE}: days left',
      valueType: 'float',
      every: 3600,
      description: '{#FILE}. Below 0 where it has ended.',
    },
  ],
  triggers: [
    certificateEnds,
    trigger({
      discovery: CERTIFICATES,
      name: 'Certificate {#CERTIFICATE} ends in less than {$HIVE.CERTIFICATE.WARN} days',
      expression: `last(/${LINUX}/hive.certificate.days[{#CERTIFICATE}])<{$HIVE.CERTIFICATE.WARN}`,
      severity: 'warning',
      operationalData: '{ITEM.LASTVALUE1} days',
      dependsOn: [certificateEnds, agentSilent],
      description: '{#FILE}',
    }),
  ],
  description: "The agent's own, the site CA's, and those of what the host serves.",
})

export const partDiscoveries = [units, interfaces, certificates]
