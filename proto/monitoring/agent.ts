/** The agent itself, and what the last runs of hivecoord left on its host. Part of "Hive Linux". */
import { defineFor } from './define.ts'
import type { Macro } from './types.ts'

export const LINUX = 'Hive Linux'
const { item, trigger } = defineFor(LINUX)

export const agentMacros: readonly Macro[] = [
  { name: '{$HIVE.AGENT.SILENCE}', value: '3m', description: 'A host whose agent was not heard for this long is down, or its agent is.' },
  { name: '{$HIVE.DRIFT.WINDOW}', value: '1h', description: 'How long what a plan found different may be left so.' },
  { name: '{$HIVE.COLLECT.WINDOW}', value: '15m', description: 'How long one thing cannot be looked at before that is told.' },
]

export const agentItems = [
  item({ key: 'hive.agent.ping', name: 'Agent: is there', valueType: 'unsigned', every: 60, live: true, description: 'Always 1.' }),
  item({ key: 'hive.agent.version', name: 'Agent: version', valueType: 'char', every: 3600 }),
  item({ key: 'hive.agent.uptime', name: 'Agent: up for', valueType: 'unsigned', units: 'uptime', every: 60 }),
  item({ key: 'hive.agent.memory', name: 'Agent: memory', valueType: 'unsigned', units: 'B', every: 300 }),
  item({ key: 'hive.agent.queue.length', name: 'Agent: values that wait to be sent', valueType: 'unsigned', every: 60 }),
  item({
    key: 'hive.agent.queue.dropped',
    name: 'Agent: values that were given up',
    valueType: 'unsigned',
    every: 60,
    description: 'Since the value before: too old, or too many for the queue.',
  }),
  item({
    key: 'hive.agent.queue.refused',
    name: 'Agent: values that Zabbix refused',
    valueType: 'unsigned',
    every: 60,
    description: 'Since the value before: their items are disabled, or none of the template that this host has.',
  }),
  item({
    key: 'hive.agent.collectors.failed',
    name: 'Agent: things that could not be looked at',
    valueType: 'unsigned',
    every: 60,
    description: 'How many collectors failed, or took longer than they may, when they last ran.',
  }),
  item({
    key: 'hive.agent.collectors.errors',
    name: 'Agent: why things could not be looked at',
    valueType: 'text',
    every: 60,
    description: 'A line for each; empty where all went well.',
  }),
  item({
    key: 'hive.agent.storage.hung',
    name: 'Agent: commands to storage that never returned',
    valueType: 'unsigned',
    every: 300,
    description: 'Processes that hang in the kernel and cannot be killed. A restart of the host is the usual way out.',
  }),
  item({
    key: 'hive.run.failed',
    name: 'hivecoord: steps that failed in the last run',
    valueType: 'unsigned',
    every: 300,
    description: 'As this host keeps it. A run without failures makes it 0 again.',
  }),
  item({ key: 'hive.run.age', name: 'hivecoord: time since the last run ended', valueType: 'unsigned', units: 's', every: 300 }),
  item({
    key: 'hive.drift.steps',
    name: 'hivecoord: steps that the last plan found different',
    valueType: 'unsigned',
    every: 300,
    description: 'What a plan or a deploy last found to be different on this host and no run has set right since.',
  }),
  item({
    key: 'hive.drift.titles',
    name: 'hivecoord: what the last plan found different',
    valueType: 'text',
    every: 300,
    description: 'A line for each step; empty where nothing differs.',
  }),
]

/** Everything else that a host tells depends on it, so that one dead host is one alert. */
export const agentSilent = trigger({
  name: 'Agent was not heard for {$HIVE.AGENT.SILENCE}',
  expression: `nodata(/${LINUX}/hive.agent.ping,{$HIVE.AGENT.SILENCE})=1`,
  severity: 'high',
  description: 'The host is down, its network is, or hive-agent does not run.',
})

const dropped = trigger({
  name: 'Values for Zabbix were given up',
  expression: `sum(/${LINUX}/hive.agent.queue.dropped,1h)>0`,
  severity: 'warning',
  operationalData: 'last: {ITEM.LASTVALUE1}',
  dependsOn: [agentSilent],
  description: 'Zabbix was away for longer than the queue reaches. What was given up is missing in the history.',
})

const versionChanged = trigger({
  name: 'Agent has another version',
  expression: `last(/${LINUX}/hive.agent.version,#1)<>last(/${LINUX}/hive.agent.version,#2) and length(last(/${LINUX}/hive.agent.version))>0`,
  severity: 'info',
  manualClose: true,
  operationalData: 'now {ITEM.LASTVALUE1}',
  dependsOn: [agentSilent],
  description: '',
})

const collectorsFailed = trigger({
  name: 'Some things cannot be looked at',
  expression: `min(/${LINUX}/hive.agent.collectors.failed,{$HIVE.COLLECT.WINDOW})>0 and length(last(/${LINUX}/hive.agent.collectors.errors))>0`,
  severity: 'warning',
  operationalData: '{ITEM.LASTVALUE2}',
  dependsOn: [agentSilent],
  description: 'Their items get no values meanwhile. Why, is in the item "why things could not be looked at".',
})

export const storageHung = trigger({
  name: 'Commands to storage hang',
  expression: `last(/${LINUX}/hive.agent.storage.hung)>0`,
  severity: 'high',
  operationalData: '{ITEM.LASTVALUE1} of them',
  dependsOn: [agentSilent],
  description: 'The agent leaves storage alone until they are gone: see docs/failures.md.',
})

const runFailed = trigger({
  name: 'The last run of hivecoord left steps that failed',
  expression: `last(/${LINUX}/hive.run.failed)>0`,
  severity: 'warning',
  operationalData: '{ITEM.LASTVALUE1} steps',
  dependsOn: [agentSilent],
  description: 'The host may be half way between two states: run the command again.',
})

const drift = trigger({
  name: 'The host differs from the inventory',
  expression: `min(/${LINUX}/hive.drift.steps,{$HIVE.DRIFT.WINDOW})>0 and length(last(/${LINUX}/hive.drift.titles))>0`,
  severity: 'info',
  manualClose: true,
  operationalData: '{ITEM.LASTVALUE2}',
  dependsOn: [runFailed, agentSilent],
  description: 'As the last plan found it: hivecoord deploy sets it right.',
})

export const agentTriggers = [agentSilent, dropped, versionChanged, collectorsFailed, storageHung, runFailed, drift]
