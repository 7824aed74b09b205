/** Roles that the inventory asks for and the site does not have, told before anything is begun. */
import type { Site } from '../inventory/site.ts'
import { rolesWithDependencies } from './roles.ts'

/** One sentence for each, empty when all are there. */
export async function missingRoles(site: Pick<Site, 'root' | 'contextDir'>, what: string, roles: readonly string[]): Promise<readonly string[]> {
  const { missing } = await rolesWithDependencies(site, roles)
  return missing.map((role) => `${what}: there is no role ${role} in the site's roles folder`)
}
