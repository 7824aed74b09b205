/** The site's own hooks on its servers: roles `addon` and `addon2`, applied to each host where the site has them. */
import type { Step } from '#gen/hive/v1/step.ts'
import type { PhaseName } from '../events.ts'
import type { Host, Site } from '../inventory/site.ts'
import { type Blob, step } from '../phases/phase.ts'
import { ansibleContent } from './content.ts'
import { rolesKey } from './content-tag.ts'
import { siteHasRole } from './roles.ts'

export interface HostRoles {
  readonly steps: readonly Step[]
  readonly blobs: readonly Blob[]
}

/**
 * Steps that apply the hook on one host, with their needs; none where the site leaves the hook as it is built in,
 * which does nothing. Applied again when the role or the host's variables change.
 */
export async function hookSteps(
  site: Site,
  phase: PhaseName,
  host: Pick<Host, 'name'>,
  hook: 'addon' | 'addon2',
  options: { readonly needs?: readonly string[]; readonly always?: boolean } = {},
): Promise<HostRoles> {
  if (!siteHasRole(site, hook)) return { steps: [], blobs: [] }
  const { content, blob } = await ansibleContent(site, [hook])
  const value = {
    target: host.name,
    inContainer: false,
    roles: [hook],
    content,
    contentKey: await rolesKey(site, host.name, [hook]),
    always: options.always === true,
  }
  const needs = [...(options.needs ?? [])]
  const hooked = step(phase, hook, host.name, `apply the site's role ${hook}`, 'runRoles', value, { needs, timeoutSeconds: 1800 })
  return { steps: [hooked], blobs: [blob] }
}
