/** The host as a whole: load, memory, processes, clock, what is installed. Part of "Hive Linux"; thresholds are those of Zabbix' own template for Linux. */
import { agentSilent, LINUX } from './agent.ts'
import { defineFor } from './define.ts'
import type { Macro } from './types.ts'

const { item, trigger } = defineFor(LINUX)

export const hostMacros: readonly Macro[] = [
  { name: '{$CPU.UTIL.CRIT}', value: '90', description: 'Per cent of all cores, for 5 minutes.' },
  { name: '{$LOAD_AVG_PER_CPU.MAX.WARN}', value: '1.5', description: 'Load a core, for 5 minutes.' },
  { name: '{$MEMORY.UTIL.MAX}', value: '90', description: 'Per cent of memory in use, for 5 minutes.' },
  { name: '{$MEMORY.AVAILABLE.MIN}', value: '20M', description: 'Memory that programs could still get, for 5 minutes.' },
  { name: '{$SWAP.PFREE.MIN.WARN}', value: '50', description: 'Per cent of swap that is free, for 5 minutes.' },
  { name: '{$SYSTEM.PROCESSES.MAX}', value: '80', description: 'Per cent of the processes that the kernel allows.' },
  { name: '{$SYSTEM.FUZZYTIME.MAX}', value: '60s', description: "Difference of the host's clock from the Zabbix server's." },
  { name: '{$HIVE.RESTART.WINDOW}', value: '10m', description: 'What started less than this ago was restarted.' },
  { name: '{$HIVE.SELINUX.WINDOW}', value: '8h', description: 'How long SELinux must have denied nothing before its alert closes.' },
]

export const hostItems = [
  item({ key: 'hive.host.uptime', name: 'Host: up for', valueType: 'unsigned', units: 'uptime', every: 60 }),
  item({
    key: 'hive.host.time',
    name: 'Host: clock',
    valueType: 'unsigned',
    units: 'unixtime',
    every: 60,
    history: '1d',
    trends: '0',
    live: true,
    description: 'As the host has it when it sends; dated by Zabbix.',
  }),
  item({ key: 'hive.host.name', name: 'Host: name', valueType: 'char', every: 3600 }),
  item({ key: 'hive.host.os', name: 'Host: operating system', valueType: 'char', every: 3600 }),
  item({ key: 'hive.host.kernel', name: 'Host: kernel', valueType: 'char', every: 3600 }),
  item({ key: 'hive.host.passwd', name: 'Host: checksum of /etc/passwd', valueType: 'char', every: 900 }),
  item({ key: 'hive.cpu.count', name: 'CPU: cores', valueType: 'unsigned', every: 3600 }),
  item({ key: 'hive.cpu.util', name: 'CPU: in use', valueType: 'float', units: '%', every: 60 }),
  item({ key: 'hive.cpu.iowait', name: 'CPU: waits for disks', valueType: 'float', units: '%', every: 60 }),
  item({ key: 'hive.cpu.steal', name: 'CPU: taken by the hypervisor', valueType: 'float', units: '%', every: 60 }),
  item({ key: 'hive.load1', name: 'Load: 1 minute', valueType: 'float', every: 60 }),
  item({ key: 'hive.load5', name: 'Load: 5 minutes', valueType: 'float', every: 60 }),
  item({ key: 'hive.load15', name: 'Load: 15 minutes', valueType: 'float', every: 60 }),
  item({ key: 'hive.load1.percore', name: 'Load: 1 minute, a core', valueType: 'float', every: 60 }),
  item({ key: 'hive.memory.total', name: 'Memory: in all', valueType: 'unsigned', units: 'B', every: 300 }),
  item({ key: 'hive.memory.available', name: 'Memory: available', valueType: 'unsigned', units: 'B', every: 60 }),
  item({ key: 'hive.memory.util', name: 'Memory: in use', valueType: 'float', units: '%', every: 60 }),
  item({ key: 'hive.swap.total', name: 'Swap: in all', valueType: 'unsigned', units: 'B', every: 300 }),
  item({ key: 'hive.swap.pfree', name: 'Swap: free', valueType: 'float', units: '%', every: 60, description: '100 where there is no swap.' }),
  item({ key: 'hive.processes.count', name: 'Processes', valueType: 'unsigned', every: 60 }),
  item({ key: 'hive.processes.running', name: 'Processes: running', valueType: 'unsigned', every: 60 }),
  item({ key: 'hive.processes.util', name: 'Processes: of those that the kernel allows', valueType: 'float', units: '%', every: 60 }),
  item({
    key: 'hive.selinux.denials',
    name: 'SELinux: denials',
    valueType: 'unsigned',
    every: 600,
    description: 'Lines of the audit log since the value before. Nothing comes from hosts without SELinux.',
  }),
  item({
    key: 'hive.selinux.denied',
    name: 'SELinux: what was denied',
    valueType: 'log',
    every: 600,
    description: 'Lines of the audit log, the first ten of each time.',
  }),
]

const restarted = trigger({
  name: 'Host was restarted less than {$HIVE.RESTART.WINDOW} ago',
  expression: `last(/${LINUX}/hive.host.uptime)<{$HIVE.RESTART.WINDOW}`,
  severity: 'warning',
  manualClose: true,
  dependsOn: [agentSilent],
  description: '',
})

