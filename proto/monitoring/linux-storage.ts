/** File systems, disks and thin pools. Part of "Hive Linux". */
import { agentSilent, LINUX, storageHung } from './agent.ts'
import { defineFor } from './define.ts'
import type { Macro } from './types.ts'

const { trigger, discovery } = defineFor(LINUX)

export const storageMacros: readonly Macro[] = [
  { name: '{$VFS.FS.PUSED.MAX.WARN}', value: '80', description: 'Per cent of a file system in use.' },
  { name: '{$VFS.FS.PUSED.MAX.CRIT}', value: '90', description: 'Per cent of a file system in use.' },
  { name: '{$VFS.FS.FREE.MIN.WARN}', value: '10G', description: 'With more than this free, per cents alone are no alert.' },
  { name: '{$VFS.FS.FREE.MIN.CRIT}', value: '5G', description: 'With more than this free, per cents alone are no alert.' },
  { name: '{$VFS.FS.INODE.PFREE.MIN.WARN}', value: '20', description: "Per cent of a file system's inodes that are free." },
  { name: '{$VFS.FS.INODE.PFREE.MIN.CRIT}', value: '10', description: "Per cent of a file system's inodes that are free." },
  { name: '{$VFS.DEV.READ.AWAIT.WARN}', value: '20', description: 'Milliseconds that a read takes, for 15 minutes.' },
  { name: '{$VFS.DEV.WRITE.AWAIT.WARN}', value: '20', description: 'Milliseconds that a write takes, for 15 minutes.' },
  { name: '{$HIVE.POOL.WARN}', value: '80', description: 'Per cent of a thin pool, or of its metadata, in use.' },
  { name: '{$HIVE.POOL.CRIT}', value: '90', description: 'Per cent of a thin pool, or of its metadata, in use.' },
]

const FILE_SYSTEMS = 'hive.fs.discovery'

const fileSystemCritical = trigger({
  discovery: FILE_SYSTEMS,
  name: '{#FSNAME}: more than {$VFS.FS.PUSED.MAX.CRIT:"{#FSNAME}"} % is in use',
  expression: `last(/${LINUX}/hive.fs.pused[{#FSNAME}])>{$VFS.FS.PUSED.MAX.CRIT:"{#FSNAME}"} and last(/${LINUX}/hive.fs.free[{#FSNAME}])<{$VFS.FS.FREE.MIN.CRIT:"{#FSNAME}"}`,
  severity: 'average',
  operationalData: '{ITEM.LASTVALUE1}, free: {ITEM.LASTVALUE2}',
  manualClose: true,
  dependsOn: [agentSilent],
  description: '',
})

const fileSystemLow = trigger({
  discovery: FILE_SYSTEMS,
  name: '{#FSNAME}: more than {$VFS.FS.PUSED.MAX.WARN:"{#FSNAME}"} % is in use',
  expression: `last(/${LINUX}/hive.fs.pused[{#FSNAME}])>{$VFS.FS.PUSED.MAX.WARN:"{#FSNAME}"} and last(/${LINUX}/hive.fs.free[{#FSNAME}])<{$VFS.FS.FREE.MIN.WARN:"{#FSNAME}"}`,
  severity: 'warning',
  operationalData: '{ITEM.LASTVALUE1}, free: {ITEM.LASTVALUE2}',
  manualClose: true,
  dependsOn: [fileSystemCritical, agentSilent],
  description: '',
})

const inodesCritical = trigger({
  discovery: FILE_SYSTEMS,
  name: '{#FSNAME}: less than {$VFS.FS.INODE.PFREE.MIN.CRIT:"{#FSNAME}"} % of inodes are free',
  expression: `min(/${LINUX}/hive.fs.inodes.pfree[{#FSNAME}],5m)<{$VFS.FS.INODE.PFREE.MIN.CRIT:"{#FSNAME}"}`,
  severity: 'average',
  operationalData: '{ITEM.LASTVALUE1}',
  dependsOn: [agentSilent],
  description: '',
})

const inodesLow = trigger({
  discovery: FILE_SYSTEMS,
  name: '{#FSNAME}: less than {$VFS.FS.INODE.PFREE.MIN.WARN:"{#FSNAME}"} % of inodes are free',
  expression: `min(/${LINUX}/hive.fs.inodes.pfree[{#FSNAME}],5m)<{$VFS.FS.INODE.PFREE.MIN.WARN:"{#FSNAME}"}`,
  severity: 'warning',
  operationalData: '{ITEM.LASTVALUE1}',
  dependsOn: [inodesCritical, agentSilent],
  description: '',
})

