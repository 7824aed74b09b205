import { join } from 'node:path'
import { defaultAdmin } from './host-settings.ts'
import type { PlannedHost } from './hosts.ts'
import { isMapping, type Mapping } from './mapping.ts'
import type { Settings } from './settings.ts'
import type { StageName } from './site.ts'
import { Computed } from './variables.ts'

export interface BuiltInContext {
  readonly stage: StageName
  readonly provider: string
  readonly contextDir: string
  readonly root: string
  readonly inventoryPath: string
  readonly repositoryHost: string
  readonly sharedRepository: boolean
  readonly hosts: readonly PlannedHost[]
  readonly settings: Settings
  /** Every service of the site, whatever its stages. */
  readonly allServices: readonly string[]
  get(inventoryName: string, variable: string): unknown
}

// Ports from here on are for the site's own use; smaller ones are open to the world.
const firstInternalPort = 10_000

/** Values that roles of hive-builder derive and sites read (`hive_safe_*` and the like), in the context of each host. */
export const derivedVariables = (context: BuiltInContext): Mapping => {
  const or = (variable: string, otherwise: unknown): Computed => new Computed((host) => known(context.get(host, variable)) ?? otherwise)
  const fqdn = context.sharedRepository ? 'shared-repository' : context.repositoryHost
  const published = (protocol: string): Computed =>
    new Computed(() => {
      const ports = new Set<string>()
      for (const service of context.allServices) {
        const list = context.get(service, 'hive_ports')
        for (const port of Array.isArray(list) ? list : []) {
          const number = isMapping(port) && (port['protocol'] ?? 'tcp') === protocol ? Number(port['published_port']) : Number.NaN
          if (number < firstInternalPort) ports.add(String(number))
        }
      }
      return [...ports]
    })
  return {
    hive_safe_email: or('hive_email', 'hive@example.com'),
    hive_safe_docker_login_user: or('hive_docker_login_user', 'hive'),
    hive_safe_need_libselinux: or('hive_need_libselinux', false),
    hive_safe_python_revision: or('hive_python_revision', '3'),
    hive_safe_python_command: new Computed((host) => `/usr/bin/python${String(context.get(host, 'hive_safe_python_revision'))}`),
    hive_safe_admin: or('hive_admin', defaultAdmin(context.provider)),
    hive_home_dir: new Computed((host) => `/home/${String(context.get(host, 'hive_safe_admin'))}`),
    hive_registry_fqdn: fqdn,
    hive_registry: new Computed((host) => `${fqdn}:${String(known(context.get(host, 'hive_registry_port')) ?? 5000)}`),
    hive_published_ports_tcp: published('tcp'),
    hive_published_ports_udp: published('udp'),
    hive_safe_sshd_port: or('hive_sshd_port', 22),
    hive_safe_syslog_port: or('hive_syslog_port', 10514),
    hive_safe_selinux: or('hive_selinux', 'permissive'),
    hive_safe_shared_repository_ports: context.sharedRepository ? [2376, 2377, 10050] : [],
    hive_safe_private_key_path: or('hive_private_key_path', join(context.contextDir, 'id_rsa')),
    hive_safe_public_key_path: new Computed(
      (host) => known(context.get(host, 'hive_public_key_path')) ?? `${String(context.get(host, 'hive_safe_private_key_path'))}.pub`,
    ),
    hive_safe_ca_dir: join(context.contextDir, 'ca'),
    hive_safe_tls_dir: '/etc/pki/tls',
  }
}

const known = (value: unknown): unknown => (typeof value === 'symbol' || value === null ? undefined : value)

/** What hive-builder's command line hands to Ansible: stronger than everything else. */
export const extraVariables = (context: BuiltInContext): Mapping => {
  const { settings } = context
  const values: Record<string, unknown> = {
    hive_root_dir: context.root,
    hive_stage: context.stage,
    hive_context_dir: context.contextDir,
    hive_temp_dir: settings.get('temp_dir'),
    hive_playbooks_dir: settings.get('playbooks_dir') ?? context.root,
    hive_verbose: settings.get('verbose'),
    hive_no_format: settings.get('no_format'),
    hive_zabbix_backup_cleanup_days_before: settings.get('zabbix_backup_cleanup_days_before'),
    hive_registry_backup_cleanup_days_before: settings.get('registry_backup_cleanup_days_before'),
    hive_http_proxy: settings.get('http_proxy'),
    hive_http_proxy_port: settings.get('http_proxy_port'),
    hive_vagrant_proxy: settings.get('vagrant_proxy'),
    hive_registry_mirror: settings.get('registry_mirror'),
    hive_pip_index_url: settings.get('pip_index_url'),
    hive_pip_trusted_host: settings.get('pip_trusted_host'),
    hive_tls_logging: settings.get('tls_logging'),
  }
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== null))
}
