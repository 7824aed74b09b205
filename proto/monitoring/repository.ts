/** "Hive Repository Server": error lines of services, registry, backups. */
import { agentSilent } from './agent.ts'
import { defineFor } from './define.ts'

const REPOSITORY = 'Hive Repository Server'
const { item, trigger, discovery, template } = defineFor(REPOSITORY)

const errorLines = trigger({
  name: 'Services logged errors',
  expression: `sum(/${REPOSITORY}/hive.service.errors,{$HIVE.ERROR.WINDOW})>0`,
  severity: 'warning',
  manualClose: true,
  operationalData: '{ITEM.LASTVALUE1} lines since the value before',
  dependsOn: [agentSilent],
  description:
    'Lines that a monitor_error of their service matches; they are in the item "error lines of services". Closes when there was none for {$HIVE.ERROR.WINDOW}.',
})

const registryDown = trigger({
  name: 'Registry does not answer',
  expression: `max(/${REPOSITORY}/hive.registry.up,{$HIVE.REGISTRY.WINDOW})=0`,
  severity: 'high',
  dependsOn: [agentSilent],
  description: 'Hosts have the images of their services; new ones cannot be built or deployed.',
})

const BACKUPS = 'hive.backup.discovery'

const backupFailed = trigger({
  discovery: BACKUPS,
  name: 'Backup of {#BACKUP} failed',
  expression: `last(/${REPOSITORY}/hive.backup.failed[{#BACKUP}])=1 and length(last(/${REPOSITORY}/hive.backup.reason[{#BACKUP}]))>=0`,
  severity: 'high',
  operationalData: '{ITEM.LASTVALUE2}',
  dependsOn: [agentSilent],
  description: 'The last good one is kept. hivecoord backup list; hivecoord backup run {#BACKUP}',
})

const backupOld = trigger({
  discovery: BACKUPS,
  name: 'Backup of {#BACKUP} is older than {$HIVE.BACKUP.AGE.MAX:"{#BACKUP}"}',
  expression: `last(/${REPOSITORY}/hive.backup.age[{#BACKUP}])>{$HIVE.BACKUP.AGE.MAX:"{#BACKUP}"}`,
  severity: 'high',
  operationalData: '{ITEM.LASTVALUE1}',
  dependsOn: [backupFailed, agentSilent],
  description: 'It was not begun, or never ended: hivecoord backup list',
})

const backupShrunk = trigger({
  discovery: BACKUPS,
  name: 'Backup of {#BACKUP} has less than half the size of the one before',
  expression: `last(/${REPOSITORY}/hive.backup.size[{#BACKUP}])<0.5*max(/${REPOSITORY}/hive.backup.size[{#BACKUP}],{$HIVE.BACKUP.SIZE.WINDOW})`,
  severity: 'warning',
  manualClose: true,
  operationalData: '{ITEM.LASTVALUE1}',
  dependsOn: [backupFailed, agentSilent],
  description: 'Compared with the largest one of the last {$HIVE.BACKUP.SIZE.WINDOW}. Data was deleted, or something was not saved.',
})

const backupUnproven = trigger({
  discovery: BACKUPS,
  name: 'Backup of {#BACKUP} was not restored for a test for {$HIVE.BACKUP.PROVEN.MAX:"{#BACKUP}"}',
  expression: `last(/${REPOSITORY}/hive.backup.proven.age[{#BACKUP}])>{$HIVE.BACKUP.PROVEN.MAX:"{#BACKUP}"} or last(/${REPOSITORY}/hive.backup.proven.age[{#BACKUP}])<0`,
  severity: 'info',
  manualClose: true,
  operationalData: '{ITEM.LASTVALUE1}',
  dependsOn: [backupFailed, backupOld, agentSilent],
  description: 'hivecoord backup drill {#BACKUP}',
})

const backups = discovery({
  key: BACKUPS,
  name: 'Backups',
  every: 3600,
  macros: ['{#BACKUP}'],
  items: [
    {
      key: 'hive.backup.age[{#BACKUP}]',
      name: 'Backup of {#BACKUP}: age',
      valueType: 'unsigned',
      units: 'uptime',
      every: 300,
      description: 'Of the last one that succeeded.',
    },
    { key: 'hive.backup.failed[{#BACKUP}]', name: 'Backup of {#BACKUP}: last one failed', valueType: 'unsigned', every: 60 },
    { key: 'hive.backup.reason[{#BACKUP}]', name: 'Backup of {#BACKUP}: why it failed', valueType: 'text', every: 60, description: 'Empty where it did not.' },
    { key: 'hive.backup.size[{#BACKUP}]', name: 'Backup of {#BACKUP}: size', valueType: 'unsigned', units: 'B', every: 3600 },
    {
      key: 'hive.backup.proven.age[{#BACKUP}]',
      name: 'Backup of {#BACKUP}: time since its last test',
      valueType: 'float',
      units: 'uptime',
      every: 3600,
      description: '-1 where it was never restored for a test.',
    },
  ],
  triggers: [backupFailed, backupOld, backupShrunk, backupUnproven],
  graphs: [{ name: 'Backup of {#BACKUP}: size', keys: ['hive.backup.size[{#BACKUP}]'] }],
  description: 'What the repository server saves every night.',
})

export const repositoryTemplate = template({
  description: 'The repository server: error lines of services, registry, backups.',
  macros: [
    { name: '{$HIVE.ERROR.WINDOW}', value: '8h', description: 'How long services must have logged no error before the alert closes.' },
    { name: '{$HIVE.REGISTRY.WINDOW}', value: '5m', description: 'How long the registry does not answer before that is told.' },
    { name: '{$HIVE.BACKUP.AGE.MAX}', value: '26h', description: 'A backup a day, and two hours that it may take.' },
    { name: '{$HIVE.BACKUP.SIZE.WINDOW}', value: '3d', description: 'A backup is compared with the largest one of this time.' },
    { name: '{$HIVE.BACKUP.PROVEN.MAX}', value: '90d', description: 'How old the last restore for a test may be.' },
  ],
  items: [
    item({ key: 'hive.service.errors', name: 'Services: error lines', valueType: 'unsigned', every: 60, description: 'How many came since the value before.' }),
    item({
      key: 'hive.service.error',
      name: 'Services: error lines of services',
      valueType: 'log',
      every: 60,
      description: 'Lines of /var/log/service-error.log.',
    }),
    item({ key: 'hive.registry.up', name: 'Registry: answers', valueType: 'unsigned', every: 60 }),
    item({ key: 'hive.registry.size', name: 'Registry: disk space', valueType: 'unsigned', units: 'B', every: 3600 }),
  ],
  discoveries: [backups],
  triggers: [errorLines, registryDown],
})
