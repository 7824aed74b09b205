/** What is in the stage's context folder and hosts need. */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Site } from '../../inventory/site.ts'
import { acceptedAuthorities } from '../../pki/authorities.ts'
import { CertificateIndex, type Revocation } from '../../pki/certificate-index.ts'
import { readTextIfPresent } from '../../run/atomic-file.ts'

export interface SetupHostsFacts {
  /** The authorities of the stage: one, but while its CA is exchanged; '' while it has none, which is before build-infra. */
  readonly caPem: string
  /** Certificates that no host may accept. */
  readonly revoked: readonly Revocation[]
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
    caPem: acceptedAuthorities(site.contextDir),
    revoked: new CertificateIndex(join(site.contextDir, 'ca')).revoked(new Date()),
    publicKeys: [...new Set(keys)],
  }
}