const agentRestarted = trigger({
  name: 'Agent was restarted less than {$HIVE.RESTART.WINDOW} ago',
  expression: `last(/${LINUX}/hive.agent.uptime)<{$HIVE.RESTART.WINDOW}`,
  severity: 'info',
  manualClose: true,
  dependsOn: [restarted, agentSilent],
  description: '',
})

const loadHigh = trigger({
  name: 'Load is high',
  expression: `min(/${LINUX}/hive.load1.percore,5m)>{$LOAD_AVG_PER_CPU.MAX.WARN} and last(/${LINUX}/hive.load5)>0 and last(/${LINUX}/hive.load15)>0`,
  severity: 'average',
  operationalData: '{ITEM.LASTVALUE1} a core; 5 minutes: {ITEM.LASTVALUE2}; 15 minutes: {ITEM.LASTVALUE3}',
  dependsOn: [agentSilent],
  description: 'More wants to run, or waits for disks, than the cores can take.',
})

const cpuHigh = trigger({
  name: 'CPU is in use by more than {$CPU.UTIL.CRIT} %',
  expression: `min(/${LINUX}/hive.cpu.util,5m)>{$CPU.UTIL.CRIT}`,
  severity: 'warning',
  operationalData: '{ITEM.LASTVALUE1}',
  dependsOn: [loadHigh, agentSilent],
  description: '',
})

const memoryLack = trigger({
  name: 'Less than {$MEMORY.AVAILABLE.MIN} of memory is available',
  expression: `max(/${LINUX}/hive.memory.available,5m)<{$MEMORY.AVAILABLE.MIN} and last(/${LINUX}/hive.memory.total)>0`,
  severity: 'average',
  operationalData: '{ITEM.LASTVALUE1} of {ITEM.LASTVALUE2}',
  dependsOn: [agentSilent],
  description: '',
})

const memoryHigh = trigger({
  name: 'Memory is in use by more than {$MEMORY.UTIL.MAX} %',
  expression: `min(/${LINUX}/hive.memory.util,5m)>{$MEMORY.UTIL.MAX}`,
  severity: 'average',
  operationalData: '{ITEM.LASTVALUE1}',
  dependsOn: [memoryLack, agentSilent],
  description: '',
})

const swapHigh = trigger({
  name: 'Less than {$SWAP.PFREE.MIN.WARN} % of swap is free',
  expression: `max(/${LINUX}/hive.swap.pfree,5m)<{$SWAP.PFREE.MIN.WARN} and last(/${LINUX}/hive.swap.total)>0`,
  severity: 'warning',
  operationalData: '{ITEM.LASTVALUE1} of {ITEM.LASTVALUE2}',
  dependsOn: [memoryLack, memoryHigh, agentSilent],
  description: '',
})

const processesMany = trigger({
  name: 'More than {$SYSTEM.PROCESSES.MAX} % of the processes that the kernel allows',
  expression: `last(/${LINUX}/hive.processes.util)>{$SYSTEM.PROCESSES.MAX}`,
  severity: 'warning',
  operationalData: '{ITEM.LASTVALUE1}',
  dependsOn: [agentSilent],
  description: '',
})

const clockOff = trigger({
  name: "Clock differs from Zabbix' by more than {$SYSTEM.FUZZYTIME.MAX}",
  expression: `fuzzytime(/${LINUX}/hive.host.time,{$SYSTEM.FUZZYTIME.MAX})=0`,
  severity: 'warning',
  manualClose: true,
  operationalData: '{ITEM.LASTVALUE1}',
  dependsOn: [agentSilent],
  description: 'Certificates, logs and values are dated wrong. See chronyc tracking, on the host and on the repository server.',
})

const osChanged = trigger({
  name: 'Operating system has changed',
  expression: `last(/${LINUX}/hive.host.os,#1)<>last(/${LINUX}/hive.host.os,#2) and length(last(/${LINUX}/hive.host.os))>0`,
  severity: 'info',
  manualClose: true,
  operationalData: 'now {ITEM.LASTVALUE1}',
  dependsOn: [agentSilent],
  description: '',
})

const nameChanged = trigger({
  name: 'Host name has changed',
  expression: `last(/${LINUX}/hive.host.name,#1)<>last(/${LINUX}/hive.host.name,#2) and length(last(/${LINUX}/hive.host.name))>0`,
  severity: 'info',
  manualClose: true,
  operationalData: 'now {ITEM.LASTVALUE1}',
  dependsOn: [agentSilent],
  description: '',
})

const passwdChanged = trigger({
  name: '/etc/passwd was changed',
  expression: `last(/${LINUX}/hive.host.passwd,#1)<>last(/${LINUX}/hive.host.passwd,#2)`,
  severity: 'info',
  manualClose: true,
  dependsOn: [osChanged, nameChanged, agentSilent],
  description: '',
})

const selinuxDenied = trigger({
  name: 'SELinux denied something',
  expression: `sum(/${LINUX}/hive.selinux.denials,{$HIVE.SELINUX.WINDOW})>0`,
  severity: 'warning',
  manualClose: true,
  operationalData: '{ITEM.LASTVALUE1} since the value before',
  dependsOn: [agentSilent],
  description: 'What it was, is in the item "what was denied".',
})

export const hostTriggers = [
  restarted,
  agentRestarted,
  loadHigh,
  cpuHigh,
  memoryLack,
  memoryHigh,
  swapHigh,
  processesMany,
  clockOff,
  osChanged,
  nameChanged,
  passwdChanged,
  selinuxDenied,
]
