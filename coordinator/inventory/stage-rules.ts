import { isMapping, type Mapping } from './mapping.ts'
import type { Findings } from './problems.ts'
import type { StageReader } from './stage-reader.ts'
import { didYouMean } from './suggest.ts'
import { joined, keyAt, startOf } from './yaml-source.ts'

const clouds = ['aws', 'azure', 'gcp', 'openstack']
const kickstartKeys = ['iso_src', 'iso_dest', 'target', 'networks']
const kickstartNetworkKeys = ['interface', 'gateway', 'nameservers', 'ips', 'netmask', 'vlanid', 'bonding_interfaces', 'bonding_options']
const sharedRepositoryKeys = [
  'context_dir',
  'ssh_port',
  'dns_address',
  'zabbix_server_port',
  'zabbix_web_port',
  'zabbix_agent_port',
  'registry_port',
  'syslog_port',
]

/** Which attributes go with which provider. */
export const checkProviderRules = (reader: StageReader, source: Mapping, provider: string | undefined): void => {
  if (provider === undefined) return
  const only = (key: string, allowed: boolean, where: string): void => {
    if (reader.has(key) && !allowed) reader.keyWrong(key, `'${key}' can't be used with provider ${provider}`, `remove it; it is for ${where}`)
  }
  const local = provider === 'vagrant' || provider === 'nspawn'
  only('instance_type', !local, 'cloud providers')
  only('region', !local, 'cloud providers')
  only('memory_size', !clouds.includes(provider), 'vagrant, nspawn, prepared and kickstart; use instance_type here')
  only('repository_memory_size', local, 'vagrant and nspawn')
  only('bridge', provider === 'vagrant' || source['bridge'] === '', 'vagrant')
  only('dev', provider === 'vagrant' || source['dev'] === '', 'vagrant')
  only('prepared_resource_group', provider === 'azure', 'azure')
  only('not_support_az', provider === 'azure', 'azure')
  only('kickstart_config', provider === 'kickstart', 'kickstart')
  if (provider === 'kickstart' && !reader.has('kickstart_config')) {
    reader.keyWrong('provider', "provider kickstart needs 'kickstart_config'", 'add kickstart_config: {iso_src: …, iso_dest: …, networks: […]}')
  }
  for (const key of ['disk_encrypted', 'repository_disk_encrypted', 'mirrored_disk_encrypted']) {
    if (reader.flag(key, false) && !reader.has('kms_key_id')) reader.wrong(key, `'${key}' needs 'kms_key_id'`, 'add kms_key_id: the ARN of the key')
  }
}

export const checkKeys = (value: unknown, allowed: readonly string[], path: string, findings: Findings): void => {
  if (!isMapping(value)) return
  for (const key of Object.keys(value)) {
    if (!allowed.includes(key)) findings.problem(keyAt(value, key), joined(path, key), `unknown key '${key}'`, didYouMean(key, allowed))
  }
}

/** The mappings within a stage. */
export const checkNested = (reader: StageReader, source: Mapping, path: string, findings: Findings): void => {
  checkKeys(source['kickstart_config'], kickstartKeys, `${path}.kickstart_config`, findings)
  const config = source['kickstart_config']
  const networks = isMapping(config) && Array.isArray(config['networks']) ? config['networks'] : []
  networks.forEach((network, index) => {
    checkKeys(network, kickstartNetworkKeys, `${path}.kickstart_config.networks[${index}]`, findings)
    if (isMapping(network) && network['interface'] === undefined) {
      findings.problem(
        startOf(network),
        `${path}.kickstart_config.networks[${index}]`,
        "the key 'interface' is missing",
        'add interface: the device name, as ens192',
      )
    }
  })
  const shared = source['shared_repository']
  checkKeys(shared, sharedRepositoryKeys, `${path}.shared_repository`, findings)
  if (isMapping(shared) && shared['context_dir'] === undefined)
    reader.wrong('shared_repository', "the key 'context_dir' is missing", 'add context_dir: the folder of the shared repository')
}