const fileSystems = discovery({
  key: FILE_SYSTEMS,
  name: 'File systems',
  every: 3600,
  macros: ['{#FSNAME}', '{#FSTYPE}'],
  items: [
    { key: 'hive.fs.total[{#FSNAME}]', name: '{#FSNAME}: size', valueType: 'unsigned', units: 'B', every: 300 },
    { key: 'hive.fs.free[{#FSNAME}]', name: '{#FSNAME}: free for programs', valueType: 'unsigned', units: 'B', every: 60 },
    { key: 'hive.fs.pused[{#FSNAME}]', name: '{#FSNAME}: in use', valueType: 'float', units: '%', every: 60 },
    { key: 'hive.fs.inodes.pfree[{#FSNAME}]', name: '{#FSNAME}: free inodes', valueType: 'float', units: '%', every: 60 },
  ],
  triggers: [fileSystemCritical, fileSystemLow, inodesCritical, inodesLow],
  description: 'Those on disks and on NFS, apart from what containers and volumes mount.',
})

const DISKS = 'hive.disk.discovery'

const diskSlow = trigger({
  discovery: DISKS,
  name: '{#DEVNAME}: slow',
  expression: `min(/${LINUX}/hive.disk.read.await[{#DEVNAME}],15m)>{$VFS.DEV.READ.AWAIT.WARN:"{#DEVNAME}"} or min(/${LINUX}/hive.disk.write.await[{#DEVNAME}],15m)>{$VFS.DEV.WRITE.AWAIT.WARN:"{#DEVNAME}"}`,
  severity: 'warning',
  operationalData: 'read: {ITEM.LASTVALUE1} ms, write: {ITEM.LASTVALUE2} ms',
  manualClose: true,
  dependsOn: [agentSilent],
  description: '',
})

const disks = discovery({
  key: DISKS,
  name: 'Disks',
  every: 3600,
  macros: ['{#DEVNAME}'],
  items: [
    { key: 'hive.disk.read.rate[{#DEVNAME}]', name: '{#DEVNAME}: reads', valueType: 'float', units: '!r/s', every: 60 },
    { key: 'hive.disk.write.rate[{#DEVNAME}]', name: '{#DEVNAME}: writes', valueType: 'float', units: '!w/s', every: 60 },
    { key: 'hive.disk.read.await[{#DEVNAME}]', name: '{#DEVNAME}: time of a read', valueType: 'float', units: '!ms', every: 60 },
    { key: 'hive.disk.write.await[{#DEVNAME}]', name: '{#DEVNAME}: time of a write', valueType: 'float', units: '!ms', every: 60 },
    { key: 'hive.disk.util[{#DEVNAME}]', name: '{#DEVNAME}: busy', valueType: 'float', units: '%', every: 60 },
  ],
  triggers: [diskSlow],
  graphs: [{ name: '{#DEVNAME}: time of a request', keys: ['hive.disk.read.await[{#DEVNAME}]', 'hive.disk.write.await[{#DEVNAME}]'] }],
  description: 'Whole disks, and DRBD devices; no partitions and nothing in memory.',
})

const POOLS = 'hive.pool.discovery'

const poolCritical = trigger({
  discovery: POOLS,
  name: 'Thin pool {#POOL}: more than {$HIVE.POOL.CRIT} % is in use',
  expression: `last(/${LINUX}/hive.pool.data[{#POOL}])>{$HIVE.POOL.CRIT} or last(/${LINUX}/hive.pool.metadata[{#POOL}])>{$HIVE.POOL.CRIT}`,
  severity: 'high',
  operationalData: 'data: {ITEM.LASTVALUE1}, metadata: {ITEM.LASTVALUE2}',
  dependsOn: [agentSilent, storageHung],
  description: 'Volumes in a full pool lose their disk on this host. Give the volume group another disk, or delete what is not needed.',
})

const poolLow = trigger({
  discovery: POOLS,
  name: 'Thin pool {#POOL}: more than {$HIVE.POOL.WARN} % is in use',
  expression: `last(/${LINUX}/hive.pool.data[{#POOL}])>{$HIVE.POOL.WARN} or last(/${LINUX}/hive.pool.metadata[{#POOL}])>{$HIVE.POOL.WARN}`,
  severity: 'warning',
  operationalData: 'data: {ITEM.LASTVALUE1}, metadata: {ITEM.LASTVALUE2}',
  dependsOn: [poolCritical, agentSilent, storageHung],
  description: '',
})

const pools = discovery({
  key: POOLS,
  name: 'Thin pools',
  every: 3600,
  macros: ['{#POOL}'],
  items: [
    { key: 'hive.pool.data[{#POOL}]', name: 'Thin pool {#POOL}: data', valueType: 'float', units: '%', every: 600 },
    { key: 'hive.pool.metadata[{#POOL}]', name: 'Thin pool {#POOL}: metadata', valueType: 'float', units: '%', every: 600 },
  ],
  triggers: [poolCritical, poolLow],
  description: 'Thin pools of LVM, where mirrored volumes lie.',
})

export const storageDiscoveries = [fileSystems, disks, pools]
