/** What the reporter is to do: /etc/hive-agent/monitoring.json, which setup-hosts writes. No file: nothing is reported. */
import { readFile, stat } from 'node:fs/promises'
import { HiveError } from '../../../proto/errors.ts'

export const monitoringPath = '/etc/hive-agent/monitoring.json'

export interface PassiveConfiguration {
  readonly port: number
  /** Addresses that may ask. */
  readonly allowed: readonly string[]
  /** Ends the keys of the swarm: the site's name. */
  readonly suffix: string
}

export interface MonitoringConfiguration {
  readonly server: string
  readonly port: number
  readonly encryption: { readonly kind: 'none' } | { readonly kind: 'psk'; readonly identity: string; readonly key: string } | { readonly kind: 'certificate' }
  /** This host's name in Zabbix. */
  readonly host: string
  /** The name under which Zabbix has the swarm; '' on hosts that are not in it. */
  readonly swarmHost: string
  /** Seconds between values that are told every minute by default; the others in proportion. */
  readonly interval: number
  /** What the host is beside being a host. */
  readonly repository: boolean
  readonly registryPort: number
  /** Names of units, without .service, whose failure and restart is nothing; `*` stands for any text. */
  readonly ignoredUnits: readonly string[]
  /** Certificates beside the agent's own: paths by name. */
  readonly certificates: Readonly<Record<string, string>>
  readonly passive: PassiveConfiguration | undefined
}

/** Changes when the file does; '' where there is none. */
export const versionOf = (path: string): Promise<string> =>
  stat(path).then(
    ({ ino, mtimeMs, size }) => `${ino} ${mtimeMs} ${size}`,
    () => '',
  )

/** Undefined where there is no file. Throws HiveError 'invalid-input' that names the file and the key. */
export async function loadMonitoring(path: string): Promise<MonitoringConfiguration | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new HiveError('invalid-input', `${path} can't be read`, { cause: error })
  }
  return parseMonitoring(text, path)
}

export function parseMonitoring(text: string, path: string): MonitoringConfiguration {
  let raw: unknown
  try {
    raw = JSON.parse(text)
  } catch (cause) {
    throw new HiveError('invalid-input', `${path} is no JSON`, { cause })
  }
  const fields = new Fields(raw, path)
  const encryption = fields.object('encryption')
  const kind = encryption.text('kind')
  const passive = fields.has('passive') ? fields.object('passive') : undefined
  return {
    server: fields.text('server'),
    port: fields.number('port'),
    encryption:
      kind === 'psk' ? { kind, identity: encryption.text('identity'), key: encryption.text('key') } : kind === 'certificate' ? { kind } : { kind: 'none' },
    host: fields.text('host'),
    swarmHost: fields.text('swarmHost'),
    interval: fields.number('interval'),
    repository: fields.flag('repository'),
    registryPort: fields.number('registryPort'),
    ignoredUnits: fields.texts('ignoredUnits'),
    certificates: fields.object('certificates').record(),
    passive: passive === undefined ? undefined : { port: passive.number('port'), allowed: passive.texts('allowed'), suffix: passive.text('suffix') },
  }
}

class Fields {
  readonly #raw: Readonly<Record<string, unknown>>
  readonly #where: string

  constructor(raw: unknown, where: string) {
    if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) throw new HiveError('invalid-input', `${where}: an object is expected`)
    this.#raw = raw as Readonly<Record<string, unknown>>
    this.#where = where
  }

  has(key: string): boolean {
    return this.#raw[key] !== undefined && this.#raw[key] !== null
  }
  object(key: string): Fields {
    return new Fields(this.#raw[key], `${this.#where}: ${key}`)
  }
  text(key: string): string {
    return this.#typed(key, 'a text', (value): value is string => typeof value === 'string')
  }
  number(key: string): number {
    return this.#typed(key, 'a whole number of 0 or more', (value): value is number => Number.isInteger(value) && (value as number) >= 0)
  }
  flag(key: string): boolean {
    return this.#typed(key, 'true or false', (value): value is boolean => typeof value === 'boolean')
  }
  texts(key: string): readonly string[] {
    return this.#typed(key, 'a list of texts', (value): value is string[] => Array.isArray(value) && value.every((one) => typeof one === 'string'))
  }
  record(): Readonly<Record<string, string>> {
    return Object.fromEntries(Object.keys(this.#raw).map((key) => [key, this.text(key)]))
  }

  #typed<T>(key: string, what: string, is: (value: unknown) => value is T): T {
    const value = this.#raw[key]
    if (!is(value)) throw new HiveError('invalid-input', `${this.#where}: ${key} must be ${what}`)
    return value
  }
}
