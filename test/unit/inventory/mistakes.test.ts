import assert from 'node:assert/strict'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { loadSite } from '../../../coordinator/inventory/load.ts'
import { hive, problemsOf, services, siteFolder } from './site-folder.ts'

interface Mistake {
  readonly name: string
  readonly files: Readonly<Record<string, string>>
  /** FILE:LINE:COLUMN of each problem, in order. */
  readonly at: readonly string[]
  readonly message: RegExp
  readonly instead?: RegExp
  readonly stage?: string
}

const stage = (attributes: string, name = 'private'): Record<string, string> => ({
  'inventory/hive.yml': `plugin: hive_inventory\nname: test\nstages:\n  ${name}:\n${attributes.replace(/^(?=.)/gm, '    ')}`,
})
const awsRest = 'region: eu-west-1\ninstance_type: t3.small\nrepository_instance_type: t3.small\n'
const service = (body: string): Record<string, string> => ({ 'inventory/s.yml': services(`web:\n${body.replace(/^(?=.)/gm, '  ')}`) })
const image = 'image: debian:12\n'

const mistakes: readonly Mistake[] = [
  {
    name: 'an unknown stage attribute',
    files: stage('provider: nspawn\ncidr: 10.0.0.0/24\nnumber_of_host: 4\n'),
    at: ['inventory/hive.yml:7:5'],
    message: /unknown stage attribute 'number_of_host'/,
    instead: /did you mean number_of_hosts\?/,
  },
  {
    name: 'backups whose names can’t be parts of file names, or are taken',
    files: {
      'inventory/s.yml': services('web:\n  image: debian:12\n  backup_scripts:\n  - {name: a/b, directory: /srv}\n  - {name: hive-registry, directory: /}\n'),
    },
    at: ['inventory/s.yml:6:5', 'inventory/s.yml:6:14', 'inventory/s.yml:7:40'],
    message: /the name 'hive-registry' is taken by the repository server itself/,
  },
  {
    name: 'a time of backups that is none',
    files: { 'inventory/group_vars/servers.yml': 'hive_backup_time: 25:00\n' },
    at: ['inventory/group_vars/servers.yml:1:19'],
    message: /is no time of day/,
    instead: /"01:00"/,
  },
  {
    name: 'copies elsewhere without a password, with a misspelt key',
    files: { 'inventory/group_vars/servers.yml': 'hive_backup_restic:\n  repository: /copies\n  enviroment: {A: b}\n  keep: {hourly: 3}\n' },
    at: ['inventory/group_vars/servers.yml:2:3', 'inventory/group_vars/servers.yml:3:15', 'inventory/group_vars/servers.yml:4:18'],
    message: /keep has no 'hourly'/,
    instead: /did you mean environment/,
  },
  { name: 'no provider', files: stage('cidr: 10.0.0.0/24\n'), at: ['inventory/hive.yml:5:5'], message: /'provider' is missing/, instead: /nspawn/ },
  {
    name: 'packages of DRBD over http, as an attribute of the stage',
    files: stage('provider: prepared\ncidr: 10.0.0.0/24\ndrbd_download_url: http://example.com/drbd.tar.gz\n'),
    at: ['inventory/hive.yml:7:24'],
    message: /packages that are not signed are not fetched over http/,
    instead: /#sha256=/,
  },
  {
    name: 'packages of DRBD from nowhere, as a variable of hosts',
    files: { 'inventory/group_vars/hives.yml': 'hive_drbd_download_url: drbd.tar.gz\n' },
    at: ['inventory/group_vars/hives.yml:1:25'],
    message: /"drbd\.tar\.gz" is no address of an archive/,
    instead: /https:/,
  },
  {
    name: 'settings of the registry that can’t be',
    files: {
      'inventory/group_vars/repository.yml': [
        'hive_registry_upkeep: Sun 03:30',
        'hive_registry_keep: 0',
        'hive_registry_password: short',
        'hive_registry_cache: registry.example.com',
        'hive_registry_cache_port: 5000',
        'hive_ext_repositories: [{repository: quay.io, login_user: me}]',
      ]
        .map((line) => `${line}\n`)
        .join(''),
    },
    at: ['1:23', '2:21', '3:25', '4:22', '5:27', '6:25'].map((place) => `inventory/group_vars/repository.yml:${place}`),
    message:
      /'Sun 03:30' is no time of day|must be 1 or more|is shorter than 8 characters|True or the address of a registry|registry's own port|an entry has no password/,
    instead: /HH:MM/,
  },
  {
    name: 'an unknown provider',
    files: stage('provider: awz\ncidr: 10.0.0.0/24\n'),
    at: ['inventory/hive.yml:5:15'],
    message: /unknown provider 'awz'/,
    instead: /mean aws/,
  },
  { name: 'no cidr', files: stage('provider: nspawn\n'), at: ['inventory/hive.yml:5:5'], message: /'cidr' is missing/ },
  {
    name: 'host bits in a cidr',
    files: stage('provider: nspawn\ncidr: 10.0.0.5/24\n'),
    at: ['inventory/hive.yml:6:11'],
    message: /host bits/,
    instead: /10\.0\.0\.0\/24/,
  },
  { name: 'no network as cidr', files: stage('provider: nspawn\ncidr: ten\n'), at: ['inventory/hive.yml:6:11'], message: /not an IPv4 network/ },
  {
    name: 'too few addresses',
    files: stage('provider: nspawn\ncidr: 10.0.0.0/29\nnumber_of_hosts: 5\n'),
    at: ['inventory/hive.yml:6:11'],
    message: /10\.0\.0\.0\/29 has 3 addresses for hosts, too few for 5 hosts/,
  },
  {
    name: 'too few hosts',
    files: stage('provider: nspawn\ncidr: 10.0.0.0/24\nnumber_of_hosts: 1\n'),
    at: ['inventory/hive.yml:7:22'],
    message: /1 hosts are too few/,
    instead: /separate_repository: False/,
  },
  {
    name: 'no number of hosts',
    files: stage('provider: nspawn\ncidr: 10.0.0.0/24\nnumber_of_hosts: some\n'),
    at: ['inventory/hive.yml:7:22'],
    message: /must be a whole number/,
  },
  {
    name: 'a bad custom_hostname',
    files: stage('provider: nspawn\ncidr: 10.0.0.0/24\ncustom_hostname: Web_\n'),
    at: ['inventory/hive.yml:7:22'],
    message: /'Web_' is no host name/,
  },
  {
    name: 'too long names',
    files: stage(`provider: nspawn\ncidr: 10.0.0.0/24\ncustom_hostname: ${'a'.repeat(51)}\n`),
    at: ['inventory/hive.yml:7:22'],
    message: /have 55 characters together/,
    instead: /below 55/,
  },
  {
    name: 'instance_type with vagrant',
    files: stage('provider: vagrant\ncidr: 10.0.0.0/24\ninstance_type: t3\n'),
    at: ['inventory/hive.yml:7:5'],
    message: /can't be used with provider vagrant/,
  },
  {
    name: 'memory_size on aws',
    files: stage(`provider: aws\ncidr: 10.0.0.0/24\nmemory_size: 4096\n${awsRest}`),
    at: ['inventory/hive.yml:7:5'],
    message: /can't be used with provider aws/,
  },
  {
    name: 'bridge without vagrant',
    files: stage('provider: prepared\ncidr: 10.0.0.0/24\nbridge: br0\n'),
    at: ['inventory/hive.yml:7:5'],
    message: /'bridge' can't be used/,
  },
  {
    name: 'repository_memory_size without vagrant',
    files: stage('provider: prepared\ncidr: 10.0.0.0/24\nrepository_memory_size: 1\n'),
    at: ['inventory/hive.yml:7:5'],
    message: /can't be used with provider prepared/,
  },
  {
    name: 'not_support_az without azure',
    files: stage(`provider: aws\ncidr: 10.0.0.0/24\nnot_support_az: True\n${awsRest}`),
    at: ['inventory/hive.yml:7:5'],
    message: /can't be used/,
  },
  {
    name: 'kickstart without its config',
    files: stage('provider: kickstart\ncidr: 10.0.0.0/24\n'),
    at: ['inventory/hive.yml:5:5'],
    message: /needs 'kickstart_config'/,
  },
  {
    name: 'kickstart_config elsewhere',
    files: stage(`provider: aws\ncidr: 10.0.0.0/24\nkickstart_config: {iso_src: a}\n${awsRest}`),
    at: ['inventory/hive.yml:7:5'],
    message: /can't be used with provider aws/,
  },
  {
    name: 'encryption without a key',
    files: stage(`provider: aws\ncidr: 10.0.0.0/24\ndisk_encrypted: True\n${awsRest}`),
    at: ['inventory/hive.yml:7:21'],
    message: /needs 'kms_key_id'/,
  },
  {
    name: 'a subnet without cidr',
    files: stage(`provider: aws\ncidr: 10.0.0.0/24\nsubnets:\n- name: a\n${awsRest}`),
    at: ['inventory/hive.yml:8:7'],
    message: /'cidr' is missing/,
  },
  {
    name: 'an aws stage without region and types',
    files: stage('provider: aws\ncidr: 10.0.0.0/24\n'),
    at: ['inventory/hive.yml:5:5', 'inventory/hive.yml:5:5', 'inventory/hive.yml:5:5'],
    message: /'region' is missing|'instance_type' is missing|'repository_instance_type' is missing/,
    instead: /add region: ap-northeast-1|add instance_type: t3\.medium|add repository_instance_type: t3\.large/,
  },
  {
    name: 'an aws stage without the type of a repository server that it does not have',
    files: stage('provider: aws\ncidr: 10.0.0.0/24\nregion: eu-west-1\nseparate_repository: False\n'),
    at: ['inventory/hive.yml:5:5'],
    message: /'instance_type' is missing/,
  },
  {
    name: 'a network that is too large for AWS',
    files: stage(`provider: aws\ncidr: 10.0.0.0/8\n${awsRest}`),
    at: ['inventory/hive.yml:6:11'],
    message: /10\.0\.0\.0\/8 can't be a network of AWS/,
    instead: /from \/16 to \/28/,
  },
  {
    name: 'subnets of an aws stage outside of it, one in another, and in another region',
    files: stage(
      `provider: aws\ncidr: 10.0.0.0/24\n${awsRest}subnets:\n- {cidr: 10.9.0.0/26}\n- {cidr: 10.0.0.0/25, available_zone: us-east-1a}\n- {cidr: 10.0.0.64/26, available_zone: eu-west-1b}\n`,
    ),
    at: ['inventory/hive.yml:11:14', 'inventory/hive.yml:12:43', 'inventory/hive.yml:13:14'],
    message:
      /10\.9\.0\.0\/26 is not inside the stage's cidr 10\.0\.0\.0\/24|us-east-1a is no zone of the region eu-west-1|10\.0\.0\.64\/26 is a part of the subnet 10\.0\.0\.0\/25/,
  },
  {
    name: 'an address that is none',
    files: stage('provider: prepared\ncidr: 10.0.0.0/24\nip_address_list: [10.0.0.4, 10.0.0.400]\n'),
    at: ['inventory/hive.yml:7:33'],
    message: /is not an IPv4 address/,
  },
  {
    name: 'an address twice',
    files: stage('provider: prepared\ncidr: 10.0.0.0/24\nip_address_list: [10.0.0.4, 10.0.0.4]\n'),
    at: ['inventory/hive.yml:7:33'],
    message: /listed twice/,
  },
  {
    name: 'a template in a structural attribute',
    files: stage('provider: nspawn\ncidr: "{{ net }}"\n'),
    at: ['inventory/hive.yml:6:11'],
    message: /before templates are rendered/,
  },
  {
    name: 'a small internal_cidr',
    files: stage('provider: nspawn\ncidr: 10.0.0.0/24\ninternal_cidr: 10.1.0.0/26\n'),
    at: ['inventory/hive.yml:7:20'],
    message: /too small/,
  },
  {
    name: 'a shared repository that is not separate',
    files: stage('provider: nspawn\ncidr: 10.0.0.0/24\nseparate_repository: False\nshared_repository: {context_dir: x}\n'),
    at: ['inventory/hive.yml:8:24'],
    message: /needs separate_repository/,
  },
  {
    name: 'an unknown stage',
    files: stage('provider: nspawn\ncidr: 10.0.0.0/24\n', 'test'),
    at: ['inventory/hive.yml:3:1', 'inventory/hive.yml:4:3'],
    message: /unknown stage 'test'/,
  },
  {
    name: 'a stage that the site does not have',
    files: {},
    stage: 'production',
    at: ['inventory/hive.yml:3:1'],
    message: /no stage 'production' in this site/,
    instead: /private/,
  },
  { name: 'a stage that is none', files: {}, stage: 'prod', at: ['inventory:1:1'], message: /there is no stage 'prod'/ },
  { name: 'two hive definitions', files: { 'inventory/z.yml': hive }, at: ['inventory/z.yml:1:1'], message: /a hive definition already/ },
  { name: 'no hive definition', files: { 'inventory/hive.yml': 'a: 1\n' }, at: ['inventory:1:1'], message: /no hive definition/ },
  {
    name: 'text that is not YAML',
    files: { 'inventory/s.yml': 'plugin: hive_services\nservices:\n  a: [1\n  b: 2\n' },
    at: ['inventory/s.yml:4:3'],
    message: /not valid YAML/,
  },
  {
    name: 'a vault value',
    files: { 'inventory/group_vars/all.yml': 'a: !vault |\n  $ANSIBLE_VAULT;1.1\n' },
    at: ['inventory/group_vars/all.yml:1:11'],
    message: /ansible-vault/,
  },
  {
    name: 'an unknown service attribute',
    files: service(`${image}enviroment: {}\n`),
    at: ['inventory/s.yml:5:5'],
    message: /unknown service attribute 'enviroment'/,
    instead: /did you mean environment/,
  },
  {
    name: 'an anchor within itself',
    files: service(`${image}labels: &a {x: *a}\n`),
    at: ['inventory/s.yml:5:20'],
    message: /used within itself/,
  },
  {
    name: 'a second document',
    files: { 'inventory/s.yml': `${services('a:\n  image: a\n')}---\na: 1\n` },
    at: ['inventory/s.yml:5:1'],
    message: /second document/,
  },
  {
    name: 'aliases that make too much',
    files: {
      'inventory/group_vars/all.yml': Array.from(
        { length: 9 },
        (_, index) => `a${index}: &a${index} [${Array(9).fill(index === 0 ? 'x' : `*a${index - 1}`)}]\n`,
      ).join(''),
    },
    at: ['inventory/group_vars/all.yml:7:10'],
    message: /more than 1000000 values/,
  },
  {
    name: 'far too many hosts',
    files: stage('provider: nspawn\ncidr: 10.0.0.0/8\nnumber_of_hosts: 100000\n'),
    at: ['inventory/hive.yml:7:22'],
    message: /too many/,
  },
  {
    name: 'members of mappings, at their own places',
    files: service(`${image}placement:\n  constraints:\n  - a b\nhealthcheck:\n  test: x\n  interval: ten\nrestart_config:\n  max_attempts: many\n`),
    at: ['inventory/s.yml:7:9', 'inventory/s.yml:10:17', 'inventory/s.yml:12:21'],
    message: /no constraint/,
  },
  {
    name: 'an update policy that docker would not take',
    files: service(`${image}update_config:\n  order: start-last\n  max_failure_ratio: 2\n  paralelism: 1\nrollback_config:\n  failure_action: rollback\n`),
    at: ['inventory/s.yml:6:14', 'inventory/s.yml:7:26', 'inventory/s.yml:8:19', 'inventory/s.yml:10:23'],
    message: /unknown update_config key 'paralelism'/,
    instead: /parallelism/,
  },
  {
    name: 'secrets and configs that docker would not take',
    files: service(
      `${image}secrets:\n- name: a b\n  content: x\n- name: empty\n  content: ''\n- name: open\n  content: x\n  mode: 444\nconfigs:\n- name: c\n  content: x\n  target: etc/c\n`,
    ),
    at: ['inventory/s.yml:6:13', 'inventory/s.yml:9:16', 'inventory/s.yml:12:13', 'inventory/s.yml:16:15'],
    message: /'a b' is no name of a secret/,
  },
  { name: 'a service without an image', files: service('mode: global\n'), at: ['inventory/s.yml:4:5'], message: /'image' is missing/ },
  {
    name: 'a bad service name',
    files: { 'inventory/s.yml': services('my.web:\n  image: a\n') },
    at: ['inventory/s.yml:3:3'],
    message: /'my.web' is no service name/,
    instead: /my-web/,
  },
  { name: 'a reserved service name', files: { 'inventory/s.yml': services('hive-web:\n  image: a\n') }, at: ['inventory/s.yml:3:3'], message: /reserved/ },
  {
    name: 'an unknown stage in available_on',
    files: service(`${image}available_on: [staging, prod]\n`),
    at: ['inventory/s.yml:5:29'],
    message: /unknown stage 'prod'/,
  },
  {
    name: 'an unquoted base-60 port',
    files: service(`${image}ports:\n- 53:53\n`),
    at: ['inventory/s.yml:6:7'],
    message: /base-60 number 3233/,
    instead: /"53:53" in quotes/,
  },
  { name: 'a bare number as port', files: service(`${image}ports:\n- 80\n`), at: ['inventory/s.yml:6:7'], message: /as a number/, instead: /"80" in quotes/ },
  {
    name: 'an unknown protocol',
    files: service(`${image}ports:\n- "80:80/tpc"\n`),
    at: ['inventory/s.yml:6:7'],
    message: /unknown protocol 'tpc'/,
    instead: /mean tcp/,
  },
  { name: 'a range of ports', files: service(`${image}ports:\n- "80-90:80-90"\n`), at: ['inventory/s.yml:6:7'], message: /is no port/ },
  {
    name: 'an unknown port key',
    files: service(`${image}ports:\n- {target_port: 80, publish: 80}\n`),
    at: ['inventory/s.yml:6:25'],
    message: /unknown port key 'publish'/,
  },
  {
    name: 'a port published twice',
    files: { 'inventory/s.yml': services('a:\n  image: a\n  ports: ["80:80"]\nb:\n  image: b\n  ports: ["80:8080"]\n') },
    at: ['inventory/s.yml:8:13'],
    message: /80\/tcp is published by a already/,
  },
  {
    name: ':ro in a target',
    files: service(`${image}volumes:\n- {source: d, target: "/d:ro", type: volume}\n`),
    at: ['inventory/s.yml:6:27'],
    message: /':ro' is not a part/,
    instead: /readonly: True/,
  },
  {
    name: 'a compose volume',
    files: service(`${image}volumes:\n- data:/data:ro\n`),
    at: ['inventory/s.yml:6:7'],
    message: /must be a mapping/,
    instead: /source: data, target: \/data, type: volume, readonly: True/,
  },
  { name: 'no target', files: service(`${image}volumes:\n- {source: d, type: volume}\n`), at: ['inventory/s.yml:6:7'], message: /'target' is missing/ },
  { name: 'no source', files: service(`${image}volumes:\n- {target: /d, type: volume}\n`), at: ['inventory/s.yml:6:7'], message: /'source' is missing/ },
  {
    name: 'drbd and driver',
    files: service(`${image}volumes:\n- {source: dd, target: /d, type: volume, driver: local, drbd: {size: 1G, fstype: xfs}}\n`),
    at: ['inventory/s.yml:6:61'],
    message: /exclude each other/,
  },
  {
    name: 'an unknown drbd key',
    files: service(`${image}volumes:\n- {source: dd, target: /d, type: volume, drbd: {size: 1G, fstype: xfs, devid: 1}}\n`),
    at: ['inventory/s.yml:6:76'],
    message: /unknown drbd key 'devid'/,
  },
  {
    name: 'an unknown file system',
    files: service(`${image}volumes:\n- {source: dd, target: /d, type: volume, drbd: {size: 1G, fstype: xsf}}\n`),
    at: ['inventory/s.yml:6:71'],
    message: /unknown file system 'xsf'/,
    instead: /mean xfs/,
  },
  {
    name: 'a bad size',
    files: service(`${image}volumes:\n- {source: dd, target: /d, type: volume, drbd: {size: 50%VG, fstype: xfs}}\n`),
    at: ['inventory/s.yml:6:59'],
    message: /'50%VG' is no size/,
    instead: /500M/,
  },
  {
    name: 'an unknown diskless host',
    files: service(`${image}volumes:\n- {source: dd, target: /d, type: volume, drbd: {size: 1G, fstype: xfs, diskless: [p-hive9.test.example.com]}}\n`),
    at: ['inventory/s.yml:6:86'],
    message: /there is no host 'p-hive9/,
  },
  {
    name: 'a device id twice',
    files: service(
      `${image}volumes:\n- {source: dd, target: /d, type: volume, drbd: {size: 1G, fstype: xfs, device_id: 3}}\n- {source: ee, target: /e, type: volume, drbd: {size: 1G, fstype: xfs, device_id: 3}}\n`,
    ),
    at: ['inventory/s.yml:7:7'],
    message: /the device id 3 belongs to the volume 'dd'/,
  },
  {
    name: 'a volume defined in two ways',
    files: {
      'inventory/s.yml': services(
        'a:\n  image: a\n  volumes:\n  - {source: dd, target: /d, type: volume, drbd: {size: 1G, fstype: xfs}}\nb:\n  image: b\n  volumes:\n  - {source: dd, target: /d, type: volume, drbd: {size: 2G, fstype: xfs}}\n',
      ),
    },
    at: ['inventory/s.yml:10:7'],
    message: /defined differently at inventory\/s\.yml:6/,
  },
  {
    name: 'a list of words as environment',
    files: service(`${image}environment:\n- TZ JST-9\n`),
    at: ['inventory/s.yml:6:5'],
    message: /must be a mapping/,
    instead: /NAME: value/,
  },
  {
    name: 'pull_from without pull_on',
    files: service('image: {from: a, roles: [], pull_from: b}\n'),
    at: ['inventory/s.yml:4:33'],
    message: /no effect without 'pull_on'/,
  },
  { name: 'an image without from', files: service('image: {roles: []}\n'), at: ['inventory/s.yml:4:12'], message: /'from' is missing/ },
  {
    name: 'an unknown image attribute',
    files: service('image: {from: a, roles: [], role: b}\n'),
    at: ['inventory/s.yml:4:33'],
    message: /unknown image attribute 'role'/,
  },
  {
    name: 'a role that does not exist',
    files: { ...service('image: {from: a, roles: [web-init, python-aptk, a.b.c]}\n'), 'roles/web-initt/tasks/main.yml': '[]\n' },
    at: ['inventory/s.yml:4:30'],
    message: /there is no role 'web-init'/,
    instead: /mean web-initt/,
  },
  {
    name: 'a variable that is not defined',
    files: service(`${image}environment:\n  PASSWORD: "{{ db_pasword }}"\n`),
    at: ['inventory/s.yml:6:17'],
    message: /'db_pasword' is not defined/,
  },
  {
    name: 'a variable defined by itself',
    files: { ...service(`${image}environment:\n  A: "{{ a }}"\n`), 'inventory/group_vars/all.yml': 'a: "{{ b }}"\nb: "{{ a }}"\n' },
    at: ['inventory/group_vars/all.yml:1:4'],
    message: /defined by itself: a → b → a/,
  },
  { name: 'a template that does not parse', files: service(`${image}user: "{{ a"\n`), at: ['inventory/s.yml:5:11'], message: /in "\{\{ a"/ },
  {
    name: 'an undefined variable in a placement',
    files: service(`${image}placement:\n  constraints:\n  - node.hostname == {{ where }}\n`),
    at: ['inventory/s.yml:7:9'],
    message: /'where' is not defined/,
  },
  {
    name: 'an unknown lookup',
    files: service(`${image}user: "{{ lookup('url', 'x') }}"\n`),
    at: ['inventory/s.yml:5:11'],
    message: /lookup\('url'\) is not supported/,
  },
  {
    name: 'an encrypted password',
    files: service(`${image}user: "{{ lookup('password', 'x encrypt=sha512_crypt') }}"\n`),
    at: ['inventory/s.yml:5:11'],
    message: /encrypt is not supported/,
  },
  {
    name: 'a bad expression to watch for',
    files: service(`${image}monitor_error:\n- "(oops"\n`),
    at: ['inventory/s.yml:6:7'],
    message: /no regular expression/,
  },
  {
    name: 'an expression to watch for that rsyslog does not know',
    files: service(`${image}monitor_error:\n- 'code \\d+'\n`),
    at: ['inventory/s.yml:6:7'],
    message: /means the letter d in POSIX expressions; write \[0-9\]/,
  },
  {
    name: 'settings of logs that make no sense',
    files: { 'inventory/group_vars/all.yml': 'hive_log_retention_days: 0\nhive_syslog_relay_port: 10514\nhive_log_group: a b\nhive_syslog_port: 10514\n' },
    at: ['inventory/group_vars/all.yml:1:26', 'inventory/group_vars/all.yml:2:25', 'inventory/group_vars/all.yml:3:17'],
    message: /10514 is hive_syslog_port, too/,
  },
  {
    name: 'a bind without its place in the host',
    files: { 'inventory/group_vars/servers.yml': 'hive_nspawn_binds:\n- /srv/data:/data\n- /srv/data\n' },
    at: ['inventory/group_vars/servers.yml:3:3'],
    message: /'\/srv\/data' is no bind/,
    instead: /SOURCE:TARGET/,
  },
  { name: 'an unknown network', files: service(`${image}networks: [front]\n`), at: ['inventory/s.yml:5:16'], message: /there is no network 'front'/ },
  {
    name: 'replicas of a global service',
    files: service(`${image}mode: global\nreplicas: 2\n`),
    at: ['inventory/s.yml:6:15'],
    message: /a global service has no replicas/,
  },
  { name: 'an unknown mode', files: service(`${image}endpoint_mode: rr\n`), at: ['inventory/s.yml:5:20'], message: /'rr' is not possible/ },
  { name: 'a duration without a unit', files: service(`${image}stop_grace_period: ten\n`), at: ['inventory/s.yml:5:24'], message: /is no duration/ },
  { name: 'a memory limit that is none', files: service(`${image}mem_limit: lots\n`), at: ['inventory/s.yml:5:16'], message: /'lots' is no size/ },
  {
    name: 'an unknown network attribute',
    files: { 'inventory/s.yml': 'plugin: hive_services\nservices: {}\nnetworks:\n  n: {subnet: a}\n' },
    at: ['inventory/s.yml:4:7'],
    message: /unknown network attribute 'subnet'/,
  },
]

