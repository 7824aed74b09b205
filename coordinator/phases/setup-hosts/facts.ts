/** What is in the stage's context folder and hosts need. */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Site } from '../../inventory/site.ts'
import { readTextIfPresent } from '../../run/atomic-file.ts'

export interface SetupHostsFacts {
  /** The CA of the stage; '' while it has none, which is before build-infra. */
  readonly caPem: string
  /** Public ssh keys of the administrator, as lines of authorized_keys. */
  readonly publicKeys: readonly string[]
}

/**
 * The stage's own key is always among them: the bootstrap logs in with it when root no longer may. The one that hive_public_key_path
 * names comes on top; a path that starts with ~ is in the home folder, another relative one in the site's.
 */
export function readFacts(site: Site): SetupHostsFacts {
  const given = site.hosts.map((host) => site.variable(host.name, 'hive_public_key_path')).find((value) => typeof value === 'string' && value !== '')
  const files = [join(site.contextDir, 'id_rsa.pub'), ...(typeof given === 'string' ? [resolve(site.root, given.replace(/^~(?=\/)/, homedir()))] : [])]
  const keys = files
    .flatMap((file) => (readTextIfPresent(file) ?? '').split('\n'))
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
  return {
    caPem: readTextIfPresent(join(site.contextDir, 'ca', 'cacert.pem')) ?? '',
    publicKeys: [...new Set(keys)],
  }
}
