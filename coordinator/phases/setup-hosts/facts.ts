/** What is in the stage's context folder and hosts need. */
import { join } from 'node:path'
import type { Site } from '../../inventory/site.ts'
import { readTextIfPresent } from '../../run/atomic-file.ts'

export interface SetupHostsFacts {
  /** The CA of the stage; '' while it has none, which is before build-infra. */
  readonly caPem: string
  /** Public ssh keys of the administrator, as lines of authorized_keys. */
  readonly publicKeys: readonly string[]
}

export function readFacts(site: Site): SetupHostsFacts {
  const given = site.hosts.map((host) => site.variable(host.name, 'hive_public_key_path')).find((value) => typeof value === 'string')
  const keyFile = typeof given === 'string' && given !== '' ? given : join(site.contextDir, 'id_rsa.pub')
  return {
    caPem: readTextIfPresent(join(site.contextDir, 'ca', 'cacert.pem')) ?? '',
    publicKeys: (readTextIfPresent(keyFile) ?? '')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#')),
  }
}
