/** What attributes of services consist of, for docs/inventory-reference.md. */
import type { BackupScriptKey } from '../backup-scripts.ts'
import type { NetworkAttribute } from '../definitions.ts'
import type { ImageAttribute } from '../image-definition.ts'
import type { PortKey } from '../port-definition.ts'
import type { HealthcheckKey, RestartKey, UpdateKey } from '../resolve-service.ts'
import type { ServiceFileKey } from '../service-files.ts'
import type { DrbdKey, VolumeKey } from '../volume-definition.ts'
import { type Described, entry } from './entry.ts'

export const imageReference: Described<ImageAttribute> = {
  from: entry('text', 'needed', 'base image', 'from: almalinux:9'),
  roles: entry('list', 'needed', 'Ansible roles that make it, in this order', 'roles: [python-aptk, web]'),
  env: entry('mapping or list', '', 'variables of the image', 'env: {LANG: C.UTF-8}'),
  stop_signal: entry('text', '', 'what ends its command', 'stop_signal: SIGTERM'),
  user: entry('text', '', 'who its command runs as', 'user: app'),
  working_dir: entry('text', '', 'where its command runs', 'working_dir: /srv'),
  standalone: entry('boolean', '', "the service's, unless given: build with the image's own init running", 'standalone: True'),
  entrypoint: entry('list or text', "the base image's", 'what it starts', 'entrypoint: [/entry.sh]'),
  command: entry('list or text', "the base image's", 'arguments of what it starts', 'command: [app]'),
  privileged: entry('boolean', '`False`', 'build in a privileged container', 'privileged: True'),
  expose: entry('list', '', 'ports that it names', 'expose: [8080]'),
  pull_on: entry('list', '', 'stages where nothing is built', 'pull_on: [production]'),
  pull_from: entry('text', '', 'the tag that is used there instead', 'pull_from: registry.example.org/app:1.2'),
}

export const volumeReference: Described<VolumeKey> = {
  source: entry('text', 'needed', 'volume name, or path on the host', 'source: db_data'),
  target: entry('text', 'needed', 'absolute path in the container', 'target: /var/lib/mysql'),
  type: entry('text', '`bind`', '`bind`, `volume`, `tmpfs`', 'type: volume'),
  readonly: entry('boolean', '`False`', 'containers can not write to it', 'readonly: True'),
  driver: entry('text', '', 'a docker volume with this driver and `driver_opts`, made on every hive host', 'driver: local'),
  driver_opts: entry('mapping', '', 'the options of its driver', 'driver_opts: {type: tmpfs, device: tmpfs}'),
  drbd: entry('mapping', '', 'mirrored, see [below](inventory.md#mirrored-volumes) and [volumes.md](volumes.md)', 'drbd: {fstype: xfs, size: 20G}'),
  nfs: entry(
    'mapping',
    '',
    "shared by all hosts: with provider aws a folder of the stage's EFS file system, with other providers blocked by plan; `size` (not used by aws), `available_on`",
    'nfs: {size: 20G}',
  ),
}

export const drbdReference: Described<DrbdKey> = {
  fstype: entry('text', 'needed', '`xfs` or `ext4`. Newer mkfs.xfs makes nothing below 300 MB, which is told', 'fstype: xfs'),
  size: entry(
    'size',
    'needed',
    'of the logical volume, as lvcreate takes it: `500M`, `20G`, `1.5T`; a plain number is MiB. No percentages. LVM rounds up to 4 MiB. A larger one grows the volume; a smaller one is refused',
    'size: 20G',
  ),
  diskless: entry(
    'list',
    'none',
    'hosts, of any stage, that hold no disk of it and vote over the network; hosts with `hive_no_mirrored_device` come on top. One host at least and eight at most hold a disk',
    'diskless: [s-hive2.example.com]',
  ),
  available_on: entry(
    'list',
    "the service's stages",
    'where it is mirrored; elsewhere docker makes a plain volume of that name on each host',
    'available_on: [production]',
  ),
  device_id: entry('whole number', 'allocated and kept', '1 to 255: minor, and 7000 less than the port', 'device_id: 7'),
  vgname: entry('text', '`drbdvg`', 'one of the volume groups of `hive_mirrored_disk_devices`', 'vgname: fastvg'),
}

export const fileReference: Described<ServiceFileKey> = {
  name: entry('text', 'needed', 'letters, digits, dots, hyphens, underscores', 'name: nginx.conf', { ours: true }),
  content: entry('text', 'needed', 'text: of a secret at most 500 KiB, of a config 1000 KiB', "content: \"{{ lookup('file', 'files/nginx.conf') }}\"", {
    ours: true,
  }),
  target: entry('text', '`/run/secrets/NAME` of a secret, `/NAME` of a config', 'path in the container', 'target: /etc/nginx/nginx.conf', { ours: true }),
  uid: entry('whole number', '0', 'owner of the file', 'uid: 101', { ours: true }),
  gid: entry('whole number', '0', 'group of the file', 'gid: 101', { ours: true }),
  mode: entry('octal text', "`'0444'`", 'its permissions, in quotes', "mode: '0440'", { ours: true }),
}

