/** The site's variables as they are the same on every machine: without the folders of the machine they were read on. */
import type { AnsibleInventory } from '../inventory/ansible-inventory.ts'
import type { Site } from '../inventory/site.ts'

/** Variables that say where and how a command runs, not what the site is. The host that runs Ansible sets the folders anew. */
export const ofTheRun = new Set([
  'hive_root_dir',
  'hive_context_dir',
  'hive_playbooks_dir',
  'hive_temp_dir',
  'hive_local_python_path',
  'hive_repository_docker_socket',
  'hive_phase',
  'hive_verbose',
  'hive_halt',
  'hive_destroy',
  'hive_limit',
  'hive_no_format',
])

export interface PortableInventory {
  readonly groups: Readonly<Record<string, readonly string[]>>
  readonly hostVariables: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly extraVariables: Readonly<Record<string, unknown>>
}

/**
 * Paths inside the site's folder and the stage's context folder become references to hive_root_dir and
 * hive_context_dir, which Ansible resolves where it runs. Keys are sorted; members of groups keep their order.
 */
export function portableInventory(site: Pick<Site, 'root' | 'contextDir' | 'hosts' | 'ansibleInventory'>): PortableInventory {
  const inventory: AnsibleInventory = site.ansibleInventory()
  const places = [
    [site.contextDir, '{{ hive_context_dir }}'],
    [site.root, '{{ hive_root_dir }}'],
  ] as const
  const portable = (value: unknown): unknown => {
    if (typeof value === 'string') return places.reduce((text, [folder, variable]) => replacePath(text, folder, variable), value)
    if (Array.isArray(value)) return value.map(portable)
    if (typeof value === 'object' && value !== null) return Object.fromEntries(sorted(value).map(([key, entry]) => [key, portable(entry)]))
    return typeof value === 'bigint' ? Number(value) : value
  }
  const variables = (of: Readonly<Record<string, unknown>>): Record<string, unknown> =>
    Object.fromEntries(
      sorted(of)
        .filter(([name, value]) => !ofTheRun.has(name) && value !== undefined && typeof value !== 'symbol' && typeof value !== 'function')
        .map(([name, value]) => [name, portable(value)]),
    )
  const repository = site.hosts.find((host) => host.isRepository)
  return {
    groups: Object.fromEntries(sorted(inventory.groups)),
    hostVariables: Object.fromEntries(sorted(inventory.hostVariables).map(([name, of]) => [name, variables(of)])),
    extraVariables: variables({ ...inventory.extraVariables, hive_repository_address: repository?.address }),
  }
}

/** Whole path elements only: /srv/site does not touch /srv/site2. */
function replacePath(text: string, folder: string, variable: string): string {
  if (!text.includes(folder)) return text
  return text.split(folder).reduce((done, part) => done + (part === '' || /^[/\s'":,;)\]}]/.test(part) ? variable : folder) + part)
}

function sorted<T>(of: Readonly<Record<string, T>> | object): [string, T][] {
  return Object.entries(of as Record<string, T>).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
}
