import { existsSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { HiveError } from '../../proto/errors.ts'
import { isMapping } from './mapping.ts'
import { type Persistents, readPersistents, updatePersistents } from './persistents.ts'
import { type StageName, stageNames } from './site.ts'
import { isStageName } from './stages.ts'
import { nearest } from './suggest.ts'

export type SettingScope = 'global' | 'stage' | 'none'
export type SettingType = 'text' | 'boolean' | 'integer' | 'stage' | 'directory' | 'mapping' | 'phase'

export interface SettingDefinition {
  readonly name: string
  readonly scope: SettingScope
  readonly type: SettingType
  /** `{root_dir}`, `{stage}` and other settings are filled in. */
  readonly default: unknown
}

export const phaseNames = ['build-infra', 'setup-hosts', 'build-images', 'build-volumes', 'build-networks', 'deploy-services', 'initialize-services'] as const

const setting = (name: string, scope: SettingScope, type: SettingType, otherwise?: unknown): SettingDefinition => ({ name, scope, type, default: otherwise })

export const settingDefinitions: readonly SettingDefinition[] = [
  setting('stage', 'global', 'stage', 'private'),
  setting('inventory_path', 'global', 'directory', '{root_dir}/inventory'),
  setting('context_dir', 'stage', 'text', '{root_dir}/.hive/{stage}'),
  setting('temp_dir', 'stage', 'text', '/var/tmp/hive'),
  setting('inventory_plugins', 'global', 'text', '{root_dir}/plugins/inventory'),
  setting('filter_plugins', 'global', 'text', '{root_dir}/plugins/filter'),
  setting('library', 'global', 'text', '{root_dir}/lib'),
  setting('roles_path', 'global', 'text', '{root_dir}/roles:{context_dir}/roles'),
  setting('collections_path', 'global', 'text', '{root_dir}/.collections:{context_dir}/collections'),
  setting('enable_plugins', 'global', 'text'),
  setting('playbooks_dir', 'global', 'text'),
  setting('unparsed_is_failed', 'global', 'boolean', true),
  setting('pipelining', 'global', 'boolean', true),
  setting('force_handlers', 'global', 'boolean', true),
  setting('retries', 'global', 'integer', 0),
  setting('forks', 'global', 'integer', 5),
  setting('interpreter_python', 'global', 'text', 'auto_silent'),
  setting('timeout', 'global', 'integer'),
  setting('stdout_callback', 'global', 'text', 'default'),
  setting('ssh_args', 'global', 'text', '-F {context_dir}/ssh_config -o ControlMaster=auto -o ControlPersist=60s'),
  setting('verbose', 'stage', 'boolean', false),
  setting('start_phase', 'stage', 'phase', 'build-infra'),
  setting('no_format', 'global', 'boolean', false),
  setting('first_hive', 'stage', 'integer', 0),
  setting('aws_access_key_id', 'stage', 'text'),
  setting('aws_secret_access_key', 'stage', 'text'),
  setting('azure_client_id', 'stage', 'text'),
  setting('azure_secret', 'stage', 'text'),
  setting('azure_subscription_id', 'stage', 'text'),
  setting('azure_tenant', 'stage', 'text'),
  setting('foward_zabbix', 'stage', 'boolean', false),
  setting('foward_zabbix_port', 'stage', 'integer', 10052),
  setting('port_forwarding', 'stage', 'text'),
  setting('drbd_device_map', 'stage', 'mapping', {}),
  setting('published_port_map', 'stage', 'mapping', {}),
  setting('zabbix_backup_cleanup_days_before', 'global', 'integer', 3),
  setting('registry_backup_cleanup_days_before', 'global', 'integer', 3),
  setting('http_proxy', 'stage', 'text'),
  setting('http_proxy_port', 'stage', 'text', '3128'),
  setting('vagrant_proxy', 'stage', 'text'),
  setting('registry_mirror', 'stage', 'text'),
  setting('pip_index_url', 'stage', 'text'),
  setting('pip_trusted_host', 'stage', 'text'),
  setting('tls_logging', 'stage', 'boolean', false),
  setting('vagrant_box_name', 'global', 'text', 'almalinux/9'),
  setting('halt', 'none', 'boolean'),
  setting('destroy', 'none', 'boolean'),
  setting('check_mode', 'none', 'boolean'),
  setting('phase', 'none', 'text'),
  setting('root_dir', 'none', 'text'),
  setting('local_python_path', 'none', 'text'),
]

const definitionOf = (name: string): SettingDefinition => {
  const found = settingDefinitions.find((definition) => definition.name === name)
  if (found !== undefined) return found
  const names = settingDefinitions.filter((definition) => definition.scope !== 'none').map((definition) => definition.name)
  const near = nearest(name, names)
  throw new HiveError('invalid-input', `there is no variable '${name}'`, {
    hint: `${near === undefined ? '' : `did you mean ${near}? `}there are: ${names.join(', ')}`,
  })
}

const wrong = (name: string, value: string, instead: string): never => {
  throw new HiveError('invalid-input', `'${value}' can't be the value of ${name}`, { hint: instead })
}

const cast = (definition: SettingDefinition, value: string, root: string): unknown => {
  switch (definition.type) {
    case 'text':
      return value
    case 'boolean':
      if (/^(?:true|yes|on|1|t|y)$/i.test(value)) return true
      return /^(?:false|no|off|0|f|n)$/i.test(value) ? false : wrong(definition.name, value, 'write true or false')
    case 'integer':
      return /^-?\d+$/.test(value) ? Number(value) : wrong(definition.name, value, 'write a whole number')
    case 'stage':
      return isStageName(value) ? value : wrong(definition.name, value, `write one of ${stageNames.join(', ')}`)
    case 'phase':
      return phaseNames.some((phase) => phase === value) ? value : wrong(definition.name, value, `write one of ${phaseNames.join(', ')}`)
    case 'directory': {
      const path = resolve(root, value)
      return existsSync(path) && statSync(path).isDirectory() ? value : wrong(definition.name, value, 'name a folder that exists')
    }
    case 'mapping':
      return jsonMapping(definition.name, value)
  }
}

const jsonMapping = (name: string, value: string): unknown => {
  try {
    const parsed: unknown = JSON.parse(value)
    if (isMapping(parsed)) return parsed
  } catch {
    // Told below, together with JSON that is no object.
  }
  return wrong(name, value, 'write a JSON object, as {"data": 1}')
}

/** Settings of one site and stage: what is persisted, else the defaults. */
export interface Settings {
  readonly stage: StageName
  /** Throws HiveError `invalid-input` for a name that does not exist. */
  get(name: string): unknown
  /** Every setting that can be persisted, in the order of their definition. */
  all(): readonly { readonly name: string; readonly value: unknown; readonly scope: SettingScope; readonly isDefault: boolean }[]
}

const persisted = (persistents: Persistents, definition: SettingDefinition, stage: StageName): unknown =>
  persistents[definition.name]?.[stage] ?? persistents[definition.name]?.['global']

/** Reads the persisted settings. `stage`: the one set, else private. */
export const loadSettings = (root: string, stage?: string): Settings => {
  const persistents = readPersistents(root)
  const chosen = stage ?? persistents['stage']?.['global'] ?? 'private'
  if (!isStageName(chosen)) throw new HiveError('invalid-input', `there is no stage '${String(chosen)}'`, { hint: `there are: ${stageNames.join(', ')}` })
  const valueFor = (name: string, depth = 0): unknown => {
    if (name === 'root_dir') return resolve(root)
    if (name === 'stage') return chosen
    const definition = definitionOf(name)
    const value = persisted(persistents, definition, chosen) ?? definition.default
    return typeof value === 'string' && depth < 10 ? value.replace(/\{(\w+)\}/g, (whole, inner: string) => inserted(whole, inner, depth)) : value
  }
  const inserted = (whole: string, inner: string, depth: number): string =>
    inner === 'root_dir' || settingDefinitions.some((definition) => definition.name === inner) ? String(valueFor(inner, depth + 1) ?? '') : whole
  return {
    stage: chosen,
    get: (name) => valueFor(definitionOf(name).name),
    all: () =>
      settingDefinitions
        .filter((definition) => definition.scope !== 'none')
        .map((definition) => ({
          name: definition.name,
          value: valueFor(definition.name),
          scope: definition.scope,
          isDefault: persisted(persistents, definition, chosen) === undefined,
        })),
  }
}

/** Persists a setting, under its scope, cast to its type. Throws HiveError `invalid-input`; answers what was stored. */
export const setSetting = async (root: string, name: string, value: string, stage?: string): Promise<unknown> => {
  const definition = definitionOf(name)
  if (definition.scope === 'none') throw new HiveError('invalid-input', `${name} can't be persisted`, { hint: 'give it on the command line' })
  const scope = definition.scope === 'global' ? 'global' : loadSettings(root, stage).stage
  const stored = cast(definition, value, root)
  await updatePersistents(root, (now) => ({ next: { ...now, [name]: { ...now[name], [scope]: stored } }, answer: undefined }))
  return stored
}

/** The folder of a stage's keys, certificates and journals. */
export const contextDirOf = (root: string, stage: StageName): string =>
  resolve(root, String(loadSettings(root, stage).get('context_dir') ?? join('.hive', stage)))
