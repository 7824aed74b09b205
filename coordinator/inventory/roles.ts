import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Converter } from './convert.ts'
import { isMapping } from './mapping.ts'
import { Findings } from './problems.ts'
import { didYouMean } from './suggest.ts'
import { readYaml } from './yaml-source.ts'

export const builtinRoles = [
  'python-aptk',
  'hive-syslog',
  'hive-certificate',
  'hive-trust-ca',
  'hive-trust-ca-alpine',
  'hive-trust-ca-centos',
  'hive-trust-ca-ubuntu',
  'addon',
  'addon2',
] as const

/** Names of the roles in requirements.yml, in both of ansible-galaxy's forms; none where it can't be read. */
const requiredRoles = (root: string): readonly string[] => {
  const path = join(root, 'requirements.yml')
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return []
  const content = readYaml(readFileSync(path, 'utf8'), 'requirements.yml', new Findings())
  const roles: unknown = isMapping(content) ? content['roles'] : content
  return (Array.isArray(roles) ? roles : []).flatMap((role: unknown) => {
    const name = isMapping(role) ? (role['name'] ?? role['role'] ?? role['src']) : role
    return typeof name === 'string' ? [name] : []
  })
}

/**
 * Answers a check that reports roles which neither the site nor hive has. `namespace.collection.role` is Ansible's to find.
 * A site without any roles folder (an inventory taken out of its site) is only told of it: it can be shown and planned.
 * Roles that the site's requirements.yml names are installed before they are used.
 */
export const roleCheck = (root: string, folders: readonly string[]): ((roles: readonly string[], read: Converter, variable: string) => void) => {
  const known = new Set<string>([...builtinRoles, ...requiredRoles(root)])
  const hasRoles = folders.some((folder) => existsSync(folder))
  for (const folder of folders) {
    if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) continue
    for (const entry of readdirSync(folder, { withFileTypes: true })) if (entry.isDirectory() || entry.isSymbolicLink()) known.add(entry.name)
  }
  return (roles, read, variable) => {
    roles.forEach((role, index) => {
      if (known.has(role) || role.split('.').length >= 3 || folders.some((folder) => role.includes('/') && existsSync(join(folder, role)))) return
      if (!hasRoles) {
        read.notice(variable, `there is no role '${role}': the site has no roles folder`)
        return
      }
      read.wrong(
        variable,
        `there is no role '${role}'`,
        `make the folder roles/${role}, or correct the name; ${didYouMean(role, known)}`,
        read.within(variable, index),
      )
    })
  }
}
