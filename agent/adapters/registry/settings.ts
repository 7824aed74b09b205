/** What setup-hosts left on the registry's host for its upkeep, /etc/hive-agent/registry.json. It holds the registry's password. */
import type { EnsureRegistryUpkeep } from '#gen/hive/v1/steps_registry.ts'
import { HiveError } from '../../../proto/errors.ts'
import { type FileProperties, readFileState, writeFileAtomic } from '../files.ts'

export const settingsPath = '/etc/hive-agent/registry.json'

export type RegistrySettings = Omit<EnsureRegistryUpkeep, '$type'>

const properties: FileProperties = { mode: 0o600, uid: 0, gid: 0 }

/** Always the same bytes. */
export const renderSettings = ({ server, user, password, at, keep, used, repositories, managers }: RegistrySettings): string =>
  `${JSON.stringify({ server, user, password, at, keep, used, repositories, managers }, null, 2)}\n`

/** undefined where this host has no registry to look after. Throws HiveError 'invalid-input' for a damaged file. */
export async function readSettings(path = settingsPath): Promise<RegistrySettings | undefined> {
  const state = await readFileState(path)
  if (state === undefined) return undefined
  try {
    const found = JSON.parse(state.content.toString('utf8')) as Partial<RegistrySettings>
    return {
      server: String(found.server),
      user: String(found.user),
      password: String(found.password),
      at: String(found.at ?? ''),
      keep: Number(found.keep),
      used: [...(found.used ?? [])].map(String),
      repositories: [...(found.repositories ?? [])].map(String),
      managers: [...(found.managers ?? [])].map(({ host, address, port }) => ({ host: String(host), address: String(address), port: Number(port) })),
    }
  } catch (cause) {
    throw new HiveError('invalid-input', `${path} is damaged`, { hint: '`hivecoord setup-hosts` writes it anew', cause })
  }
}

/** Whether the file has these settings, and belongs to root alone. */
export async function settingsFit(settings: RegistrySettings, path = settingsPath): Promise<boolean> {
  const state = await readFileState(path)
  return state?.content.toString('utf8') === renderSettings(settings) && state.mode === properties.mode && state.uid === properties.uid
}

export const writeSettings = (settings: RegistrySettings, path = settingsPath): Promise<void> => writeFileAtomic(path, renderSettings(settings), properties)
