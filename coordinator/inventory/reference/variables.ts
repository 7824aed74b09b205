/** Variables that the program acts on, for docs/inventory-reference.md. */
import { type Entry, entry } from './entry.ts'

export const generalVariables: Readonly<Record<string, Entry>> = {
  hive_admin: entry('text', '`admin`; vagrant `vagrant`, aws `ec2-user`, azure `hiveadmin`', 'user for ssh and administration', 'hive_admin: ops'),
  hive_admin_group: entry('text', "the user's name", 'its main group', 'hive_admin_group: ops'),
  hive_admin_uid: entry('whole number', 'a free id', 'its number', 'hive_admin_uid: 1001'),
  hive_admin_gid: entry('whole number', 'a free id', "its group's number", 'hive_admin_gid: 1001'),
  hive_root_password: entry('text', '`root_password`', 'prepared: first log-in', "hive_root_password: \"{{ lookup('file', 'root-password') }}\""),
  hive_sshd_port: entry('port', '22', 'port of sshd', 'hive_sshd_port: 2022'),
  hive_agent_port: entry('port', '17443', 'port of the agent', 'hive_agent_port: 17443', { ours: true }),
  hive_firewall: entry('boolean', '`True`', "the host's own [firewall](prepared-servers.md#firewall); `False` takes it away", 'hive_firewall: False', {
    ours: true,
  }),
  hive_ssh_source_ips: entry(
    'list',
    'everywhere',
    "addresses and networks, IPv4 and IPv6, that ssh is open to, beside the site's hosts. With provider aws in the security group too",
    'hive_ssh_source_ips: [192.0.2.0/24]',
  ),
  hive_agent_source_ips: entry('list', 'everywhere', "the same for the agent's port: where hivecoord runs", 'hive_agent_source_ips: [192.0.2.10]', {
    ours: true,
  }),
  hive_timezone: entry('text', 'left as they are', "the hosts' time zone", 'hive_timezone: Europe/Berlin'),
  hive_locale: entry('text', 'left as they are', "the hosts' locale", 'hive_locale: en_US.UTF-8'),
  hive_ntp_servers: entry('list', "the distribution's", 'list', 'hive_ntp_servers: [ntp.example.org]'),
  hive_selinux: entry('text', '`permissive`', '`disabled`, `enforcing`; no effect without SELinux', 'hive_selinux: enforcing'),
  hive_swarm_mode: entry('text', '`manager`', '`worker`; not for the first hive host', 'hive_swarm_mode: worker'),
  hive_users: entry(
    'mapping',
    '',
    '`{NAME: {uid, group, id_rsa_pub}}`; root may not log in by ssh then',
    'hive_users: {anna: {uid: 2001, group: ops, id_rsa_pub: ssh-ed25519 AAAA…}}',
  ),
  hive_user_groups: entry('mapping', '', '`{NAME: {gid}}`; members may use sudo', 'hive_user_groups: {ops: {gid: 2001}}'),
  hive_registry_port: entry('port', '5000', 'registry on the repository server', 'hive_registry_port: 5000'),
  hive_docker_login_user: entry('text', '`hive`', 'its user', 'hive_docker_login_user: hive'),
  hive_registry_password: entry(
    'text',
    'generated',
    'its password, 8 to 72 characters; else `.hive/STAGE/registry_login_password`, see [images.md](images.md#its-password)',
    'hive_registry_password: "{{ registry_password }}"',
  ),
  hive_registry_keep: entry('whole number', '5', 'newest builds of each image that stay when old ones are taken away', 'hive_registry_keep: 10', {
    ours: true,
  }),
  hive_registry_upkeep: entry(
    'time or boolean',
    '`"03:30"`',
    "when that is done each day, by the repository server's clock, in quotes; `False`: only by command",
    'hive_registry_upkeep: "04:00"',
    { ours: true },
  ),
  hive_registry_container: entry('boolean', '`False`', 'registry as a container also where the repository server has apt', 'hive_registry_container: True', {
    ours: true,
  }),
  hive_registry_image: entry('text', '`registry:2`', 'image of that container; one with a digest never moves', 'hive_registry_image: registry:2', {
    ours: true,
  }),
  hive_registry_cache: entry(
    'boolean or text',
    '`False`',
    "`True`: the repository server keeps what hosts pull from Docker's registry; or the address of another mirror of it to keep; see [images.md](images.md#a-cache-of-dockers-registry)",
    'hive_registry_cache: True',
    { ours: true },
  ),
  hive_registry_cache_port: entry('port', '5001', 'its port', 'hive_registry_cache_port: 5001', { ours: true }),
  hive_registry_mirror: entry('text', '', 'mirror that docker asks, before that cache', 'hive_registry_mirror: https://mirror.example.org'),
  hive_docker_source_url: entry(
    'text',
    '`https://download.docker.com/linux/centos`',
    "EL: where docker's packages come from; has `RELEASE/ARCH/stable` and `gpg`",
    'hive_docker_source_url: https://mirror.example.org/docker-ce/linux/centos',
    { ours: true },
  ),
  hive_epel_url: entry(
    'text',
    "EPEL's mirrors",
    'EL: mirror of EPEL; has `RELEASE/Everything/ARCH` and `RPM-GPG-KEY-EPEL-RELEASE`',
    'hive_epel_url: https://mirror.example.org/epel',
    { ours: true },
  ),
  hive_elrepo_url: entry(
    'text',
    'ELRepo and its mirrors',
    'EL: mirror of ELRepo, for DRBD; has `elrepo/elRELEASE/ARCH`, `RPM-GPG-KEY-elrepo.org` and `RPM-GPG-KEY-v2-elrepo.org`',
    'hive_elrepo_url: https://mirror.example.org/elrepo',
    { ours: true },
  ),
  hive_drbd_download_url: entry(
    'text',
    '`drbd_download_url`',
    "archive of DRBD's packages instead: `https://…`, `http://…#sha256=…`, or `file:///…` on the hosts (see [prepared-servers.md](prepared-servers.md#drbd))",
    'hive_drbd_download_url: file:///srv/drbd.tar.gz',
  ),
  hive_kernel_version: entry(
    'text',
    '`kernel_version`; the running one',
    'hosts with mirrored volumes: the kernel to run, as the package manager takes its version',
    'hive_kernel_version: 5.14.0-427.el9',
  ),
  hive_ext_repositories: entry(
    'list of mappings',
    '',
    'list of `{repository, login_user, password}`: log-ins for other registries',
    'hive_ext_repositories: [{repository: ghcr.io, login_user: me, password: "{{ ghcr }}"}]',
  ),
  hive_syslog_port: entry('port', '10514', "where containers' logs go: UDP, on loopback of hive hosts and on the repository server", 'hive_syslog_port: 10514'),
  hive_syslog_relay_port: entry('port', '20514', 'TCP, of the repository server: what hive hosts pass on', 'hive_syslog_relay_port: 20514', { ours: true }),
  hive_log_group: entry('text', '`zabbix`', 'group that may read logs on the repository server', 'hive_log_group: adm', { ours: true }),
  hive_log_retention_days: entry('whole number', '28', 'days that logs are kept', 'hive_log_retention_days: 90', { ours: true }),
  hive_log_spool_mb: entry('whole number', '1024', 'what a hive host keeps at most while the repository server is away', 'hive_log_spool_mb: 4096', {
    ours: true,
  }),
  hive_backup_time: entry('time', '`"01:00"`', 'when the repository server backs up, by its clock', 'hive_backup_time: "02:30"', { ours: true }),
  hive_backup_restic: entry(
    'mapping',
    '',
    'copies of backups elsewhere: `{repository, password, environment, keep}`, see [backup.md](backup.md#copies-elsewhere)',
    'hive_backup_restic: {repository: "s3:…", password: "{{ restic }}"}',
    { ours: true },
  ),
  hive_registry_backup_cleanup_days_before: entry(
    'whole number',
    '3',
    "days for which the repository server's own backups are kept; `hivecoord set registry_backup_cleanup_days_before 7`",
    'hive_registry_backup_cleanup_days_before: 7',
  ),
  hive_zabbix_backup_cleanup_days_before: entry(
    'whole number',
    '3',
    "days for which the repository server's own backups are kept; `hivecoord set registry_backup_cleanup_days_before 7`",
    'hive_zabbix_backup_cleanup_days_before: 7',
  ),
  hive_image_dir: entry('text', '`images`', 'folder of base image archives; the environment variable `HIVE_IMAGES` is stronger', 'hive_image_dir: images', {
    ours: true,
  }),
  hive_ca_cert: entry('text', 'made', "the stage's CA, PEM; used when the stage has none yet", "hive_ca_cert: \"{{ lookup('file', 'ca.pem') }}\""),
  hive_ca_key: entry('text', 'made', "the stage's CA, PEM; used when the stage has none yet", "hive_ca_key: \"{{ lookup('file', 'ca-key.pem') }}\""),
  hive_network_attachable: entry('boolean', '`True`', 'of a network', 'hive_network_attachable: False'),
}

