/** The private registry's files, in the places that Debian's docker-registry package has for them. Pure but for the password's hash. */
import bcrypt from 'bcryptjs'
import { parse, stringify } from 'yaml'

export const registryPaths = {
  folder: '/etc/docker/registry',
  config: '/etc/docker/registry/config.yml',
  passwords: '/etc/docker/registry/htpasswd',
  certificate: '/etc/docker/registry/tls/cert.pem',
  key: '/etc/docker/registry/tls/key.pem',
  storage: '/var/lib/docker-registry',
} as const

/**
 * bcrypt rounds as a power of two, as `htpasswd -B` has them. The registry computes them anew for every request, and the agent for every plan:
 * at 10 that is a tenth of a second of a processor each time.
 */
const cost = 5

/** The registry's configuration, always in the same bytes. */
export const renderRegistryConfig = (port: number): string =>
  stringify({
    version: 0.1,
    log: { fields: { service: 'registry' } },
    storage: {
      filesystem: { rootdirectory: registryPaths.storage },
      // Old images can be taken away by their digest.
      delete: { enabled: true },
      cache: { blobdescriptor: 'inmemory' },
    },
    http: {
      addr: `:${port}`,
      headers: { 'X-Content-Type-Options': ['nosniff'] },
      tls: { certificate: registryPaths.certificate, key: registryPaths.key },
    },
    auth: { htpasswd: { realm: 'hive', path: registryPaths.passwords } },
  })

interface Configuration {
  readonly storage?: Readonly<Record<string, unknown>> & { readonly maintenance?: { readonly readonly?: { readonly enabled?: boolean } } }
}

/** The same configuration, but that pushes are refused: nothing may come in while what nobody refers to goes. */
export function readOnlyConfig(config: string): string {
  const all = parse(config) as Configuration
  return stringify({ ...all, storage: { ...all.storage, maintenance: { readonly: { enabled: true } } } })
}

/** What `readOnlyConfig` was made from. */
export function writableConfig(config: string): string {
  const all = parse(config) as Configuration
  const { maintenance: _, ...storage } = all.storage ?? {}
  return stringify({ ...all, storage })
}

export const isReadOnlyConfig = (config: string): boolean => (parse(config) as Configuration | null)?.storage?.maintenance?.readonly?.enabled === true

/** A htpasswd file of one user, with a new salt each time. */
export const renderPasswords = async (user: string, password: string): Promise<string> => `${user}:${await bcrypt.hash(password, cost)}\n`

/** Whether the file has exactly this user with this password. */
export async function passwordsFit(text: string, user: string, password: string): Promise<boolean> {
  const match = /^([^:\n]+):(\$2[aby]\$\d\d\$[./A-Za-z0-9]{53})\n$/.exec(text)
  if (match?.[1] !== user || match[2] === undefined) return false
  return await bcrypt.compare(password, match[2])
}
