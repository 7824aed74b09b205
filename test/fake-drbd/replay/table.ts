/** Which recorded states the fake follows, in the order in which they were recorded, and which not, with the reason. */
import type { Player } from './player.ts'
import type { ConfiguredResource, OptionList } from './resource-file.ts'

export interface Replayed {
  state: string
  /** what was done before it and is not in its notes. */
  before?: (player: Player) => void
  /** what happened in the middle of it and is not in its notes, at that second. */
  meanwhile?: { at: number; act: (player: Player) => void }
  /** seconds of it that are followed; the rest is not modelled, for the reason in `without`. */
  until?: number
  without?: string
}

const disk = (options: OptionList) => (file: ConfiguredResource) => ({ ...file, disk: [['on-io-error', 'detach'] as const, ...options] })
const resourceOptions: OptionList = [
  ['quorum', 'majority'],
  ['on-no-quorum', 'io-error'],
  ['on-no-data-accessible', 'io-error'],
  ['auto-promote', 'yes'],
  ['auto-promote-timeout', '100'],
]
const thirdDisk = (path: string) => (file: ConfiguredResource) => ({
  ...file,
  hosts: file.hosts.map((host) => (host.nodeId === 2 ? { ...host, disk: path } : host)),
})
const healthy = (player: Player): void => {
  player.type('umount /mnt/v')
  player.type('drbdadm adjust hive')
  player.pass(30_000)
}

const race = (player: Player): void => {
  player.cluster.settings.raceOnReturn = true
}
const smallDisk = (player: Player): void => {
  healthy(player)
  player.addFile('two', (file) => ({
    ...file,
    name: 'two',
    hosts: file.hosts.map((host) => ({ ...host, minor: 2, disk: '/dev/vdb', address: host.address.replace('7789', '7790') })),
  }))
  player.type('drbdadm create-md --max-peers=7 --force two', 's-hive0', 's-hive2')
  player.cluster.event({ kind: 'disk', host: 's-hive1', path: '/dev/vdb', sizeKib: 65_536, empty: true }, player.now)
  player.cluster.event({ kind: 'port-taken', host: 's-hive2', port: 7790, taken: true }, player.now)
}

export const REPLAYED: readonly Replayed[] = [
  { state: '03-res-present-down' },
  { state: '04-up-without-metadata' },
  { state: '05-created-inconsistent' },
  { state: '06-after-new-current-uuid' },
  { state: '07-primary-mounted-autopromote' },
  { state: '08-second-mount-refused' },
  { state: '09-demote-refusals' },
  { state: '09b-force-secondary-recovery' },
  { state: '09c-umount-lazy' },
  { state: '09d-primary-explicit' },
  { state: '09e-down-fails-half-way', before: healthy },
  { state: '09f-readonly-opener-on-peer' },
  { state: '09g-mount-falls-back-to-readonly' },
  { state: '10-secondary-down-while-writing' },
  {
    state: '11-resync-running',
    before: (player) =>
      player.edit(
        disk([
          ['c-max-rate', '1024k'],
          ['c-plan-ahead', '20'],
          ['c-fill-target', '64k'],
        ]),
      ),
  },
  { state: '12-resync-finished', before: (player) => player.edit(disk([])) },
  {
    state: '13-primary-killed',
    before: (player) => player.type('umount /mnt/v'),
  },
  {
    state: '14-killed-returns',
    before: (player) => {
      player.cluster.settings.raceOnReturn = true
    },
  },
  { state: '14y-standalone-again-primary-elsewhere', before: (player) => player.pass(10_000) },
  {
    state: '14x-standalone-without-split-brain',
    before: (player) => {
      healthy(player)
      player.type('mount -w -t ext4 /dev/drbd1 /mnt/v', 's-hive0')
      player.outside('SIGKILL to QEMU of s-hive0')
      player.pass(12_000)
      player.outside('QEMU of s-hive0 started again')
      player.cluster.settings.raceOnReturn = true
      player.type('drbdadm up hive', 's-hive0')
      player.pass(10_000)
    },
  },
  { state: '15-quorum-lost' },
  {
    state: '16-quorum-regained',
    before: (player) => {
      // the killed Secondaries had most of the disk in their activity logs
      player.cluster.settings.activityLogKib = 130_000
    },
  },
  {
    state: '17-split-brain',
    before: (player) => {
      player.cluster.settings.activityLogKib = 57_344
      healthy(player)
    },
  },
  { state: '18-split-brain-resolved' },
  { state: '17b-split-brain-both-primary', before: healthy },
  {
    state: '19-diskless-tiebreaker',
    before: (player) => {
      player.edit((file) => ({ ...file, options: resourceOptions }))
      healthy(player)
      player.edit(thirdDisk('none'))
    },
    until: 76,
    without: 'then the tie-breaker got its disk back while its peers still kept no bitmap for it',
  },
  {
    state: '20-detached',
    before: (player) => {
      player.outside('QEMU of s-hive2 started again')
      player.edit(thirdDisk('/dev/vda'))
      player.type('drbdadm up hive', 's-hive2')
      healthy(player)
    },
  },
  {
    state: '21-replaced-node',
    until: 72,
    without: 'then a disk that copies from one peer shows its second one as Established; the fake has it wait as PausedSyncT',
  },
  {
    state: '22-verify',
    before: (player) => {
      player.type('drbdadm up hive', 's-hive2')
      player.pass(60_000)
    },
  },
  { state: '23-online-grow' },
  { state: '24-wrong-shared-secret' },
  { state: '25-node-id-mismatch' },
  { state: '27-primary-isolated-quorum' },
  { state: '28-failover-timing-tuned', before: race },
  { state: '29-failover-timing-default', before: race },
  {
    state: '31-peers-different-size',
    before: smallDisk,
    // the foreign listener was stopped by hand
    meanwhile: { at: 20, act: (player) => player.cluster.event({ kind: 'port-taken', host: 's-hive2', port: 7790, taken: false }, player.now) },
  },
  {
    state: '32-io-error',
    before: (player) => player.type('drbdadm down two'),
  },
  { state: '36-all-up-two-resources', before: (player) => player.type('drbdadm down two') },
]

/** Recorded states that the fake does not follow, and why. */
export const LEFT_OUT: Readonly<Record<string, string>> = {
  '00-unconfigured-module-not-loaded': 'about the kernel module, which the fake always has',
  '01-unconfigured-module-loaded': 'about the kernel module, which the fake always has',
  '02-fqdn-vs-short-uname': 'names in the resource file: the real drbdadm reads them',
  '02b-name-matching': 'names in the resource file: the real drbdadm reads them',
  '26-port-conflict': 'two resources on one address: the real drbdadm refuses them; a port of another program is in 31',
  '30-create-md-cases': 'metadata: the real drbdmeta writes it',
  '33-syntax-errors': 'the resource file: the real drbdadm reads it',
  '34-options-accepted': 'one option each, tried by the real drbdadm; the fake keeps any option of the kernel and judges no value',
  '34b-options-alg-and-sb-values': 'one option each, tried by the real drbdadm; the fake keeps any option of the kernel and judges no value',
}