export const monitoringVariables: Readonly<Record<string, Entry>> = {
  hive_zabbix: entry(
    'boolean',
    '`True`; a private stage of this machine: where the site ships the images',
    'Zabbix runs on the repository server',
    'hive_zabbix: True',
    { ours: true },
  ),
  hive_zabbix_server_tag: entry(
    'text',
    'official images of 7.0, PostgreSQL',
    'its images, see [monitoring.md](monitoring.md#the-server)',
    'hive_zabbix_server_tag: zabbix/zabbix-server-pgsql:alpine-7.0-latest',
  ),
  hive_zabbix_web_tag: entry(
    'text',
    'official images of 7.0, PostgreSQL',
    'its images, see [monitoring.md](monitoring.md#the-server)',
    'hive_zabbix_web_tag: zabbix/zabbix-web-nginx-pgsql:alpine-7.0-latest',
  ),
  hive_zabbix_db_tag: entry(
    'text',
    'official images of 7.0, PostgreSQL',
    'its images, see [monitoring.md](monitoring.md#the-server)',
    'hive_zabbix_db_tag: postgres:16-alpine',
    { ours: true },
  ),
  hive_zabbix_image: entry('text', '', 'one image with all of it', 'hive_zabbix_image: zabbix-all:1', { ours: true }),
  hive_zabbix_server_port: entry('port', '10051, 10052', "ports of the server and, on the host's loopback, of the web UI", 'hive_zabbix_server_port: 10051', {
    ours: true,
  }),
  hive_zabbix_web_port: entry('port', '10051, 10052', "ports of the server and, on the host's loopback, of the web UI", 'hive_zabbix_web_port: 10052', {
    ours: true,
  }),
  hive_zabbix_admin_user: entry('text', '`Admin`, generated', 'who sets it up; the password has 8 characters or more', 'hive_zabbix_admin_user: Admin', {
    ours: true,
  }),
  hive_zabbix_admin_password: entry(
    'text',
    '`Admin`, generated',
    'who sets it up; the password has 8 characters or more',
    'hive_zabbix_admin_password: "{{ zabbix_password }}"',
    { ours: true },
  ),
  hive_zabbix_db_password: entry('text', 'generated', 'of its database, from the first start on', 'hive_zabbix_db_password: "{{ zabbix_db }}"', { ours: true }),
  hive_zabbix_psk: entry('text', 'generated', 'key between agents and server, hexadecimal digits', 'hive_zabbix_psk: "{{ zabbix_psk }}"', { ours: true }),
  hive_zabbix_media: entry(
    'list of mappings',
    '',
    'where alerts go, see [monitoring.md](monitoring.md#what-it-holds)',
    'hive_zabbix_media: [{type: mail, to: [ops@example.org], server: smtp.example.org}]',
    { ours: true },
  ),
  hive_zabbix_macros: entry(
    'mapping',
    '',
    'values of macros on each host: `{"{$HIVE.AGENT.SILENCE}": 5m}`',
    'hive_zabbix_macros: {"{$HIVE.AGENT.SILENCE}": 5m}',
    { ours: true },
  ),
  hive_zabbix_hive_names: entry('list', '', 'further sites whose hosts this Zabbix knows', 'hive_zabbix_hive_names: [other.example.org]'),
  hive_zabbix_server: entry(
    'text',
    'the repository server',
    '`ADDRESS:PORT` of a Zabbix elsewhere that the hosts report to',
    'hive_zabbix_server: 192.0.2.9:10051',
    { ours: true },
  ),
  hive_zabbix_interval: entry(
    'whole number, seconds',
    '60',
    'seconds between the values that are due most often; all others in proportion',
    'hive_zabbix_interval: 120',
    { ours: true },
  ),
  hive_zabbix_ignored_units: entry(
    'list',
    '`kdump`, `ec2-instance-connect`, `cloud-config`, `getty@*`, `network`',
    'units of systemd whose failure and restart is not told; `*` stands for any text',
    'hive_zabbix_ignored_units: [kdump, "getty@*"]',
    { ours: true },
  ),
  hive_zabbix_passive: entry('boolean', '`False`', 'agents answer passive checks on port 10050, as zabbix-agent does', 'hive_zabbix_passive: True', {
    ours: true,
  }),
  hive_zabbix_passive_sources: entry('list', '', 'addresses and networks that may ask beside the Zabbix server', 'hive_zabbix_passive_sources: [192.0.2.9]', {
    ours: true,
  }),
}

