/** Where a site's roles are, and which other roles they bring along. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import type { Site } from '../inventory/site.ts'
import { builtInRoles } from './builtin-roles.ts'
import { type TreeFile, treeFiles } from './tree.ts'

export interface Role {
  readonly name: string
  readonly builtIn: boolean
  /** Paths relative to the role's folder. */
  readonly files: readonly TreeFile[]
}

export interface RoleFiles {
  readonly roles: ReadonlyMap<string, Role>
  /** Some role includes others by a name that is only known while it runs: then all roles of the site count. */
  readonly open: boolean
  /** Roles that are nowhere, and who wants them: "powerdns (wanted by the inventory)". */
  readonly missing: readonly string[]
}

/** Folders in the order Ansible looks them up, the built-in roles between them. */
const ownFolder = (site: Pick<Site, 'root'>): string => join(site.root, 'roles')
const contextFolder = (site: Pick<Site, 'contextDir'>): string => join(site.contextDir, 'roles')

/** True where the site has a role of this name itself, so that it replaces a built-in one. */
export const siteHasRole = (site: Pick<Site, 'root' | 'contextDir'>, name: string): boolean =>
  [ownFolder(site), contextFolder(site)].some((folder) => existsSync(join(folder, name)))

/** A role's files, where the first place that has it is; undefined where none has. */
async function findRole(site: Pick<Site, 'root' | 'contextDir'>, name: string): Promise<Omit<Role, 'name'> | undefined> {
  const own = join(ownFolder(site), name)
  if (existsSync(own)) return { builtIn: false, files: await treeFiles(own) }
  const builtIn = (await builtInRoles()).filter(({ path }) => path.startsWith(`${name}/`))
  if (builtIn.length > 0) return { builtIn: true, files: builtIn.map((file) => ({ ...file, path: file.path.slice(name.length + 1) })) }
  const made = join(contextFolder(site), name)
  return existsSync(made) ? { builtIn: false, files: await treeFiles(made) } : undefined
}

/** These roles and all they depend on or include. Roles of collections (a.b.c) are not looked into. */
export async function rolesWithDependencies(site: Pick<Site, 'root' | 'contextDir'>, names: readonly string[]): Promise<RoleFiles> {
  const roles = new Map<string, Role>()
  const missing: string[] = []
  let open = false
  const waiting = names.map((name) => ({ name, wantedBy: 'the inventory' }))
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { name, wantedBy } = next
    if (roles.has(name) || isCollectionRole(name)) continue
    const found = await findRole(site, name)
    if (found === undefined) {
      missing.push(`${name} (wanted by ${wantedBy})`)
      continue
    }
    roles.set(name, { name, ...found })
    const mentioned = found.files.flatMap(mentionedRoles)
    if (mentioned.includes(undefined)) open = true
    for (const other of mentioned) if (other !== undefined) waiting.push({ name: other, wantedBy: `role ${name}` })
  }
  return { roles: new Map([...roles].sort(([a], [b]) => (a < b ? -1 : 1))), open, missing: [...new Set(missing)].sort() }
}

const isCollectionRole = (name: string): boolean => /^\w+\.\w+\.\w+$/.test(name)

/** Names of the roles that a YAML file of a role names; undefined among them for one that only a template knows. */
export function mentionedRoles(file: Pick<TreeFile, 'path' | 'content'>): readonly (string | undefined)[] {
  const text = file.content.toString('utf8')
  const meta = /^meta\/main\.ya?ml$/.test(file.path)
  if (!/\.ya?ml$/.test(file.path) || !(meta || /(?:include|import)_role/.test(text))) return []
  const names: (string | undefined)[] = []
  const add = (name: unknown): void => {
    if (typeof name === 'string') names.push(name.includes('{{') ? undefined : name)
  }
  const walk = (node: unknown): void => {
    if (Array.isArray(node)) for (const entry of node) walk(entry)
    if (typeof node !== 'object' || node === null || Array.isArray(node)) return
    for (const [key, value] of Object.entries(node)) {
      if (/(?:^|\.)(?:include|import)_role$/.test(key))
        add(typeof value === 'string' ? /\bname=(\S+)/.exec(value)?.[1] : (value as Record<string, unknown> | null)?.['name'])
      walk(value)
    }
  }
  for (const tree of parsed(text)) {
    if (meta) {
      const dependencies = (tree as Record<string, unknown> | null)?.['dependencies']
      if (Array.isArray(dependencies)) for (const entry of dependencies) add(typeof entry === 'string' ? entry : (entry?.role ?? entry?.name))
    }
    walk(tree)
  }
  return names
}

/** What can be read of it; a file that is no YAML (or has Ansible's own tags) is Ansible's to complain about. */
function parsed(text: string): readonly unknown[] {
  try {
    return parseAllDocuments(text, { logLevel: 'silent', strict: false, uniqueKeys: false }).map((document: { toJS(): unknown }) => document.toJS())
  } catch {
    return []
  }
}
