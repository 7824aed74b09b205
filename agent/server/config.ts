/** The agent's configuration, /etc/hive-agent/agent.json: {host, address, port?, stateDir?, pkiDir?}. */
import { readFile } from 'node:fs/promises'
import { HiveError } from '../../proto/errors.ts'

export const defaultConfigPath = '/etc/hive-agent/agent.json'
export const defaultPort = 17443

export interface AgentConfig {
  /** The host's inventory name. */
  readonly host: string
  /** The host's own address, for certificates; the agent listens on all. */
  readonly address: string
  /** 0: any free one. */
  readonly port: number
  /** runs/, blobs/, work/, lock.json */
  readonly stateDir: string
  /** ca.pem, cert.pem, key.pem */
  readonly pkiDir: string
}

/** Throws HiveError 'invalid-input' naming the file and the key. A missing file is answered with defaults when `optional`. */
export async function loadConfig(path: string, optional = false): Promise<AgentConfig> {
  let text = '{}'
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (!optional || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw new HiveError('invalid-input', `${path} can't be read`, { cause: error })
  }
  let raw: unknown
  try {
    raw = JSON.parse(text)
  } catch (error) {
    throw new HiveError('invalid-input', `${path} is no JSON`, { cause: error })
  }
  if (typeof raw !== 'object' || raw === null) throw new HiveError('invalid-input', `${path}: an object is expected`)
  const fields = raw as Readonly<Record<string, unknown>>
  const stringAt = (key: string, fallback: string): string => {
    const value = fields[key] ?? fallback
    if (typeof value !== 'string') throw new HiveError('invalid-input', `${path}: ${key} must be a string`)
    return value
  }
  const port = fields['port'] ?? defaultPort
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 0 || port > 65535) throw new HiveError('invalid-input', `${path}: port must be 0 to 65535`)
  const host = stringAt('host', '')
  if (host === '' && !optional) throw new HiveError('invalid-input', `${path}: host is missing`)
  return {
    host,
    address: stringAt('address', ''),
    port,
    stateDir: stringAt('stateDir', '/var/lib/hive-agent'),
    pkiDir: stringAt('pkiDir', '/etc/hive-agent/pki'),
  }
}
