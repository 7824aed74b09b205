import type { Mapping } from './mapping.ts'
import { Computed, VariableError, type Variables } from './variables.ts'
import { UnsafeText } from './yaml-source.ts'

/** The site as Ansible's own static inventory: what the site's roles see as `groups` and `hostvars`. */
export interface AnsibleInventory {
  /** Group → members. Includes services, images, networks, volumes, stages, hives, repository, servers, mother … */
  readonly groups: Readonly<Record<string, readonly string[]>>
  /** Host or pseudo-host → its variables, all precedence levels merged, templates resolved where they could be. */
  readonly hostVariables: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** hive_stage, hive_name, hive_context_dir … */
  readonly extraVariables: Readonly<Record<string, unknown>>
}

/**
 * Exports all hosts' variables. Templates that can't be rendered here (they need facts of a host) stay templates, for
 * Ansible to render; `omit` leaves the variable out; what must not be rendered is marked as Ansible does it.
 */
export const exportInventory = (variables: Variables, groups: ReadonlyMap<string, readonly string[]>, extra: Mapping): AnsibleInventory => {
  const given = new Set([
    ...Object.keys(extra),
    'inventory_hostname',
    'inventory_hostname_short',
    'inventory_dir',
    'inventory_file',
    'playbook_dir',
    'groups',
    'group_names',
  ])
  const hostVariables: Record<string, Record<string, unknown>> = {}
  for (const name of groups.get('all') ?? []) {
    const values: Record<string, unknown> = {}
    for (const [variable, raw] of Object.entries(variables.raw(name))) {
      if (given.has(variable)) continue
      const value = exported(variables, name, variable, raw)
      if (value !== undefined && typeof value !== 'symbol') values[variable] = value
    }
    hostVariables[name] = values
  }
  return { groups: Object.fromEntries(groups), hostVariables, extraVariables: extra }
}

const exported = (variables: Variables, name: string, variable: string, raw: unknown): unknown => {
  if (raw instanceof UnsafeText) return { __ansible_unsafe: raw.text }
  try {
    return variables.getWhole(name, variable)
  } catch (thrown) {
    if (thrown instanceof VariableError) return raw instanceof Computed ? undefined : raw
    throw thrown
  }
}