describe('a mistake is told with its place and what to write instead', () => {
  test('an aws stage is judged only where it is the one at hand, and a type may come from variables', async (context) => {
    const both = `plugin: hive_inventory
name: test.example.com
stages:
  private: {provider: nspawn, cidr: 10.88.0.0/24}
  staging: {provider: aws, cidr: 10.0.0.0/8}
`
    const root = siteFolder(context, { 'inventory/hive.yml': both, 'inventory/group_vars/all.yml': 'hive_instance_type: t3.small\n' })
    assert.deepEqual(await problemsOf(loadSite({ root, env: {}, stage: 'private' })), [])
    const messages = (await problemsOf(loadSite({ root, env: {}, stage: 'staging' }))).map(({ message }) => message)
    assert.deepEqual(messages, ["the attribute 'region' is missing", "10.0.0.0/8 can't be a network of AWS"])
  })

  for (const mistake of mistakes) {
    test(mistake.name, async (context) => {
      const root = siteFolder(context, mistake.files)
      const problems = await problemsOf(loadSite({ root, env: {}, ...(mistake.stage === undefined ? {} : { stage: mistake.stage }) }))
      assert.deepEqual(
        problems.map((problem) => `${problem.file}:${problem.line}:${problem.column}`),
        mistake.at,
        JSON.stringify(problems, null, 1),
      )
      assert.ok(
        problems.some((problem) => mistake.message.test(problem.message)),
        JSON.stringify(problems),
      )
      if (mistake.instead !== undefined)
        assert.ok(
          problems.some((problem) => mistake.instead?.test(problem.instead ?? '')),
          JSON.stringify(problems),
        )
    })
  }

  test('all of them at once', async (context) => {
    const root = siteFolder(context, {
      ...stage('provider: awz\ncidr: 10.0.0.1/24\n'),
      ...service('ports: [53:53]\nmod: global\nenvironment: {A: "{{ a }}", B: "{{ b }}"}\n'),
    })
    assert.deepEqual(
      (await problemsOf(loadSite({ root, env: {} }))).map((problem) => `${problem.file}:${problem.line}`),
      ['inventory/hive.yml:5', 'inventory/hive.yml:6', 'inventory/s.yml:4', 'inventory/s.yml:4', 'inventory/s.yml:5', 'inventory/s.yml:6', 'inventory/s.yml:6'],
    )
  })

  test('files that lead nowhere', async (context) => {
    const root = siteFolder(context, { 'inventory/group_vars/all.yml': '' })
    symlinkSync('nowhere.yml', join(root, 'inventory/s.yml'))
    symlinkSync('nowhere.yml', join(root, 'inventory/group_vars/hives.yml'))
    assert.deepEqual(
      (await problemsOf(loadSite({ root, env: {} }))).map((problem) => problem.file),
      ['inventory/group_vars/hives.yml', 'inventory/s.yml'],
    )
  })

  test('within a text of several lines, on the line of the template', async (context) => {
    const root = siteFolder(context, service(`${image}environment:\n  TEXT: |\n    one\n\n    two {{ missing }}\n`))
    assert.deepEqual(
      (await problemsOf(loadSite({ root, env: {} }))).map((problem) => `${problem.line}:${problem.column}`),
      ['9:16'],
    )
  })
})
