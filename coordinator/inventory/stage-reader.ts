import { type Network4, parseNetwork4 } from './addresses.ts'
import { describe, isMapping, isTemplateText, type Mapping } from './mapping.ts'
import type { Findings } from './problems.ts'
import { didYouMean } from './suggest.ts'
import { joined, keyAt, UnsafeText, valueAt } from './yaml-source.ts'

/** `literal` values decide addresses and host counts, which happens before templates are rendered. */
type Kind =
  | 'literal text'
  | 'literal cidr'
  | 'literal whole number'
  | 'literal boolean'
  | 'literal list'
  | 'text'
  | 'whole number'
  | 'boolean'
  | 'list'
  | 'mapping'
  | 'any'

const kinds = {
  provider: 'literal text',
  cidr: 'literal cidr',
  separate_repository: 'literal boolean',
  number_of_hosts: 'literal whole number',
  subnets: 'literal list',
  ip_address_list: 'literal list',
  custom_hostname: 'literal text',
  internal_cidr: 'literal cidr',
  internal_cidr_v6: 'literal text',
  root_password: 'text',
  disk_size: 'whole number',
  repository_disk_size: 'whole number',
  mirrored_disk_size: 'whole number',
  kernel_version: 'text',
  drbd_download_url: 'text',
  kms_key_id: 'text',
  disk_encrypted: 'boolean',
  repository_disk_encrypted: 'boolean',
  mirrored_disk_encrypted: 'boolean',
  instance_type: 'text',
  repository_instance_type: 'text',
  region: 'literal text',
  az_suffix_list: 'literal list',
  image_name: 'any',
  memory_size: 'whole number',
  repository_memory_size: 'whole number',
  cpus: 'whole number',
  repository_cpus: 'whole number',
  bridge: 'text',
  dev: 'text',
  prepared_resource_group: 'boolean',
  not_support_az: 'boolean',
  filestore_cidr: 'text',
  kickstart_config: 'mapping',
  shared_repository: 'mapping',
  nameservers: 'any',
} as const satisfies Readonly<Record<string, Kind>>
export type StageAttribute = keyof typeof kinds
const attributeKinds: Readonly<Record<string, Kind>> = kinds
export const stageAttributes: readonly string[] = Object.keys(kinds)

/** Reads a stage's attributes into types; what does not fit is reported, and read as not written. */
export class StageReader {
  readonly #source: Mapping
  readonly #path: string
  readonly #findings: Findings

  constructor(source: Mapping, path: string, findings: Findings) {
    this.#source = source
    this.#path = path
    this.#findings = findings
  }

  has(key: string): boolean {
    return this.#source[key] !== undefined && this.#source[key] !== null
  }

  wrong(key: string, message: string, instead?: string): undefined {
    this.#findings.problem(valueAt(this.#source, key), joined(this.#path, key), message, instead)
    return undefined
  }

  keyWrong(key: string, message: string, instead?: string): void {
    this.#findings.problem(keyAt(this.#source, key), joined(this.#path, key), message, instead)
  }

  checkKinds(): void {
    for (const [key, value] of Object.entries(this.#source)) {
      const kind = Object.hasOwn(attributeKinds, key) ? attributeKinds[key] : undefined
      if (kind === undefined) {
        this.keyWrong(key, `unknown stage attribute '${key}'`, didYouMean(key, stageAttributes))
        continue
      }
      if (value === null) continue
      if (isTemplateText(value)) {
        if (kind.startsWith('literal')) this.wrong(key, 'is read before templates are rendered', `write the value itself; a template is not possible in ${key}`)
        continue
      }
      this.#checkKind(key, kind.replace('literal ', ''), value)
    }
  }

  #checkKind(key: string, kind: string, value: unknown): void {
    const fits =
      kind === 'any' ||
      (kind === 'boolean' && (typeof value === 'boolean' || isBooleanText(value))) ||
      (kind === 'whole number' && wholeNumber(value) !== undefined) ||
      (kind === 'list' && Array.isArray(value)) ||
      (kind === 'mapping' && isMapping(value)) ||
      ((kind === 'text' || kind === 'cidr') && (typeof value === 'string' || typeof value === 'number' || value instanceof UnsafeText))
    if (!fits) this.wrong(key, `must be a ${kind === 'cidr' ? 'network such as 192.168.0.0/24' : kind}, but is ${describe(value)}`)
  }

  text(key: string): string | undefined {
    const value = this.#source[key]
    return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
  }

  flag(key: string, otherwise: boolean): boolean {
    const value = this.#source[key]
    return typeof value === 'boolean' ? value : isBooleanText(value) ? /^(?:yes|true|on|1)$/i.test(value) : otherwise
  }

  count(key: string): number | undefined {
    return wholeNumber(this.#source[key])
  }

  network(key: string): Network4 | undefined {
    const text = this.text(key)
    if (text === undefined || isTemplateText(text)) return undefined
    const parsed = parseNetwork4(text)
    return parsed.ok ? parsed.value : this.wrong(key, parsed.message, parsed.instead)
  }

  list(key: string): readonly unknown[] {
    const value = this.#source[key]
    return Array.isArray(value) ? value : []
  }
}

const isBooleanText = (value: unknown): value is string => typeof value === 'string' && /^(?:yes|no|true|false|on|off|0|1)$/i.test(value)
const wholeNumber = (value: unknown): number | undefined => {
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
  return typeof number === 'number' && Number.isInteger(number) && number >= 0 ? number : undefined
}