export const nfsReference: Described<'size' | 'available_on'> = {
  size: entry('size', '', 'with providers that need one; aws does not', 'size: 20G'),
  available_on: entry(
    'list',
    "the service's stages",
    'where it is shared; elsewhere docker makes a plain volume of that name on each host',
    'available_on: [production]',
  ),
}

export const portReference: Described<PortKey> = {
  target_port: entry('port', 'needed', 'in the container', 'target_port: 80'),
  published_port: entry('port', 'one from 61001 on, allocated once and kept', 'of the hosts', 'published_port: 8080'),
  protocol: entry('text', '`tcp`', '`tcp`, `udp`, `sctp`', 'protocol: udp'),
  mode: entry('text', '`ingress`', '`ingress`: open on all hosts; `host`: only where a task runs', 'mode: host'),
}

export const networkReference: Described<NetworkAttribute> = {
  driver: entry('text', '', 'read and ignored: networks are overlays', 'driver: overlay'),
  ipam: entry('mapping', "docker's choice", '`{driver, config: [{subnet, gateway, iprange}], options}`', 'ipam: {config: [{subnet: 10.20.0.0/24}]}'),
  driver_opts: entry('mapping', '', 'options of the overlay driver', 'driver_opts: {encrypted: ""}'),
}

export const placementReference: Described<'constraints' | 'preferences' | 'replicas_max_per_node'> = {
  constraints: entry('list', '', 'all must be met: `node.labels.NAME == true`, `node.hostname != HOST`', 'constraints: [node.labels.ssd == true]'),
  preferences: entry('list', '', 'what tasks are spread over', 'preferences: [{spread: node.labels.rack}]'),
  replicas_max_per_node: entry('whole number', '', 'read and ignored', 'replicas_max_per_node: 1'),
}

export const healthcheckReference: Described<HealthcheckKey> = {
  test: entry('list or text', 'none', 'a text is run by a shell; a list begins with `CMD`, `CMD-SHELL` or `NONE`', 'test: [CMD, curl, -f, http://localhost/]'),
  interval: entry('duration', '30s', 'between two checks', 'interval: 10s'),
  timeout: entry('duration', '30s', 'after which a check has failed', 'timeout: 3s'),
  start_period: entry('duration', '0s', 'in which failures do not count', 'start_period: 1m30s'),
  retries: entry('whole number', '3', 'so many failures in a row make it unhealthy', 'retries: 5'),
}

export const restartReference: Described<RestartKey> = {
  condition: entry('text', '`any`', '`none`, `on-failure`, `any`', 'condition: on-failure'),
  delay: entry('duration', "docker's, 5s", 'before it is started again', 'delay: 10s'),
  max_attempts: entry('whole number', 'no limit', 'so often it is started again', 'max_attempts: 3'),
  window: entry('duration', "docker's", 'in which attempts are counted', 'window: 2m'),
}

export const updateReference: Described<UpdateKey> = {
  parallelism: entry('whole number', '1', 'so many tasks at a time; 0: all', 'parallelism: 2', { ours: true }),
  delay: entry('duration', '0s', 'between them', 'delay: 10s', { ours: true }),
  failure_action: entry('text', '`pause`', '`pause`, `continue`, and of `update_config` also `rollback`', 'failure_action: rollback', { ours: true }),
  monitor: entry('duration', '5s', 'after its start, in which the failure of a task counts', 'monitor: 30s', { ours: true }),
  max_failure_ratio: entry('number, 0 to 1', '0', 'of the tasks, so many may fail', 'max_failure_ratio: 0.25', { ours: true }),
  order: entry('text', '`stop-first`', '`stop-first`, or `start-first`: the new task runs before the old one ends', 'order: start-first', { ours: true }),
}

export const backupReference: Described<BackupScriptKey> = {
  name: entry('text', 'needed', 'a part of the file names: letters, digits, `_`, `-`, `.`', 'name: db'),
  directory: entry('text', '', 'folder in the container that is archived', 'directory: /data'),
  backup_command: entry('text', '', 'command whose output is kept, instead of a folder', 'backup_command: mysqldump --all-databases'),
  backup_file: entry('text', 'the output of `backup_command`', 'absolute path of the file that `backup_command` makes', 'backup_file: /tmp/dump.sql'),
  restore_command: entry('text', '', 'command that reads from its input what was kept', 'restore_command: mysql'),
  restore_file: entry(
    'text',
    'the input of `restore_command`',
    'absolute path where the dump is put before `restore_command` runs',
    'restore_file: /tmp/dump.sql',
  ),
  ext: entry('text', '`tar.gz`', 'end of the file names', 'ext: sql.gz'),
  cleanup_days_before: entry('whole number', 'none goes', 'days after which old files go', 'cleanup_days_before: 14'),
  batch_scripts: entry('list', '', 'commands that are run in the container before, and keep nothing', 'batch_scripts: [/usr/local/bin/flush]'),
  drill_command: entry('text', '', 'command that tells in a drill whether what was restored is good', 'drill_command: mysql -e "select 1"', { ours: true }),
}
