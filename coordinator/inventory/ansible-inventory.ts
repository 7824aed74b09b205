/** The site as Ansible's own static inventory: what the site's roles see as `groups` and `hostvars`. */
export interface AnsibleInventory {
  /** Group → members. Includes services, images, networks, volumes, stages, hives, repository, servers, mother … */
  readonly groups: Readonly<Record<string, readonly string[]>>
  /** Host or pseudo-host → its variables, all precedence levels merged, templates resolved where they could be. */
  readonly hostVariables: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** hive_stage, hive_name, hive_context_dir … */
  readonly extraVariables: Readonly<Record<string, unknown>>
}