export const mirroringVariables: Readonly<Record<string, Entry>> = {
  hive_no_mirrored_device: entry(
    'boolean',
    '`False`',
    'of a host: it has no disk for mirrored volumes (`hive_no_mirrored_devices` is understood too)',
    'hive_no_mirrored_device: True',
  ),
  hive_mirrored_disk_devices: entry(
    'list of mappings',
    '`drbdvg` with the pool `drbdpool`',
    'list of `{device_order: [/dev/sdb, …], vgname, poolname}`: on the first disk of the list that is there and empty the volume group is made; without `poolname` volumes take their whole size at once. The default looks for `/dev/disk/azure/scsi1/lun0`, `sdc`, `sdb`, `vdc`, `vdb`, `xvdb`, `nvme1n1`, `sda`',
    'hive_mirrored_disk_devices: [{device_order: [/dev/sdb], vgname: drbdvg, poolname: drbdpool}]',
  ),
  hive_partition_label: entry('text', "the tool's", 'label of a disk that is divided: `gpt`, `msdos`', 'hive_partition_label: gpt'),
  hive_no_format: entry(
    'boolean',
    '`False`',
    'nothing new is declared valid or formatted: to bring a site back from its disks. `hivecoord set no_format true`',
    'hive_no_format: True',
  ),
  hive_nspawn_drbd: entry(
    'boolean',
    '`False`',
    "nspawn: mirrored volumes are DRBD's, where the machine's hosts have it; else they are folders that the hosts share",
    'hive_nspawn_drbd: True',
    { ours: true },
  ),
}

export const awsVariables: Readonly<Record<string, Entry>> = {
  hive_vpc_name: entry('text', '`vpc-SITE`', 'name of the VPC', 'hive_vpc_name: vpc-hive'),
  hive_aws_key_name: entry('text', '`hive-bulder-SITE-STAGE`; production `hive-bulder-SITE`', 'name of the key pair', 'hive_aws_key_name: ops'),
  hive_ec2_group_rules: entry(
    'list of mappings',
    'from ssh and published ports',
    'replaces the rules of the security group',
    'hive_ec2_group_rules: [{proto: tcp, ports: 443, cidr_ip: 0.0.0.0/0}]',
  ),
  hive_published_ip: entry('text', 'a new one', 'of a host: an elastic address that exists, and stays', 'hive_published_ip: 203.0.113.7'),
  hive_osdisk_device: entry('text', "the image's", 'of a host: device name of the root disk', 'hive_osdisk_device: /dev/xvda'),
  hive_instance_type: entry('text', "the stage's attributes", 'of a host, where it differs from the others', 'hive_instance_type: t3.large'),
  hive_vm_image_name: entry('text', "the stage's attributes", 'of a host, where it differs from the others', 'hive_vm_image_name: ami-0123456789abcdef0'),
  hive_kms_key_id: entry('text', "the stage's attributes", 'of a host, where it differs from the others', 'hive_kms_key_id: "arn:aws:kms:…"'),
  hive_disk_encrypted: entry('boolean', "the stage's attributes", 'of a host, where it differs from the others', 'hive_disk_encrypted: True'),
  hive_mirrored_disk_encrypted: entry('boolean', "the stage's attributes", 'of a host, where it differs from the others', 'hive_mirrored_disk_encrypted: True'),
}

export const nspawnVariables: Readonly<Record<string, Entry>> = {
  hive_nspawn_binds: entry(
    'list',
    '',
    'list of `SOURCE:TARGET`: files and folders of this machine that a host has, writable, from its next start on',
    'hive_nspawn_binds: [/srv/data:/data]',
    { ours: true },
  ),
}
